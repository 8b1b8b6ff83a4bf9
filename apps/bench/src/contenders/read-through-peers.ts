import type { LoadedPeer, Peers } from "../peers.ts";
import type { LoadValue, ReadThroughCache, ReadThroughContender, ReadThroughSetting } from "./read-through.ts";

// Each peer with its defaults and, where it has them, memory, Redis and its own bus: what its documentation shows. A peer's types are not
// ours to install, so what is used of it is written down here.

const MAX_ENTRIES = 100_000;

interface Closable {
  disconnect?(): unknown;
  on?(event: "error", listener: () => void): unknown;
}

/** A connection by the peer's own ioredis, whose errors do not end the process: what every documentation advises. */
async function connectRedis(peer: LoadedPeer, url: string): Promise<Closable> {
  const { Redis } = (await peer.import("ioredis")) as { Redis: new (url: string) => Closable };
  const client = new Redis(url);
  client.on?.("error", () => {});
  return client;
}

const closeAll = (clients: readonly Closable[]) => async (): Promise<void> => {
  for (const client of clients) client.disconnect?.();
};

const nothing = async (): Promise<void> => {};

/** For libraries whose loader is given once: the loader of the latest call for a key. */
class Loaders {
  readonly #loaders: Map<string, LoadValue> = new Map();

  readonly load = async (key: string): Promise<unknown> => this.#loaders.get(key)?.(key);

  remember(key: string, load: LoadValue): void {
    this.#loaders.set(key, load);
  }
}

async function createBentocache(setting: ReadThroughSetting, peers: Peers): Promise<ReadThroughCache> {
  const peer = await peers.load("bentocache");
  type Store = { useL1Layer(driver: unknown): Store; useL2Layer(driver: unknown): Store; useBus(driver: unknown): Store };
  interface Bento {
    getOrSet(options: { key: string; ttl: number; factory: () => Promise<unknown> }): Promise<unknown>;
    delete(options: { key: string }): Promise<unknown>;
    disconnectAll(): Promise<void>;
  }
  const { BentoCache, bentostore } = (await peer.import("bentocache")) as {
    BentoCache: new (options: unknown) => Bento;
    bentostore: () => Store;
  };
  const { memoryDriver } = (await peer.import("bentocache/drivers/memory")) as { memoryDriver: (options: unknown) => unknown };
  let store = bentostore().useL1Layer(memoryDriver({ maxItems: MAX_ENTRIES }));
  const clients: Closable[] = [];
  if (setting.redisUrl) {
    const { redisDriver, redisBusDriver } = (await peer.import("bentocache/drivers/redis")) as Record<
      string,
      (options: unknown) => unknown
    >;
    const client = await connectRedis(peer, setting.redisUrl);
    clients.push(client);
    const bus = new URL(setting.busUrl ?? setting.redisUrl);
    store = store
      .useL2Layer(redisDriver!({ connection: client }))
      .useBus(redisBusDriver!({ connection: { host: bus.hostname, port: Number(bus.port) } }));
  }
  const cache = new BentoCache({ default: "store", prefix: setting.namespace, stores: { store } });
  return {
    getOrSet: (key, load) => cache.getOrSet({ key, ttl: setting.ttlMs, factory: () => load(key) }),
    invalidate: (key) => cache.delete({ key }),
    ready: nothing,
    close: async () => {
      void cache.disconnectAll().catch(() => {});
      await closeAll(clients)();
    },
  };
}

async function createCacheable(setting: ReadThroughSetting, peers: Peers): Promise<ReadThroughCache> {
  const peer = await peers.load("cacheable");
  interface Instance {
    getOrSet(key: string, load: () => Promise<unknown>, options: { ttl: number }): Promise<unknown>;
    delete(key: string): Promise<unknown>;
    on(event: string, listener: () => void): unknown;
    disconnect(): Promise<void>;
  }
  const { Cacheable } = (await peer.import("cacheable")) as { Cacheable: new (options: unknown) => Instance };
  const options: Record<string, unknown> = { ttl: setting.ttlMs, namespace: setting.namespace };
  if (setting.redisUrl) {
    const { default: KeyvRedis } = (await peer.import("@keyv/redis")) as { default: new (url: string) => Closable };
    const { RedisMessageProvider } = (await peer.import("@qified/redis")) as { RedisMessageProvider: new (options: unknown) => unknown };
    const secondary = new KeyvRedis(setting.redisUrl);
    secondary.on?.("error", () => {});
    options.secondary = secondary;
    options.sync = { qified: new RedisMessageProvider({ uri: setting.busUrl ?? setting.redisUrl }), namespace: setting.namespace };
  }
  const cache = new Cacheable(options);
  cache.on("error", () => {});
  return {
    getOrSet: (key, load) => cache.getOrSet(key, () => load(key), { ttl: setting.ttlMs }),
    invalidate: (key) => cache.delete(key),
    ready: nothing,
    close: async () => void cache.disconnect().catch(() => {}),
  };
}

