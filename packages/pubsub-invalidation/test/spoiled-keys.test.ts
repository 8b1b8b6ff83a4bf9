import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import { type RedisServer, startRedisServer, uniquePrefix, waitUntil } from "@larder/cache-testing";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type CoherentCache, createCoherentCache, RedisInvalidationBus } from "../src/index.ts";

/*
 * What a lane keeps in Redis may be replaced by something else: by an operator's typing error, by a program with the same prefix, by a dump
 * restored over it. It is made anew then, as what is lost is; found by an audit, where a bus stood degraded for ever.
 */

/** Deadlines that a busy machine does not run into: a fill that misses its own is not tried again. */
const PATIENT = { timeoutMs: 2_000, writeTimeoutMs: 2_000 };

let server: RedisServer;
beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(() => server.stop());
const opened: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

interface Peer {
  readonly cache: CoherentCache<string>;
  readonly bus: RedisInvalidationBus;
}

async function open(namespace: string, hasSecondTier: boolean): Promise<Peer> {
  const bus = new RedisInvalidationBus({ url: server.url, heartbeatMs: 50 });
  const l1 = new MemoryCache<never>({ maxEntries: 100 });
  const l2 = hasSecondTier ? new RedisCache<string>({ url: server.url, namespace, ...PATIENT }) : undefined;
  const cache = createCoherentCache<string>({ l1, bus, namespace, backendBudgetMs: 2_000, ...(l2 ? { l2 } : {}) });
  opened.push(async () => {
    await cache.close();
    bus.close();
    await l2?.close();
  });
  await Promise.all([cache.ready(), l2?.ready()]);
  return { cache, bus };
}

const spoilings: Record<string, (key: string) => Promise<unknown>> = {
  "a record of another type": async (base) => {
    await server.command("DEL", `${base}version`);
    await server.command("SET", `${base}version`, "not a hash");
  },
  "a record that does not count": (base) => server.command("HSET", `${base}version`, "seq", "many"),
  "a record that counts nothing": (base) => server.command("HDEL", `${base}version`, "seq"),
  "a record that counts too far": (base) => server.command("HSET", `${base}version`, "seq", "9000000000000000"),
  "a record of no epoch": (base) => server.command("HSET", `${base}version`, "epoch", ""),
  "a record whose marks are no places": (base) => server.command("HSET", `${base}version`, "clearedAt", "then", "taggedAt", "-1"),
  "a record whose patterns are no list": (base) => server.command("HSET", `${base}version`, "patterns", "null"),
  "a record whose patterns are no patterns": (base) => server.command("HSET", `${base}version`, "patterns", "[[1]]"),
  "a log of another type": async (base) => {
    await server.command("DEL", `${base}log`);
    await server.command("SET", `${base}log`, "not a stream");
  },
  "a log that is ahead": (base) => server.command("XADD", `${base}log`, "900-0", "b", "nothing"),
};

describe.each([false, true])("with a second tier: %s", (hasSecondTier) => {
  it.each(Object.keys(spoilings))("%s is made anew, and invalidations arrive again", async (name) => {
    const namespace = uniquePrefix();
    const [a, b] = [await open(namespace, hasSecondTier), await open(namespace, hasSecondTier)];
    await a.cache.invalidate("another");
    await spoilings[name]?.(`larder:{${namespace}.0}:`);
    let version = 0;
    const load = async (): Promise<string> => `v${version}`;
    await waitUntil("an invalidation arrives", async () => {
      await Promise.all([a.cache.get("k", load), b.cache.get("k", load)]);
      version += 1;
      if (!(await a.cache.invalidate("k")).propagated) return false;
      await waitUntil("it is heard", async () => (await b.cache.get("k", load)) === `v${version}`);
      return true;
    });
    await waitUntil("both prove themselves", () => a.bus.stats().lastProofAgeMs < 500 && b.bus.stats().lastProofAgeMs < 500);
    expect([a.cache.isDegraded, b.cache.isDegraded]).toEqual([false, false]);
  });
});

describe("a master that was demoted in place", () => {
  it.each([
    ["and is a replica now", ["REPLICAOF", "127.0.0.1", "1"]],
    ["by being cut off from its replicas, where it must have some", ["CONFIG", "SET", "min-replicas-to-write", "1"]],
  ])("%s proves nothing to those who are connected to it still", async (_, demotion) => {
    const demoted = await startRedisServer();
    opened.push(() => demoted.stop());
    const bus = new RedisInvalidationBus({ url: demoted.url, heartbeatMs: 50 });
    const cache = createCoherentCache<string>({ l1: new MemoryCache({ maxEntries: 10 }), bus, namespace: "n", maxStalenessMs: 300 });
    opened.push(async () => {
      await cache.close();
      bus.close();
    });
    await cache.ready();
    expect(await cache.get("k", async () => "v1")).toBe("v1");
    await demoted.command(...demotion);
    // The others go on with another master, and invalidate there.
    await waitUntil("the value is not served any more", async () => (await cache.get("k", async () => "v2")) === "v2");
    await waitUntil("it says so", () => cache.isDegraded);
    const { proofs } = bus.stats();
    await waitUntil("it has asked again", () => bus.stats().heartbeats > 20);
    expect(bus.stats().proofs).toBe(proofs);
  });

  it("gives nothing of its second tier to those who have no proof any more", async () => {
    const demoted = await startRedisServer();
    opened.push(() => demoted.stop());
    const bus = new RedisInvalidationBus({ url: demoted.url, heartbeatMs: 50 });
    const l2 = new RedisCache<string>({ url: demoted.url, namespace: "n", ...PATIENT });
    const cache = createCoherentCache<string>({
      l1: new MemoryCache({ maxEntries: 10 }),
      l2,
      bus,
      namespace: "n",
      maxStalenessMs: 300,
      backendBudgetMs: 2_000,
    });
    opened.push(async () => {
      await cache.close();
      bus.close();
      await l2.close();
    });
    await Promise.all([cache.ready(), l2.ready()]);
    expect(await cache.get("k", async () => "v1")).toBe("v1");
    await waitUntil("the second tier has it", () => l2.has("k"));
    await demoted.command("REPLICAOF", "127.0.0.1", "1");
    // What the first tier holds was loaded by now, and may be served for as long as what was proved.
    const askedAt = performance.now();
    await waitUntil("the last proof is past the bound", () => bus.stats().lastProofAgeMs > 300 && performance.now() > askedAt + 300);
    // The first read that asks the second tier: it must not be answered beside the check that finds out.
    expect(await cache.get("k", async () => "v2")).toBe("v2");
  });
});
