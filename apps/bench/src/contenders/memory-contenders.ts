import { MemoryCache } from "@larder/cache-memory";
import { type Peers, PeerUnavailable } from "../peers.ts";
import type { Role, UnavailableContender } from "../scenario.ts";
import { leftOutOfQuick } from "./left-out-of-quick.ts";

/** What every contender of the memory scenario can do. */
export interface BareCache {
  get(key: string): unknown;
  set(key: string, value: unknown): unknown;
}

/** A contender, and how one of its caches is made. */
export interface MemoryContender {
  readonly name: string;
  readonly role: Role;
  readonly version?: string;
  readonly note?: string;
  readonly create: (maxEntries: number) => BareCache;
}

/** The physical limit with a bound: a `Map` behind a class, which drops the oldest entry. Nothing simpler is a cache. */
class MapWrapper implements BareCache {
  readonly #map = new Map<string, unknown>();
  /** One iterator for life: a new one would walk past all that was deleted since the Map last cleaned itself. */
  readonly #oldest = this.#map.keys();
  readonly #maxEntries: number;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get(key: string): unknown {
    return this.#map.get(key);
  }

  set(key: string, value: unknown): void {
    if (this.#map.size >= this.#maxEntries && !this.#map.has(key)) this.#map.delete(this.#oldest.next().value!);
    this.#map.set(key, value);
  }
}

export const MAP_WRAPPER = "wrapper round Map";
export const OURS = "larder MemoryCache";
export const OURS_WITH_TTL = "larder MemoryCache, ttlMs";
export const OURS_WITH_DIGESTS = "larder MemoryCache, digest keys";

/** The limit, the control that shows the noise, and ours in its modes. */
export const ownContenders: readonly MemoryContender[] = [
  { name: MAP_WRAPPER, role: "limit", create: (maxEntries) => new MapWrapper(maxEntries) },
  { name: `${MAP_WRAPPER}, again`, role: "control", create: (maxEntries) => new MapWrapper(maxEntries) },
  { name: OURS, role: "ours", create: (maxEntries) => new MemoryCache({ maxEntries }) },
  { name: OURS_WITH_TTL, role: "ours", create: (maxEntries) => new MemoryCache({ maxEntries, ttlMs: 3_600_000 }) },
  { name: OURS_WITH_DIGESTS, role: "ours", create: (maxEntries) => new MemoryCache({ maxEntries, keys: "digest" }) },
];

type Constructor = new (options: unknown, more?: unknown) => BareCache;

interface PeerForm {
  readonly package: string;
  readonly export: string;
  readonly create: (made: Constructor, maxEntries: number) => BareCache;
}

const TTL_MS = 3_600_000;

/** How each peer is made, by the name of its row. */
const peerForms: Readonly<Record<string, PeerForm>> = {
  "lru-cache": { package: "lru-cache", export: "LRUCache", create: (LRUCache, max) => new LRUCache({ max }) },
  "lru-cache, ttl": { package: "lru-cache", export: "LRUCache", create: (LRUCache, max) => new LRUCache({ max, ttl: TTL_MS }) },
  "quick-lru": { package: "quick-lru", export: "default", create: (QuickLRU, maxSize) => new QuickLRU({ maxSize }) },
  "tiny-lru": { package: "tiny-lru", export: "LRU", create: (LRU, max) => new LRU(max) },
  mnemonist: { package: "mnemonist", export: "LRUMap", create: (LRUMap, capacity) => new LRUMap(capacity) },
  "sieve-cache": { package: "sieve-cache", export: "SieveCache", create: (SieveCache, capacity) => new SieveCache(capacity) },
  "@isaacs/ttlcache, ttl": {
    package: "@isaacs/ttlcache",
    export: "TTLCache",
    create: (TTLCache, max) => new TTLCache({ max, ttl: TTL_MS }),
  },
  transitory: {
    package: "transitory",
    export: "BoundedCache",
    create: (BoundedCache, maxSize) => new TransitoryCache(BoundedCache, maxSize),
  },
};

interface Transitory {
  getIfPresent(key: string): unknown;
  set(key: string, value: unknown): unknown;
}

/** Its `get` is called otherwise, and a miss is `null`. */
class TransitoryCache implements BareCache {
  readonly #cache: Transitory;

  constructor(BoundedCache: Constructor, maxSize: number) {
    this.#cache = new BoundedCache({ maxSize }) as unknown as Transitory;
  }

  get(key: string): unknown {
    return this.#cache.getIfPresent(key) ?? undefined;
  }

  set(key: string, value: unknown): void {
    this.#cache.set(key, value);
  }
}

/** The slowest two: at 100,000 entries a set of ttlcache walks all that is about to expire, a quarter of a second for each batch. */
const LEFT_OUT_OF_QUICK: readonly string[] = ["@isaacs/ttlcache, ttl", "transitory"];

/** Peers whose evictions walk all that is held: a table of 100,000 entries or more would take them hours. */
const TOO_SLOW_WHEN_LARGE: readonly string[] = ["@isaacs/ttlcache, ttl"];

/** Says of a peer that it is left out of a large table; `undefined` when it is not. */
export function tooSlowWhenLarge(contender: string): UnavailableContender | undefined {
  if (!TOO_SLOW_WHEN_LARGE.includes(contender)) return undefined;
  const why = "left out here: each set that evicts walks every instant at which something expires, which takes hours at this size";
  return { contender, why, install: "its row in the table of 1,000 entries shows the order of it" };
}

/** Names of the peers' rows. */
export const memoryPeerNames: readonly string[] = Object.keys(peerForms);

/** One peer by the name of its row. @throws {PeerUnavailable} */
export async function loadMemoryPeer(name: string, peers: Peers): Promise<MemoryContender> {
  const form = peerForms[name];
  if (!form) throw new PeerUnavailable(name, `no peer is called ${name}`, "add it to contenders/memory-contenders.ts");
  const peer = await peers.load(form.package);
  const made = findExport(await peer.import(form.package), form.export);
  if (!made) throw new PeerUnavailable(name, `has no export ${form.export}`, "pin a version that has");
  return { name, role: "peer", version: peer.version, create: (maxEntries) => form.create(made, maxEntries) };
}

/** Loads the peers, and says which could not be. */
export async function loadMemoryPeers(
  peers: Peers,
  isQuick: boolean,
): Promise<{ contenders: MemoryContender[]; unavailable: UnavailableContender[] }> {
  const contenders: MemoryContender[] = [];
  const unavailable: UnavailableContender[] = [];
  for (const name of memoryPeerNames) {
    if (isQuick && LEFT_OUT_OF_QUICK.includes(name)) {
      unavailable.push(leftOutOfQuick(name));
      continue;
    }
    try {
      contenders.push(await loadMemoryPeer(name, peers));
    } catch (error) {
      if (!(error instanceof PeerUnavailable)) throw error;
      unavailable.push({ contender: name, why: error.message, install: error.install });
    }
  }
  return { contenders, unavailable };
}

/** Named exports of a CommonJS peer may be found on its default export alone. */
function findExport(loaded: Record<string, unknown>, name: string): Constructor | undefined {
  const direct = loaded[name] ?? (loaded.default as Record<string, unknown> | undefined)?.[name];
  return typeof direct === "function" ? (direct as Constructor) : undefined;
}
