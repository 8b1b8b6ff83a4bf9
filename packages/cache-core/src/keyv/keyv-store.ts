import type { Cache, MaybePromise } from "../cache.ts";

/** A cache that can list what it holds, as `MemoryCache` can. Without it Keyv's `iterator()` is not offered. */
interface Listable {
  entries(): Iterable<readonly [key: string, value: unknown]> | AsyncIterable<readonly [key: string, value: unknown]>;
}

/** How a cache stands below Keyv. */
export interface KeyvStoreOptions {
  /** Prefix that Keyv puts before its keys, followed by a colon: `clear` and `iterator` then keep to it. Keyv sets it by itself. @default none */
  readonly namespace?: string;
}

/**
 * A Keyv store over any larder cache, so that `keyv`, `cacheable` and `cache-manager` have it below them: `new Keyv({ store: new KeyvStore(cache) })`.
 * Keyv brings its own envelope with an expiry; the time to live is told to the cache as well, so that entries leave memory in time.
 *
 * Keyv's words are kept: a `ttl` of 0 or none is no time to live here, where larder itself refuses 0.
 */
export class KeyvStore {
  /** Set by Keyv, which also puts it before each key. */
  namespace: string | undefined;
  /** Read by Keyv to tell the store from a plain Map. */
  readonly opts: { readonly dialect: string; readonly url: string } = { dialect: "redis", url: "" };
  readonly #cache: Cache<unknown>;

  constructor(cache: Cache<unknown>, options: KeyvStoreOptions = {}) {
    this.#cache = cache;
    this.namespace = options.namespace;
  }

  get(key: string): MaybePromise<unknown> {
    return this.#cache.get(key);
  }

  getMany(keys: readonly string[]): MaybePromise<unknown[]> {
    return this.#cache.getMany(keys);
  }

  /** @param ttl milliseconds; 0 or none: until evicted */
  set(key: string, value: unknown, ttl?: number): MaybePromise<boolean> {
    // Keyv stores undefined as a value; for a cache it is the miss.
    if (value === undefined) return then(this.#cache.delete(key), () => true);
    return this.#cache.set(key, value, { ttlMs: ttl !== undefined && ttl > 0 ? ttl : Number.POSITIVE_INFINITY });
  }

  async setMany(entries: ReadonlyArray<{ readonly key: string; readonly value: unknown; readonly ttl?: number }>): Promise<boolean[]> {
    return Promise.all(entries.map(({ key, value, ttl }) => this.set(key, value, ttl)));
  }

  delete(key: string): MaybePromise<boolean> {
    return this.#cache.delete(key);
  }

  /** @returns whether any of them was there */
  deleteMany(keys: readonly string[]): MaybePromise<boolean> {
    return then(this.#cache.deleteMany(keys), (deleted) => deleted > 0);
  }

  has(key: string): MaybePromise<boolean> {
    return this.#cache.has(key);
  }

  async hasMany(keys: readonly string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.#cache.has(key)));
  }

  /** Drops the namespace where the cache can list its keys, else everything. */
  async clear(): Promise<void> {
    if (!this.namespace || !isListable(this.#cache)) return this.#cache.clear();
    const keys: string[] = [];
    for await (const [key] of this.iterator(this.namespace)) keys.push(key);
    await this.#cache.deleteMany(keys);
  }

  /** Keys as they were given to the store, with Keyv's prefix, and their values. */
  async *iterator(namespace?: string): AsyncGenerator<[key: string, value: unknown]> {
    if (!isListable(this.#cache)) return;
    const prefix = namespace ? `${namespace}:` : "";
    for await (const [key, value] of this.#cache.entries()) if (key.startsWith(prefix)) yield [key, value];
  }

  /** Keyv listens for the errors of its store. A larder cache has none to tell: it misses and counts. */
  on(_event: string, _listener: (...values: unknown[]) => void): this {
    return this;
  }

  /** Leaves the cache open: it is not the store's. */
  async disconnect(): Promise<void> {}
}

function isListable(cache: Cache<unknown>): cache is Cache<unknown> & Listable {
  return "entries" in cache && typeof cache.entries === "function";
}

function then<From, To>(value: MaybePromise<From>, convert: (value: From) => To): MaybePromise<To> {
  return value instanceof Promise ? value.then(convert) : convert(value);
}
