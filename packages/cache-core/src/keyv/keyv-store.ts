import type { Cache } from "../cache.ts";
import { checkFunction, checkOptions, type OptionNames } from "../check-option.ts";

/** A cache that can list what it holds, as `MemoryCache` can. Without it the store has no `iterator()`. */
interface Listable {
  entries(): Iterable<readonly [key: string, value: unknown]> | AsyncIterable<readonly [key: string, value: unknown]>;
}

/** How a cache stands below Keyv. */
export interface KeyvStoreOptions {
  /** Prefix that Keyv puts before its keys, followed by a colon: `clear` and `iterator` then keep to it. Keyv sets it by itself. @default none */
  readonly namespace?: string;
}

const OPTIONS: OptionNames<KeyvStoreOptions> = { namespace: true };

/**
 * A Keyv store over any larder cache, so that `keyv`, `cacheable` and `cache-manager` have it below them: `new Keyv({ store: new KeyvStore(cache) })`.
 * Keyv brings its own envelope with an expiry; the time to live is told to the cache as well, so that entries leave memory in time.
 *
 * Keyv's words are kept: a `ttl` of 0 or none is no time to live here, where larder itself refuses 0.
 *
 * One class serves Keyv 5 and 6, which look at a store in different ways. Keyv 6 takes one whose methods are not native `async` functions for a
 * Map, which is told no time to live; and one that has a `namespace` when it is handed over for one that puts prefixes before keys by itself.
 * So the methods are `async` even over a synchronous cache, and `namespace` is not there until somebody sets it. Keyv 5 calls an `iterator` that is
 * there, be it `undefined`: both are declared, not defined.
 */
export class KeyvStore {
  /** Set by Keyv 5, which also puts it before each key; Keyv 6 keeps its own. */
  declare namespace?: string | undefined;
  /** Read by Keyv 5 to tell the store from a plain Map. */
  readonly opts: { readonly dialect: string; readonly url: string } = { dialect: "redis", url: "" };
  /** Keys as they were given to the store, with Keyv's prefix, and their values. Not there when the cache cannot list what it holds. */
  declare readonly iterator?: (namespace?: string) => AsyncGenerator<[key: string, value: unknown]>;
  readonly #cache: Cache<unknown>;

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION for what is no cache, or an option of another name: without its namespace, `clear` drops everything */
  constructor(cache: Cache<unknown>, options: KeyvStoreOptions = {}) {
    checkOptions(options, OPTIONS);
    // A Map has most of its methods, and no times to live.
    checkFunction("cache.lookup", (cache as Cache<unknown> | undefined)?.lookup, " of a Cache such as MemoryCache");
    this.#cache = cache;
    if (options.namespace !== undefined) this.namespace = options.namespace;
    if (isListable(cache)) this.iterator = (namespace) => listed(cache, namespace);
  }

  async get(key: string): Promise<unknown> {
    return this.#cache.get(key);
  }

  async getMany(keys: readonly string[]): Promise<unknown[]> {
    return this.#cache.getMany(keys);
  }

  /** @param ttl milliseconds; 0 or none: until evicted */
  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    // Keyv stores undefined as a value; for a cache it is the miss.
    if (value === undefined) {
      await this.#cache.delete(key);
      return true;
    }
    return this.#cache.set(key, value, { ttlMs: ttl !== undefined && ttl > 0 ? ttl : Number.POSITIVE_INFINITY });
  }

  async setMany(entries: ReadonlyArray<{ readonly key: string; readonly value: unknown; readonly ttl?: number }>): Promise<boolean[]> {
    return Promise.all(entries.map(({ key, value, ttl }) => this.set(key, value, ttl)));
  }

  async delete(key: string): Promise<boolean> {
    return this.#cache.delete(key);
  }

  /** @returns whether any of them was there */
  async deleteMany(keys: readonly string[]): Promise<boolean> {
    return (await this.#cache.deleteMany(keys)) > 0;
  }

  async has(key: string): Promise<boolean> {
    return this.#cache.has(key);
  }

  async hasMany(keys: readonly string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.#cache.has(key)));
  }

  /** Drops the namespace where the cache can list its keys, else everything. */
  async clear(): Promise<void> {
    if (!this.namespace || !this.iterator) return this.#cache.clear();
    const keys: string[] = [];
    for await (const [key] of this.iterator(this.namespace)) keys.push(key);
    await this.#cache.deleteMany(keys);
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

async function* listed(cache: Listable, namespace?: string): AsyncGenerator<[key: string, value: unknown]> {
  const prefix = namespace ? `${namespace}:` : "";
  for await (const [key, value] of cache.entries()) if (key.startsWith(prefix)) yield [key, value];
}
