import { MemoryCache } from "@larder/cache-memory";
import { type Peers, PeerUnavailable } from "../peers.ts";
import type { Role, UnavailableContender } from "../scenario.ts";

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

type Constructor = new (options: unknown) => BareCache;

/** How each peer is made. */
const peerForms: Readonly<
  Record<string, { readonly export: string; readonly create: (made: Constructor, maxEntries: number) => BareCache }>
> = {
  "lru-cache": { export: "LRUCache", create: (LRUCache, max) => new LRUCache({ max }) },
  "quick-lru": { export: "default", create: (QuickLRU, maxSize) => new QuickLRU({ maxSize }) },
  "tiny-lru": { export: "LRU", create: (LRU, max) => new LRU(max) },
  mnemonist: { export: "LRUMap", create: (LRUMap, capacity) => new LRUMap(capacity) },
  "sieve-cache": { export: "SieveCache", create: (SieveCache, capacity) => new SieveCache(capacity) },
};

/** Loads the peers, and says which could not be. */
export async function loadMemoryPeers(peers: Peers): Promise<{ contenders: MemoryContender[]; unavailable: UnavailableContender[] }> {
  const contenders: MemoryContender[] = [];
  const unavailable: UnavailableContender[] = [];
  for (const [name, form] of Object.entries(peerForms)) {
    try {
      const peer = await peers.load(name);
      const made = findExport(await peer.import(name), form.export);
      if (!made) throw new PeerUnavailable(name, `has no export ${form.export}`, "pin a version that has");
      contenders.push({ name, role: "peer", version: peer.version, create: (maxEntries) => form.create(made, maxEntries) });
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
