import { type InvalidationChannel, type InvalidationTarget, systemClock, VersionRecord } from "@larder/cache-core";
import { startRedisServer } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, expect, test } from "vitest";
import { IoredisPort } from "../src/ioredis-port.ts";
import type { RedisScript } from "../src/scripts.ts";
import { call, openCache, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
afterAll(() => client.disconnect());

/** A port to the real server that can keep an invalidation's answer back, and answers no read meanwhile. */
class HoldingPort extends IoredisPort {
  held: Promise<void> | undefined;

  override async run(script: RedisScript, keys: readonly string[], args: ReadonlyArray<string | number | Buffer>): Promise<unknown> {
    const reply = await super.run(script, keys, args);
    if (script.name === "invalidate" || script.name === "mark") await this.held;
    return reply;
  }

  override getMany(keys: readonly string[]): Promise<ReadonlyArray<Buffer | null>> {
    return this.held ? new Promise(() => {}) : super.getMany(keys);
  }

  override get(key: string): Promise<Buffer | null> {
    return this.held ? new Promise(() => {}) : super.get(key);
  }
}

/** A channel of a bus on another server, which speaks of a record of its own. */
function createChannelApart() {
  const told: InvalidationTarget[] = [];
  const record = new VersionRecord({ epoch: "f".repeat(32), seq: 0, clearedAt: 0, taggedAt: 0, patterns: [] });
  const state = { isKnown: true, isProven: true };
  const channel: InvalidationChannel = {
    get lastProofAt() {
      return state.isProven ? systemClock.now() : -Infinity;
    },
    version: () => (state.isKnown ? record : undefined),
    encodeBody: () => "body",
    ready: async () => {},
    invalidate: async (target) => {
      told.push(target);
      return { epoch: record.epoch, seq: 1 };
    },
    leave: () => {},
  };
  return { channel, told, state };
}

// Regression (simulator, calls, servers and faults of every kind, seed 955213): a process that had just begun wrote before its bus, on another server, had told
// of an epoch, took it for the tier's, and told nobody. A process whose tier was away meanwhile served the old value for as long as it lived.
test.each([
  ["at once when it has proved itself", true],
  ["when it has not answered for as long as a write may take", false],
])("a bus that does not tell whether it hears the tier is told of writes %s (I2)", async (_, isProven) => {
  const cache = await openCache<string>({ client, writeTimeoutMs: isProven ? 1e9 : 100 });
  const { channel, told, state } = createChannelApart();
  Object.assign(state, { isKnown: false, isProven });
  cache.attach(channel, 1_000);
  const [written, invalidated] = [{ kind: "key", key: "written" }, { kind: "all" }] as const;
  await cache.replace("written", "value", { ttlMs: 60_000, tags: [], staleMs: 0 }, call());
  await cache.invalidate(invalidated, call());
  expect(told).toEqual([written, invalidated]);
  await cache.close();
});

// Regression (simulator, calls of every kind over servers apart, seed 2417): the tier had taken the invalidation, a read beside it had timed out and closed
// the lane before the answer came, and nobody on the bus was told: others served the old value for `maxStalenessMs`.
test.each([
  ["a key", { kind: "key", key: "key" }],
  ["all", { kind: "all" }],
] as const)("a bus on another server is told of %s also where the lane was closed while the tier took it (I2)", async (_, target) => {
  const port = new HoldingPort(client, false);
  const cache = await openCache<string>({ port, failureThreshold: 1, timeoutMs: 30, writeTimeoutMs: 5_000 });
  const { channel, told } = createChannelApart();
  cache.attach(channel, 1_000);
  let release = (): void => {};
  port.held = new Promise((resolve) => {
    release = resolve;
  });
  const invalidated = cache.invalidate(target, call());
  expect(await cache.get("key")).toBe(undefined);
  expect(cache.stats().breaker).toBe("open");
  port.held = undefined;
  release();
  await invalidated;
  expect(told).toEqual([target]);
  await cache.close();
});

// Regression (simulator, masters that are demoted, seed 4414): the bus had gone to the new master and told of an invalidation there, while the tier was
// still connected to the former one, which answers reads: the old value was served, and kept in memory until its time to live was over.
test("a master that was demoted gives nothing where the bus speaks of another one (I2)", async () => {
  await using server = await startRedisServer();
  const cache = await openCache<string>({ url: server.url });
  cache.attach(createChannelApart().channel, 1_000);
  await cache.set("key", "old");
  expect(await cache.get("key")).toBe("old");
  await server.command("REPLICAOF", "127.0.0.1", "1");
  expect(await cache.get("key")).toBe(undefined);
  await cache.close();
});
