import {
  CacheError,
  type CacheStats,
  type Clock,
  checkDurationMs,
  checkEntries,
  checkKey,
  checkList,
  checkOptions,
  checkTags,
  createCounters,
  type Lookup,
  SET_OPTIONS,
  type SetOptions,
  type SyncCache,
  snapshotStats,
} from "@larder/cache-core";

interface NaiveEntry<V> {
  readonly value: V;
  readonly storedAt: number;
  readonly expiresAt: number;
}

/** What a `NaiveCache` is made of. */
export interface NaiveCacheOptions {
  readonly clock: Clock;
  /** Time to live in milliseconds of entries set without one, > 0. @default Infinity */
  readonly ttlMs?: number;
}

/**
 * The contract of a synchronous cache in the fewest lines: a `Map`, no bound, no policy. The model that implementations are compared
 * with, and a first tier for tests in which eviction would be noise. Not for production: it grows without end.
 */
export class NaiveCache<V> implements SyncCache<V> {
  readonly #entries: Map<string, NaiveEntry<V>> = new Map();
  readonly #counters: ReturnType<typeof createCounters> = createCounters();
  readonly #clock: Clock;
  readonly #ttlMs: number;
  #isClosed = false;

  constructor(options: NaiveCacheOptions) {
    this.#clock = options.clock;
    this.#ttlMs = checkDurationMs("ttlMs", options.ttlMs ?? Infinity);
  }

  get(key: string): V | undefined {
    const entry = this.#live(key);
    this.#counters[entry ? "hits" : "misses"] += 1;
    return entry?.value;
  }

  lookup(key: string): Lookup<V> {
    const entry = this.#live(key);
    this.#counters[entry ? "hits" : "misses"] += 1;
    if (!entry) return { status: "miss" };
    const now = this.#clock.now();
    return { status: "hit", value: entry.value, tier: "naive", ageMs: now - entry.storedAt, remainingMs: entry.expiresAt - now };
  }

  set(key: string, value: V, options: SetOptions = {}): boolean {
    this.#checkOpen();
    checkKey(key);
    if (value === undefined) throw new CacheError("ERR_CACHE_INVALID_OPTION", "value must not be undefined");
    checkOptions(options, SET_OPTIONS);
    const ttlMs = options.ttlMs === undefined ? this.#ttlMs : checkDurationMs("ttlMs", options.ttlMs);
    checkTags(options.tags);
    const now = this.#clock.now();
    this.#entries.set(key, { value, storedAt: now, expiresAt: now + ttlMs });
    this.#counters.sets += 1;
    return true;
  }

  has(key: string): boolean {
    return this.#live(key) !== undefined;
  }

  delete(key: string): boolean {
    return this.#live(key) !== undefined && this.#entries.delete(key);
  }

  getMany(keys: readonly string[]): Array<V | undefined> {
    this.#checkOpen();
    return checkList("keys", keys).map((key) => this.get(key));
  }

  setMany(entries: ReadonlyArray<readonly [key: string, value: V]>, options: SetOptions = {}): boolean[] {
    this.#checkOpen();
    return checkEntries(entries).map(([key, value]) => this.set(key, value, options));
  }

  deleteMany(keys: readonly string[]): number {
    this.#checkOpen();
    return checkList("keys", keys).filter((key) => this.delete(key)).length;
  }

  clear(): void {
    this.#checkOpen();
    this.#entries.clear();
  }

  size(): number {
    this.#checkOpen();
    return this.#count();
  }

  stats(): CacheStats {
    return snapshotStats(this.#counters, { entries: this.#count() });
  }

  close(): void {
    this.#isClosed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #count(): number {
    const now = this.#clock.now();
    return [...this.#entries.values()].filter((entry) => now < entry.expiresAt).length;
  }

  #live(key: string): NaiveEntry<V> | undefined {
    this.#checkOpen();
    checkKey(key);
    const entry = this.#entries.get(key);
    return entry && this.#clock.now() < entry.expiresAt ? entry : undefined;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new CacheError("ERR_CACHE_CLOSED", "the cache has been closed");
  }
}
