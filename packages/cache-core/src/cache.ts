import type { CacheStats } from "./stats.ts";

/** An answer given at once or later. `await` serves both. */
export type MaybePromise<T> = T | Promise<T>;

/** How one value is stored. */
export interface SetOptions {
  /** Time to live in milliseconds, > 0; `Infinity` keeps the entry until it is evicted. @default the cache's own `ttlMs` */
  readonly ttlMs?: number;
  /** Names under which the entry can be invalidated together with others. @default none */
  readonly tags?: readonly string[];
}

/** What `lookup` found: a hit, a value past its time that may still be served on purpose, or nothing. */
export type Lookup<V> = LookupHit<V> | LookupMiss;

/** A value and what is known about it. */
export interface LookupHit<V> {
  /** `"stale"`: past its time to live, inside the stale window asked for when it was stored. */
  readonly status: "hit" | "stale";
  /** The value itself: `null`, `false`, `0` and `""` are values. */
  readonly value: V;
  /** Which tier held it. */
  readonly tier: string;
  /** Milliseconds since it was stored, or loaded where that is known. */
  readonly ageMs: number;
  /** Milliseconds until its time to live is over: `Infinity` for never, negative when stale. */
  readonly remainingMs: number;
}

/** Nothing live under the key. */
export interface LookupMiss {
  /** Tells it from a `LookupHit`. */
  readonly status: "miss";
}

