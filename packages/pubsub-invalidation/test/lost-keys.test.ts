import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import { type RedisServer, startRedisServer, waitUntil } from "@larder/cache-testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CoherentCache, createCoherentCache, RedisInvalidationBus } from "../src/index.ts";

/*
 * A Redis that is full evicts what it likes, one key at a time: a fence without its value, a tag's record without the entries that carry the tag. Each key
 * that a cache owns goes here, or becomes something else, at each step of a load and an invalidation, and nobody is ever given what was invalidated.
 */

/** Deadlines that a busy machine does not run into. */
const PATIENT = { timeoutMs: 2_000, writeTimeoutMs: 2_000 };
const NAMESPACE = "lost";
const BASE = `larder:{${NAMESPACE}.0}:`;

let server: RedisServer;
const closers: Array<() => unknown> = [];
const peers: Array<CoherentCache<string>> = [];
let store: RedisCache<string>;

beforeAll(async () => {
  server = await startRedisServer();
  for (let peer = 0; peer < 2; peer += 1) {
    const bus = new RedisInvalidationBus({ url: server.url, heartbeatMs: 50 });
    const l2 = new RedisCache<string>({ url: server.url, namespace: NAMESPACE, ...PATIENT });
    const l1 = new MemoryCache<never>({ maxEntries: 1_000 });
    const cache = createCoherentCache<string>({ l1, l2, bus, namespace: NAMESPACE, backendBudgetMs: 2_000 });
    await Promise.all([cache.ready(), l2.ready()]);
    peers.push(cache);
    closers.push(async () => {
      await cache.close();
      bus.close();
      await l2.close();
    });
  }
  store = new RedisCache<string>({ url: server.url, namespace: NAMESPACE, ...PATIENT });
  await store.ready();
  closers.push(() => store.close());
});
afterAll(async () => {
  for (const close of closers) await close();
  await server.stop();
});

const owned: Record<string, (key: string) => string> = {
  value: (key) => `${BASE}v:${key}`,
  fence: (key) => `${BASE}f:${key}`,
  lease: (key) => `${BASE}l:${key}`,
  tag: (key) => `${BASE}t:of ${key}`,
  record: () => `${BASE}version`,
  log: () => `${BASE}log`,
};

const harms: Record<string, (redisKey: string) => Promise<unknown>> = {
  gone: (redisKey) => server.command("DEL", redisKey),
  // In one step: a heartbeat makes a record anew as soon as it is gone.
  "a list": (redisKey) => server.command("EVAL", "redis.call('DEL', KEYS[1]) return redis.call('RPUSH', KEYS[1], 'x')", "1", redisKey),
  garbage: (redisKey) => server.command("SET", redisKey, "garbage"),
};

const invalidations: Record<string, (cache: CoherentCache<string>, key: string) => Promise<unknown>> = {
  key: (cache, key) => cache.invalidate(key),
  tag: (cache, key) => cache.invalidateTag(`of ${key}`),
  pattern: (cache, key) => cache.invalidateMatching(`${key}*`),
  all: (cache) => cache.invalidateAll(),
  set: async (cache, key) => cache.set(key, "new", { tags: [`of ${key}`] }),
};

const STEPS = ["before the load", "under the load", "before the invalidation", "after it"] as const;

const cases = Object.keys(owned).flatMap((kind) => Object.keys(harms).map((harm) => [kind, harm] as const));

describe.each(cases)("a %s that is %s", (kind, harm) => {
  it.each(STEPS)("%s, gives nobody what was invalidated", async (step) => {
    for (const [name, invalidate] of Object.entries(invalidations)) {
      const [a, b] = peers as [CoherentCache<string>, CoherentCache<string>];
      const key = `${kind} ${harm} ${step} ${name}`;
      const options = { tags: [`of ${key}`] };
      const spoil = async (at: (typeof STEPS)[number]): Promise<void> => {
        if (at === step) await harms[harm]?.((owned[kind] as (key: string) => string)(key));
      };
      const load = (cache: CoherentCache<string>): Promise<string | undefined> =>
        Promise.resolve(cache.getOrSet(key, () => "new", options));

      await spoil("before the load");
      const loadOld = async (): Promise<string> => {
        await spoil("under the load");
        return "old";
      };
      expect(await a.getOrSet(key, loadOld, options)).toBe("old");
      expect(await b.getOrSet(key, () => "old", options)).toBe("old");
      await spoil("before the invalidation");
      await invalidate(a, key);
      await spoil("after it");
      // Who hears nothing judges by what stands in Redis alone.
      expect(["new", undefined], name).toContain(await store.get(key));
      expect(await load(a), name).toBe("new");
      expect(["new", undefined], name).toContain(await store.get(key));
      await waitUntil(`${name}: the other one has heard`, async () => (await load(b)) === "new");
      expect([await load(a), await load(b)], name).toEqual(["new", "new"]);
    }
  });
});
