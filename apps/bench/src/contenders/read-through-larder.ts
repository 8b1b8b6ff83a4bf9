import { type StoredEntry, TieredCache } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { RedisInvalidationBus } from "@larder/pubsub-invalidation";
import type { ReadThroughCache, ReadThroughContender, ReadThroughSetting } from "./read-through.ts";

const MAX_ENTRIES = 100_000;

function wrap(cache: TieredCache<unknown>, closing: ReadonlyArray<{ close(): unknown }>, ready: () => Promise<unknown>): ReadThroughCache {
  return {
    getOrSet: (key, load) => cache.getOrSet(key, (context) => load(context.key)),
    invalidate: (key) => cache.invalidate(key),
    getSync: (key) => cache.get(key),
    ready: async () => void (await ready()),
    close: async () => {
      await cache.close();
      for (const part of closing) await part.close();
    },
  };
}

function createLarder({ redisUrl, busUrl = redisUrl, namespace, ttlMs }: ReadThroughSetting): ReadThroughCache {
  const l1 = new MemoryCache<StoredEntry<unknown>>({ maxEntries: MAX_ENTRIES });
  if (!redisUrl || !busUrl) return wrap(new TieredCache({ l1, namespace, ttlMs }), [], async () => {});
  const bus = new RedisInvalidationBus({ url: busUrl });
  const cache = new TieredCache<unknown>({ l1, bus, namespace, ttlMs });
  return wrap(cache, [bus], () => cache.ready());
}

/** Larder without a second tier: memory and the bus, as for credentials. */
export const larderWithoutL2: ReadThroughContender = {
  name: "larder, no L2",
  role: "ours",
  note: "memory and bus alone",
  hasBus: true,
  hasL2: false,
  create: async (setting) => createLarder(setting),
};
