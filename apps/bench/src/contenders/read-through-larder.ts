import { type Loader, type StoredEntry, TieredCache } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import { RedisInvalidationBus } from "@larder/pubsub-invalidation";
import type { LoadValue, ReadThroughCache, ReadThroughContender, ReadThroughSetting } from "./read-through.ts";

/** Entries of the first tier. */
export const MAX_ENTRIES = 100_000;

function wrap(cache: TieredCache<unknown>, closing: ReadonlyArray<{ close(): unknown }>, ready: () => Promise<unknown>): ReadThroughCache {
  // One loader for all keys, as a program that has its own would write it: made anew for each call it would be the bench's cost, as for the peers.
  let latest: LoadValue | undefined;
  let loader: Loader<unknown> = () => undefined;
  return {
    getOrSet: (key, load) => {
      if (load !== latest) {
        latest = load;
        loader = (context) => load(context.key);
      }
      return cache.getOrSet(key, loader);
    },
    invalidate: (key) => cache.invalidate(key),
    getSync: (key) => cache.get(key),
    ready: async () => void (await ready()),
    close: async () => {
      await cache.close();
      for (const part of closing) await part.close();
    },
  };
}

function createLarder({ redisUrl, busUrl = redisUrl, namespace, ttlMs }: ReadThroughSetting, hasL2: boolean): ReadThroughCache {
  const l1 = new MemoryCache<StoredEntry<unknown>>({ maxEntries: MAX_ENTRIES });
  if (!redisUrl || !busUrl) return wrap(new TieredCache({ l1, namespace, ttlMs }), [], async () => {});
  const bus = new RedisInvalidationBus({ url: busUrl });
  const l2 = hasL2 ? new RedisCache<unknown>({ url: redisUrl, namespace, ttlMs }) : undefined;
  const cache = new TieredCache<unknown>({ l1, ...(l2 ? { l2 } : {}), bus, namespace, ttlMs });
  return wrap(cache, l2 ? [l2, bus] : [bus], () => cache.ready());
}

/** Larder with its defaults: memory, Redis and the bus. */
export const larder: ReadThroughContender = {
  name: "larder",
  role: "ours",
  hasBus: true,
  hasL2: true,
  create: async (setting) => createLarder(setting, true),
};

/** Larder without a second tier: memory and the bus, as for credentials. */
export const larderWithoutL2: ReadThroughContender = {
  name: "larder, no L2",
  role: "ours",
  note: "memory and bus alone",
  hasBus: true,
  hasL2: false,
  create: async (setting) => createLarder(setting, false),
};
