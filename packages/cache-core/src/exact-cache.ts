import type { Cache, MaybePromise, SetOptions } from "./cache.ts";
import { checkFunction, checkOptions, type OptionNames } from "./check-option.ts";
import { type RequestSource, readRequest } from "./keys/canonical-request.ts";
import { type KeyScope, KeyScopes } from "./keys/key-scope.ts";
import type { Endpoint } from "./keys/request-fields.ts";
import { requestKey } from "./keys/request-key.ts";

/** How an `ExactCache` makes its keys. */
export interface ExactCacheOptions {
  /**
   * What the requests are. `"exact"`: of any shape, and every field counts. An endpoint of the API: fields that do not change the answer
   * (`stream`, `user`, `metadata`, …) do not count, see `fieldRoles`. @default "exact"
   */
  readonly endpoint?: Endpoint;
  /** Whose answers these are; caches over one store with different tenants do not see each other. @default "default" */
  readonly tenant?: string;
  /** A partition within the tenant. @default "" */
  readonly namespace?: string;
}

const OPTIONS: OptionNames<ExactCacheOptions> = { endpoint: true, tenant: true, namespace: true };

/**
 * Counters of one `ExactCache` since it was made or cleared: a snapshot.
 * - `get` of a stored request: `hits` + 1; of any other: `misses` + 1.
 */
export interface ExactCacheStats {
  /** Requests that had an answer here. */
  readonly hits: number;
  /** Requests that had none. */
  readonly misses: number;
  /** Entries in the store now, whoever wrote them. */
  readonly size: number;
  /** `hits + misses`. */
  readonly total: number;
  /** `hits / total`, from 0 to 1; 0 before the first `get`. */
  readonly hitRate: number;
}

interface Invalidates {
  invalidate(key: string): Promise<unknown>;
}

/** A second tier by itself has an `invalidate` too, of targets and not of keys: what is one is known by its `reserve`. */
function canInvalidate(cache: object): cache is Invalidates {
  return "invalidate" in cache && typeof cache.invalidate === "function" && !("reserve" in cache);
}

function then<T, R>(value: MaybePromise<T>, next: (value: T) => R): MaybePromise<R> {
  // Not `instanceof`: zone.js and bluebird put another class in the place of `Promise`, and an async function's promise is none of it.
  const isPromise = typeof (value as Partial<Promise<T>> | null | undefined)?.then === "function";
  return isPromise ? (value as Promise<T>).then(next) : next(value as T);
}

/**
 * An exact-match cache by request: `get(request)`, `put(request, response)`. Two requests are the same when they mean the same JSON, so the
 * order of properties and `1` against `1.0` do not matter and everything else does. Bound, time to live and what happens when the backend is
 * away are the store's. Over a synchronous store the answers come at once.
 */
export class ExactCache<V> {
  readonly #cache: Cache<V>;
  readonly #scope: KeyScope;
  #hits = 0;
  #misses = 0;

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION */
  constructor(cache: Cache<V>, options: ExactCacheOptions = {}) {
    checkOptions(options, OPTIONS);
    const { endpoint = "exact", tenant = "default", namespace = "" } = options;
    // Else a store that is missing, or a wiring that gave the wrong thing, shows at the first request.
    checkFunction("cache.get", (cache as Partial<Cache<V>> | null | undefined)?.get, " of a Cache such as MemoryCache");
    this.#cache = cache;
    this.#scope = new KeyScopes().of({ endpoint, tenant, namespace });
  }

  /** The key under which a request is stored. @throws {CacheError} ERR_CACHE_INVALID_REQUEST */
  keyOf(request: RequestSource): string {
    return requestKey(this.#scope, readRequest(this.#scope.endpoint, request));
  }

  /** The stored response, or `undefined`. @throws {CacheError} ERR_CACHE_INVALID_REQUEST when the request is not plain JSON */
  get(request: RequestSource): MaybePromise<V | undefined> {
    return then(this.#cache.get(this.keyOf(request)), (response) => {
      if (response === undefined) this.#misses += 1;
      else this.#hits += 1;
      return response;
    });
  }

  /** Stores a response, in place of what was there. @returns whether it is stored. @throws {CacheError} ERR_CACHE_INVALID_REQUEST */
  put(request: RequestSource, response: V, options?: SetOptions): MaybePromise<boolean> {
    return this.#cache.set(this.keyOf(request), response, options);
  }

  /**
   * Drops a request's response; over a cache that has `invalidate(key)`, as a `TieredCache`, in every tier and process.
   * @returns whether a live one was there. @throws {CacheError} ERR_CACHE_INVALID_REQUEST
   */
  invalidate(request: RequestSource): MaybePromise<boolean> {
    const key = this.keyOf(request);
    const cache = this.#cache;
    if (!canInvalidate(cache)) return cache.delete(key);
    return then(cache.has(key), (wasThere) => cache.invalidate(key).then(() => wasThere)) as Promise<boolean>;
  }

  /** Drops every entry of the store and sets the counters to zero. */
  clear(): MaybePromise<void> {
    this.#hits = 0;
    this.#misses = 0;
    return this.#cache.clear();
  }

  /** Counters and size. Costs what the store's `size()` costs: a look at each deadline in memory, a scan in Redis. */
  stats(): MaybePromise<ExactCacheStats> {
    const total = this.#hits + this.#misses;
    const counters = { hits: this.#hits, misses: this.#misses, total, hitRate: total === 0 ? 0 : this.#hits / total };
    return then(this.#cache.size(), (size) => ({ ...counters, size }));
  }
}
