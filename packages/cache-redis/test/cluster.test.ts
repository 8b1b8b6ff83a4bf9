import { createHash } from "node:crypto";
import { KeySpace } from "@larder/cache-core";
import { type RedisCluster, startRedisCluster, uniquePrefix } from "@larder/cache-testing";
import { Cluster } from "ioredis";
import { Cluster as Cluster6 } from "ioredis-6";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RedisCache } from "../src/index.ts";
import { call, openCache, plain, prompt } from "./support.ts";

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startRedisCluster();
});
afterAll(() => cluster.stop());

const digest = (index: number): string => createHash("sha256").update(String(index)).digest("hex");

const clients = {
  "ioredis 5": () => new Cluster([...cluster.nodes]),
  "ioredis 6": () => new Cluster6([...cluster.nodes]) as unknown as Cluster,
};

describe.each(Object.entries(clients))("on three masters, over %s", (_, connect) => {
  test("entries spread over all masters, and many are read, counted and cleared at once", async () => {
    const client = connect();
    const cache = await openCache<number>({ client, keyPrefix: uniquePrefix() });
    const entries = Array.from({ length: 60 }, (_each, index) => [digest(index), index] as const);
    expect(await cache.setMany(entries)).not.toContain(false);
    const keys = entries.map(([key]) => key);
    expect(await cache.getMany(keys)).toEqual(entries.map(([, value]) => value));
    expect(await cache.size()).toBe(60);
    const sizes = await Promise.all(cluster.servers.map((server) => server.command("DBSIZE")));
    expect(sizes.every((size) => Number(size) > 0)).toBe(true);
    expect(await cache.deleteMany(keys.slice(0, 10))).toBe(10);
    await cache.clear();
    expect(await cache.getMany(keys)).toEqual(keys.map(() => undefined));
    await expect.poll(() => cache.stats().sweptEntries).toBe(50);
    await cache.close();
    client.disconnect();
  });

  test("tags and patterns reach every lane, leases and fences work in theirs", async () => {
    const client = connect();
    const keyPrefix = uniquePrefix();
    const a = await openCache<string>({ client, keyPrefix });
    const b = await openCache<string>({ client, keyPrefix });
    for (let index = 0; index < 20; index += 1) await a.set(`key:${index}`, "x", { tags: [index % 2 === 0 ? "even" : "odd"] });
    await b.invalidate({ kind: "tag", tag: "even" }, call());
    const left = await a.getMany(Array.from({ length: 20 }, (_each, index) => `key:${index}`));
    expect(left.map((value) => value !== undefined)).toEqual(Array.from({ length: 20 }, (_each, index) => index % 2 === 1));
    await b.invalidate({ kind: "pattern", pattern: "key:1?" }, call());
    expect(await a.get("key:11")).toBe(undefined);
    expect(await a.get("key:3")).toBe("x");
    const owned = await a.reserve("loaded", true, call());
    const held = await b.reserve("loaded", true, call());
    expect([owned?.lease, held?.lease]).toEqual(["owned", "held"]);
    if (!owned || !held) return;
    const outcome = b.awaitFill(held, call());
    expect(await a.fill(owned, "value", plain)).toBe("stored");
    expect(await outcome).toBe("stored");
    await Promise.all([a.close(), b.close()]);
    client.disconnect();
  });
});

test("a URL with several hosts is a cluster", async () => {
  const cache = new RedisCache<string>({ url: cluster.url, namespace: "test", keyPrefix: uniquePrefix() });
  await cache.ready();
  expect(await cache.set("key", "value")).toBe(true);
  expect(await cache.get("key")).toBe("value");
  await cache.close();
});

test("a frozen master takes only its own lanes along", async () => {
  const cache = await openCache<number>({ ...prompt, url: cluster.url, keyPrefix: uniquePrefix() });
  const entries = Array.from({ length: 60 }, (_each, index) => [digest(index), index] as const);
  await cache.setMany(entries);
  const keys = entries.map(([key]) => key);
  cluster.servers[0]?.pause();
  for (let round = 0; round < 8; round += 1) await cache.getMany(keys);
  const found = (await cache.getMany(keys)).filter((value) => value !== undefined);
  expect(found.length).toBeGreaterThan(20);
  expect(found.length).toBeLessThan(60);
  expect(cache.stats().breaker).not.toBe("closed");
  cluster.servers[0]?.resume();
  await expect.poll(async () => (await cache.getMany(keys)).filter((value) => value !== undefined).length).toBe(60);
  await cache.close();
});

// Regression: the client asked again every 100 ms, past every deadline, and five calls that had timed out closed the whole lane to those who read.
test("a slot that is being moved keeps what is stored in it readable, however many loads it refuses", async () => {
  const keyPrefix = uniquePrefix();
  // Less than the attempts of one call take that are 100 ms apart, and more than a busy machine does.
  const timeoutMs = 250;
  const cache = await openCache<string>({ timeoutMs, writeTimeoutMs: timeoutMs, url: cluster.url, keyPrefix });
  const space = new KeySpace({ namespace: "test", keyPrefix, lanes: 16 });
  const keys = Array.from({ length: 400 }, (_, index) => digest(index)).filter((key) => space.laneOf(space.nameOf(key)) === 0);
  // A log that holds nothing is no key, and one that is missing would be refused as well.
  await cache.invalidate({ kind: "all" }, call());
  const stored = keys.pop() as string;
  expect(await cache.set(stored, "value")).toBe(true);
  const slot = String(await cluster.servers[0]?.command("CLUSTER", "KEYSLOT", space.record(0)));
  const counts = await Promise.all(cluster.servers.map((server) => server.command("CLUSTER", "COUNTKEYSINSLOT", slot)));
  const from = counts.findIndex((count) => Number(count) > 0);
  const [source, target] = [cluster.servers[from], cluster.servers[(from + 1) % cluster.servers.length]];
  if (!source || !target) throw new Error("nobody has the slot");
  const [sourceId, targetId] = await Promise.all([source, target].map((server) => server.command("CLUSTER", "MYID")));
  try {
    await target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", String(sourceId));
    await source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", String(targetId));
    const loads = await Promise.all(keys.map((key) => cache.reserve(key, false, call(timeoutMs))));
    expect(loads).toEqual(keys.map(() => undefined));
    expect(cache.stats().breaker).toBe("closed");
    expect(await cache.get(stored)).toBe("value");
  } finally {
    for (const server of [source, target]) await server.command("CLUSTER", "SETSLOT", slot, "STABLE");
    await cache.close();
  }
});

test("a client that reads from replicas, or has a prefix of its own, is refused", () => {
  const replicas = new Cluster([...cluster.nodes], { scaleReads: "slave" });
  expect(() => new RedisCache({ client: replicas, namespace: "test" })).toThrow(/scaleReads/);
  const prefixed = new Cluster([...cluster.nodes], { keyPrefix: "mine:" });
  expect(() => new RedisCache({ client: prefixed, namespace: "test" })).toThrow(/keyPrefix/);
  replicas.disconnect();
  prefixed.disconnect();
});