async function createCacheManager(setting: ReadThroughSetting, peers: Peers): Promise<ReadThroughCache> {
  const peer = await peers.load("cache-manager");
  interface Instance {
    wrap(key: string, load: () => Promise<unknown>, ttlMs: number): Promise<unknown>;
    del(key: string): Promise<unknown>;
    disconnect(): Promise<void>;
  }
  interface KeyvInstance {
    on(event: string, listener: () => void): unknown;
  }
  const { createCache } = (await peer.import("cache-manager")) as { createCache: (options: unknown) => Instance };
  const { Keyv } = (await peer.import("keyv")) as { Keyv: new (options?: unknown) => KeyvInstance };
  const stores = [new Keyv({ namespace: setting.namespace })];
  if (setting.redisUrl) {
    const { default: KeyvRedis } = (await peer.import("@keyv/redis")) as { default: new (url: string) => Closable };
    const adapter = new KeyvRedis(setting.redisUrl);
    adapter.on?.("error", () => {});
    stores.push(new Keyv({ store: adapter, namespace: setting.namespace }));
  }
  for (const store of stores) store.on("error", () => {});
  const cache = createCache({ stores });
  return {
    getOrSet: (key, load) => cache.wrap(key, () => load(key), setting.ttlMs),
    invalidate: (key) => cache.del(key),
    ready: nothing,
    close: async () => void cache.disconnect().catch(() => {}),
  };
}

async function createLayeredLoader(setting: ReadThroughSetting, peers: Peers): Promise<ReadThroughCache> {
  const peer = await peers.load("layered-loader");
  interface Instance {
    get(key: string): Promise<unknown>;
    getInMemoryOnly(key: string): unknown;
    invalidateCacheFor(key: string): Promise<void>;
    init(): Promise<void>;
    close(): Promise<void>;
  }
  const module = (await peer.import("layered-loader")) as {
    Loader: new (options: unknown) => Instance;
    RedisCache: new (client: unknown, options: unknown) => unknown;
    createNotificationPair: (options: unknown) => { publisher: unknown; consumer: unknown };
  };
  const loaders = new Loaders();
  const options: Record<string, unknown> = {
    inMemoryCache: { cacheType: "lru-map", ttlInMsecs: setting.ttlMs, maxItems: MAX_ENTRIES },
    dataSourceGetOneFn: loaders.load,
  };
  const clients: Closable[] = [];
  if (setting.redisUrl) {
    const busUrl = setting.busUrl ?? setting.redisUrl;
    const [data, publisherRedis, consumerRedis] = await Promise.all(
      [setting.redisUrl, busUrl, busUrl].map((url) => connectRedis(peer, url)),
    );
    clients.push(data!, publisherRedis!, consumerRedis!);
    options.asyncCache = new module.RedisCache(data, { prefix: setting.namespace, ttlInMsecs: setting.ttlMs, json: true });
    const pair = module.createNotificationPair({ channel: setting.namespace, publisherRedis, consumerRedis });
    options.notificationPublisher = pair.publisher;
    options.notificationConsumer = pair.consumer;
  }
  const cache = new module.Loader(options);
  await cache.init();
  return {
    getOrSet: (key, load) => {
      // What its documentation shows for a hot path: `get` alone makes a promise even for a hit in memory.
      const held = cache.getInMemoryOnly(key);
      if (held !== undefined) return held;
      // Only now: to note the loader on every call is the bench's way, and no cost that the library's users have.
      loaders.remember(key, load);
      return cache.get(key);
    },
    getSync: (key) => cache.getInMemoryOnly(key),
    invalidate: (key) => cache.invalidateCacheFor(key),
    ready: nothing,
    close: closeAll(clients),
  };
}

async function createAsyncCacheDedupe(setting: ReadThroughSetting, peers: Peers): Promise<ReadThroughCache> {
  const peer = await peers.load("async-cache-dedupe");
  interface Instance {
    define(name: string, options: unknown, load: LoadValue): void;
    clear(name: string, key: string): Promise<void>;
    value(key: string): Promise<unknown>;
  }
  const { createCache } = (await peer.import("async-cache-dedupe")) as { createCache: (options: unknown) => Instance };
  const clients: Closable[] = [];
  let storage: unknown = { type: "memory", options: { size: MAX_ENTRIES } };
  if (setting.redisUrl) {
    const client = await connectRedis(peer, setting.redisUrl);
    clients.push(client);
    storage = { type: "redis", options: { client } };
  }
  const loaders = new Loaders();
  const cache = createCache({ ttl: Math.ceil(setting.ttlMs / 1000), storage, onError: () => {} });
  cache.define("value", { ttl: Math.ceil(setting.ttlMs / 1000) }, loaders.load);
  return {
    getOrSet: (key, load) => {
      loaders.remember(key, load);
      return cache.value(key);
    },
    invalidate: (key) => cache.clear("value", key),
    ready: nothing,
    close: closeAll(clients),
  };
}

/** The peers with a read-through call, in the order of their rows. */
export const readThroughPeers: readonly ReadThroughContender[] = [
  { name: "bentocache", role: "peer", peer: "bentocache", hasBus: true, hasL2: true, create: createBentocache },
  { name: "cacheable", role: "peer", peer: "cacheable", note: "with its sync option", hasBus: true, hasL2: true, create: createCacheable },
  {
    name: "cache-manager",
    role: "peer",
    peer: "cache-manager",
    note: "has no bus",
    hasBus: false,
    hasL2: true,
    create: createCacheManager,
  },
  {
    name: "layered-loader",
    role: "peer",
    peer: "layered-loader",
    note: "getInMemoryOnly, then get",
    hasBus: true,
    hasL2: true,
    create: createLayeredLoader,
  },
  {
    name: "async-cache-dedupe",
    role: "peer",
    peer: "async-cache-dedupe",
    note: "memory or Redis, never both",
    hasBus: false,
    hasL2: true,
    create: createAsyncCacheDedupe,
  },
];