/** A named key-value store with expiry. Every implementation passes the suite in `@larder/cache-testing`. */
export interface Cache<V> {
  /** The live value, or `undefined` on a miss. `null`, `false`, `0` and `""` are values like any other. */
  get(key: string): MaybePromise<V | undefined>;
  /** Like `get`, and tells a miss from a hit, the tier, the age and the time that remains. */
  lookup(key: string): MaybePromise<Lookup<V>>;
  /**
   * Stores a value under a key, in place of what was there. `undefined` is refused: it is the miss.
   * @returns whether it is stored: `false` when it is too large or the backend is away, and then the former value is gone too
   * @throws {CacheError} ERR_CACHE_INVALID_OPTION for a bad `ttlMs`, an `undefined` value, a key that is no string (so do all methods), tags that
   * are no array of strings; ERR_CACHE_CLOSED after close()
   */
  set(key: string, value: V, options?: SetOptions): MaybePromise<boolean>;
  /** Whether a live entry is there. Moves no counter and no eviction order. */
  has(key: string): MaybePromise<boolean>;
  /** Drops one entry in this store only. @returns whether a live entry was there */
  delete(key: string): MaybePromise<boolean>;
  /** One `get` per key, answered in the order of the keys, `undefined` for each miss. */
  getMany(keys: readonly string[]): MaybePromise<Array<V | undefined>>;
  /** One `set` per entry. @returns one answer per entry, in order */
  setMany(entries: ReadonlyArray<readonly [key: string, value: V]>, options?: SetOptions): MaybePromise<boolean[]>;
  /** One `delete` per key. @returns how many live entries were there */
  deleteMany(keys: readonly string[]): MaybePromise<number>;
  /** Drops every entry of this store, and none of its neighbours in the same backend. */
  clear(): MaybePromise<void>;
  /** Live entries. Cost differs: a look at each deadline in memory, where entries have any; a scan of the key space in Redis. */
  size(): MaybePromise<number>;
  /** Counters and state since the cache was made. */
  stats(): CacheStats;
  /** Releases what the cache opened itself. Calling it again is fine; other methods but `stats` throw or reject with ERR_CACHE_CLOSED afterwards. */
  close(): MaybePromise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A cache that answers at once: what a first tier must be. */
export interface SyncCache<V> extends Cache<V> {
  get(key: string): V | undefined;
  lookup(key: string): Lookup<V>;
  set(key: string, value: V, options?: SetOptions): boolean;
  has(key: string): boolean;
  delete(key: string): boolean;
  getMany(keys: readonly string[]): Array<V | undefined>;
  setMany(entries: ReadonlyArray<readonly [key: string, value: V]>, options?: SetOptions): boolean[];
  deleteMany(keys: readonly string[]): number;
  clear(): void;
  size(): number;
  close(): void;
}

/** What a loader is told. */
export interface LoadContext<V> {
  /** The key that is loaded. */
  readonly key: string;
  /** Aborted when the last waiter has left, also by its `timeoutMs`: hand it to `fetch`. */
  readonly signal: AbortSignal;
  /** What `signal` tells, without the cost of an `AbortSignal`: for clients that take anything with `addEventListener`, as undici's `request`. */
  readonly cancellation: AbortSignalLike;
  /** Why the loader runs. */
  readonly reason: "miss" | "stale" | "early" | "forced";
  /** The value that is being replaced, for conditional requests; `undefined` when there is none or it was invalidated. */
  readonly stale: V | undefined;
  /** Sets how this load's value is stored, over what the caller asked for. */
  setOptions(options: LoadStoreOptions): void;
  /** Returns the value to the waiters without storing it. */
  skipStore(): void;
}

/** How a load's value is stored, when the loader knows better than the caller. */
export interface LoadStoreOptions {
  /** Time to live in milliseconds, > 0, or `Infinity`. @default what the caller asked for */
  readonly ttlMs?: number;
  /** Tags in addition to the caller's. @default none */
  readonly tags?: readonly string[];
}

/** Makes the value of a key. `undefined` is returned to the callers and not stored. One that waits for its own key waits for itself. */
export type Loader<V> = (context: LoadContext<V>) => MaybePromise<V | undefined>;

/**
 * What is asked of a caller's signal: every `AbortSignal` has it, and so can something that costs less. Making an `AbortSignal` costs
 * some microseconds on Node 20, which counts where every request brings one.
 */
export interface AbortSignalLike {
  readonly aborted: boolean;
  /** Why; becomes the cause of the error that the caller gets. */
  readonly reason?: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** How a read-through call loads and what it may serve meanwhile. Every field has a default on the cache. */
export interface GetOrSetOptions extends SetOptions {
  /** Milliseconds >= 0 past `ttlMs` in which the old value is served at once while one load runs behind it. @default 0 */
  readonly staleWhileRevalidateMs?: number;
  /** Milliseconds >= 0 past `ttlMs` in which the old value is served when the load fails or times out. @default 0 */
  readonly staleIfErrorMs?: number;
  /** Time to live of `null` in milliseconds, > 0. @default `ttlMs` */
  readonly negativeTtlMs?: number;
  /** Milliseconds > 0 for which a failed load is not tried again: callers get the same error. @default off */
  readonly errorTtlMs?: number;
  /** Share from 0 to 1 by which a time to live is shortened at random, so that entries made together do not expire together. @default 0.1 */
  readonly jitter?: number;
  /** Milliseconds > 0 after which a caller with a usable stale value stops waiting for the load and takes it. @default never */
  readonly softTimeoutMs?: number;
  /**
   * Milliseconds > 0, from the call on, after which this caller gets ERR_CACHE_TIMEOUT, or the stale value where `staleIfErrorMs` allows it, whatever it waits for:
   * the tiers, another process's load, its own. The load is aborted when nobody else waits for it. @default never
   */
  readonly timeoutMs?: number;
  /**
   * Weight >= 0 of early refresh (XFetch): 0 = off, 1 = as the paper; hits shortly before expiry start a load behind them. An entry that came from the
   * second tier is not refreshed early: how long its load took, by which the paper weighs, is known to the process that loaded it. @default 0
   */
  readonly earlyRefresh?: number;
  /** Frees this caller alone when aborted; the load goes on while anyone else waits for it. @default none */
  readonly signal?: AbortSignalLike;
  /** Loads anew and replaces what is stored, even when that is live. @default false */
  readonly forceRefresh?: boolean;
  /** `"fleet"`: one load per key among all processes that share the second tier; `"process"`: one in this process. @default "fleet" */
  readonly singleFlight?: "fleet" | "process";
}

/** What an invalidation did beyond this process. */
export interface InvalidationResult {
  /** Whether the other processes and the second tier have it: `true` too when there are none. */
  readonly propagated: boolean;
  /** Invalidations of this cache that still wait for the backend to come back. They are retried; their keys bypass it meanwhile. */
  readonly pending: number;
}

/** What the composition of tiers adds to a store. */
export interface ReadThroughCache<V> extends Cache<V> {
  /**
   * The live value, else what `loader` makes, stored. Callers of one key at one time share one load. At once on a first-tier hit. `undefined` comes
   * of loaders that give it alone: where one of a key's loaders may, its other callers may get it, too.
   */
  getOrSet(key: string, loader: (context: LoadContext<V>) => MaybePromise<V>, options?: GetOrSetOptions): MaybePromise<V>;
  getOrSet(key: string, loader: Loader<V>, options?: GetOrSetOptions): MaybePromise<V | undefined>;
  /** Drops the key in every tier and tells the other processes; a load begun before this call does not bring the old value back. */
  invalidate(key: string): Promise<InvalidationResult>;
  /** The same for every entry stored with the tag. O(1). */
  invalidateTag(tag: string): Promise<InvalidationResult>;
  /** The same for every key that matches the glob: `*` any run, `?` one character, `\` takes the next one as it is. O(1). */
  invalidateMatching(pattern: string): Promise<InvalidationResult>;
  /** The same for every key of this cache. O(1). */
  invalidateAll(): Promise<InvalidationResult>;
}
