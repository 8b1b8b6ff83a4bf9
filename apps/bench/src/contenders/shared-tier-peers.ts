import type { LoadedPeer, Peers } from "../peers.ts";

// Other libraries over the same Redis, each with its defaults and without a first tier of its own, so that every get asks Redis. A peer's
// types are not ours to install, so what is used of it is written down here.

/** A cache over Redis of any library, for values of text. */
export interface SharedTier {
  get(key: string): Promise<unknown>;
  set(key: string, value: string): Promise<unknown>;
  /** The library's way to drop all that is its own; absent where it has none. */
  clear?(): Promise<unknown>;
  close(): unknown;
}

/** How one is opened. */
export interface SharedTierContender {
  readonly name: string;
  /** The peer's name in `peerPackages`. */
  readonly peer: string;
  create(peer: LoadedPeer, url: string, namespace: string): Promise<SharedTier>;
}

interface Emitter {
  on(event: "error", listener: () => void): unknown;
}

/** Errors of a connection must not end the process: what every documentation advises. */
function calmed<T extends Emitter>(emitter: T): T {
  emitter.on("error", () => {});
  return emitter;
}

interface KeyvInstance extends Emitter {
  get(key: string): Promise<unknown>;
  set(key: string, value: string): Promise<unknown>;
  clear(): Promise<unknown>;
  disconnect(): Promise<unknown>;
}

async function createKeyv(peer: LoadedPeer, url: string, namespace: string): Promise<SharedTier> {
  const { Keyv } = (await peer.import("keyv")) as { Keyv: new (options: unknown) => KeyvInstance };
  const { default: KeyvRedis } = (await peer.import("@keyv/redis")) as { default: new (url: string) => Emitter };
  const keyv = calmed(new Keyv({ store: calmed(new KeyvRedis(url)), namespace }));
  return {
    get: (key) => keyv.get(key),
    set: (key, value) => keyv.set(key, value),
    clear: () => keyv.clear(),
    close: () => void keyv.disconnect().catch(() => {}),
  };
}

async function createCacheable(peer: LoadedPeer, url: string, namespace: string): Promise<SharedTier> {
  const { Cacheable } = (await peer.import("cacheable")) as { Cacheable: new (options: unknown) => KeyvInstance };
  const { default: KeyvRedis } = (await peer.import("@keyv/redis")) as { default: new (url: string) => Emitter };
  const cache = calmed(new Cacheable({ primary: calmed(new KeyvRedis(url)), namespace }));
  return {
    get: (key) => cache.get(key),
    set: (key, value) => cache.set(key, value),
    close: () => void cache.disconnect().catch(() => {}),
  };
}

async function createBentocache(peer: LoadedPeer, url: string, namespace: string): Promise<SharedTier> {
  type Store = { useL2Layer(driver: unknown): Store };
  interface Bento {
    get(options: { key: string }): Promise<unknown>;
    set(options: { key: string; value: string }): Promise<unknown>;
    clear(): Promise<unknown>;
    disconnectAll(): Promise<void>;
  }
  const { BentoCache, bentostore } = (await peer.import("bentocache")) as {
    BentoCache: new (options: unknown) => Bento;
    bentostore: () => Store;
  };
  const { redisDriver } = (await peer.import("bentocache/drivers/redis")) as { redisDriver: (options: unknown) => unknown };
  const { Redis } = (await peer.import("ioredis")) as { Redis: new (url: string) => Emitter & { disconnect(): void } };
  const connection = calmed(new Redis(url));
  const cache = new BentoCache({
    default: "store",
    prefix: namespace,
    stores: { store: bentostore().useL2Layer(redisDriver({ connection })) },
  });
  return {
    get: (key) => cache.get({ key }),
    set: (key, value) => cache.set({ key, value }),
    clear: () => cache.clear(),
    close: () => connection.disconnect(),
  };
}

async function createUnstorage(peer: LoadedPeer, url: string, namespace: string): Promise<SharedTier> {
  interface Driver {
    getInstance(): Emitter;
  }
  interface Storage {
    getItem(key: string): Promise<unknown>;
    setItem(key: string, value: string): Promise<unknown>;
    clear(): Promise<unknown>;
    dispose(): Promise<unknown>;
  }
  const { createStorage } = (await peer.import("unstorage")) as { createStorage: (options: unknown) => Storage };
  const { default: redisDriver } = (await peer.import("unstorage/drivers/redis")) as { default: (options: unknown) => Driver };
  const driver = redisDriver({ url, base: namespace });
  calmed(driver.getInstance());
  const storage = createStorage({ driver });
  return {
    get: (key) => storage.getItem(key),
    set: (key, value) => storage.setItem(key, value),
    clear: () => storage.clear(),
    close: () => void storage.dispose().catch(() => {}),
  };
}

async function createNodeRedis(peer: LoadedPeer, url: string, namespace: string): Promise<SharedTier> {
  interface Client extends Emitter {
    connect(): Promise<unknown>;
    get(key: string): Promise<unknown>;
    set(key: string, value: string): Promise<unknown>;
    destroy(): void;
  }
  const { createClient } = (await peer.import("redis")) as { createClient: (options: unknown) => Client };
  const client = calmed(createClient({ url }));
  await client.connect();
  return {
    get: (key) => client.get(`${namespace}:${key}`),
    set: (key, value) => client.set(`${namespace}:${key}`, value),
    close: () => client.destroy(),
  };
}

/** By name; keyv first, since a quick run asks the first alone. */
export const sharedTierPeers: readonly SharedTierContender[] = [
  { name: "keyv + @keyv/redis", peer: "keyv", create: createKeyv },
  { name: "bentocache, L2 alone", peer: "bentocache", create: createBentocache },
  { name: "cacheable over @keyv/redis", peer: "cacheable", create: createCacheable },
  { name: "unstorage", peer: "unstorage", create: createUnstorage },
  { name: "redis (node-redis), GET", peer: "redis", create: createNodeRedis },
];

/** Opens one. @throws {PeerUnavailable} */
export async function openSharedTier(
  contender: SharedTierContender,
  peers: Peers,
  url: string,
  namespace: string,
): Promise<SharedTier & { readonly version: string }> {
  const peer = await peers.load(contender.peer);
  const tier = await contender.create(peer, url, namespace);
  return { ...tier, version: peer.version };
}
