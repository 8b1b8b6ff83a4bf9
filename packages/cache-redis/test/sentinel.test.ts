import type { LeaseOutcome } from "@larder/cache-core";
import { type RedisSentinelSet, startFaultProxy, startRedisSentinel, uniquePrefix, waitUntil } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RedisCache } from "../src/index.ts";
import { call, openCache } from "./support.ts";

let set: RedisSentinelSet;
beforeAll(async () => {
  set = await startRedisSentinel();
});
afterAll(() => set.stop());

test("a sentinel that hangs is passed over for the next one", async () => {
  const hung = await startFaultProxy(set.sentinels[0]?.port as number);
  await hung.set({ kind: "black-hole" });
  const cache = await openCache<string>({ url: set.url.replace("://", `://127.0.0.1:${hung.port},`) });
  expect(await cache.set("key", "value")).toBe(true);
  expect(hung.acceptedConnections).toBeGreaterThan(0);
  await cache.close();
  await hung.close();
});

// Regression: it was taken, and each write refused by the replica for ever.
test("a client that asks the sentinels for a replica is refused", () => {
  const client = new Redis({ sentinels: [...set.sentinels], name: set.name, role: "slave", lazyConnect: true });
  expect(() => new RedisCache({ client, namespace: "test" })).toThrow(/role "master"/);
});

// Regression: the connection for subscriptions took over what a client was given, and ended for good when no sentinel answered for a moment.
test("who waits for another process's load is heard again once the sentinels are, also over a client that gives them up", async () => {
  const proxy = await startFaultProxy(set.sentinels[0]?.port as number);
  const sentinels = [{ host: "127.0.0.1", port: proxy.port }];
  const client = new Redis({ sentinels, name: set.name, updateSentinels: false, sentinelRetryStrategy: () => null });
  const keyPrefix = uniquePrefix();
  const [a, b] = [await openCache<string>({ client, keyPrefix }), await openCache<string>({ client, keyPrefix })];
  const share = async (key: string): Promise<LeaseOutcome> => {
    const [owned, held] = [await a.reserve(key, true, call()), await b.reserve(key, true, call())];
    if (!owned || !held) throw new Error("no reservation");
    const outcome = b.awaitFill(held, call());
    await waitUntil("the wait", async () => (await client.pubsub("NUMSUB", `${keyPrefix}:{test.0}:w:${key}`))[1] !== 0);
    await a.release(owned, "not-stored");
    return outcome;
  };
  await proxy.set({ kind: "refuse" });
  const lost = (await a.reserve("lost", true, call())) && (await b.reserve("lost", true, call()));
  if (!lost) throw new Error("no reservation");
  expect(await b.awaitFill(lost, call())).toBe("failed");
  await proxy.heal();
  expect(await share("key")).toBe("not-stored");
  await Promise.all([a.close(), b.close()]);
  client.disconnect();
  await proxy.close();
});

test("after a failover nothing from before it is served, because the new master may have missed an invalidation", async () => {
  const cache = await openCache<string>({ url: set.url, keyPrefix: "p" });
  await cache.set("key", "value");
  const master = new Redis(set.master.url);
  const lost = (await master.getBuffer("p:{test.0}:v:key")) as Buffer;
  master.disconnect();
  await cache.invalidate({ kind: "key", key: "key" }, call());
  await set.master.kill();
  expect(await cache.get("key")).toBe(undefined);
  // The breaker alone does not tell: it is still closed when a master has only just died.
  await expect.poll(() => set.masterPort()).toBe(set.replica.port);
  await expect.poll(async () => (await cache.set("other", "value")) && cache.stats().breaker).toBe("closed");
  // As if the replica had not heard of the invalidation before its master died: the entry is still there.
  const promoted = new Redis(set.replica.url);
  await promoted.set("p:{test.0}:v:key", lost);
  promoted.disconnect();
  for (let round = 0; round < 10; round += 1) expect(await cache.get("key")).toBe(undefined);
  expect(await cache.set("key", "new")).toBe(true);
  expect(await cache.get("key")).toBe("new");
  await cache.close();
});
