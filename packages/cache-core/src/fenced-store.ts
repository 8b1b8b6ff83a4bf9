import type { InvalidationChannel } from "./bus.ts";
import type { Cache } from "./cache.ts";
import type { BackendCall, InvalidationTarget, Invalidator, Version } from "./invalidation.ts";

/** A live or stale entry of a shared store. */
export interface StoreEntry<V> {
  /** The value, decoded. */
  readonly value: V;
  /** The version captured before the load that made it. */
  readonly version: Version;
  /** Milliseconds since it was stored. */
  readonly ageMs: number;
  /** Milliseconds until its time to live is over; `Infinity` = never; negative inside its stale window. */
  readonly freshMs: number;
  /** Milliseconds until it is gone, stale windows included: > 0. */
  readonly remainingMs: number;
  /** The names it was stored under, for the first tier to judge it by. */
  readonly tags: readonly string[];
}

/** How a value is put into a shared store. */
export interface FillOptions {
  /** Time to live in milliseconds, > 0; `Infinity` = never. */
  readonly ttlMs: number;
  /** Milliseconds >= 0 that the entry is kept past `ttlMs` for stale policies. */
  readonly staleMs: number;
  /** Names under which the entry can be invalidated together with others. */
  readonly tags: readonly string[];
}

/** What a miss takes from the store before the load, and hands back with the value. */
export interface Reservation<V> {
  /** The key as the caller wrote it, without prefix. */
  readonly key: string;
  /** The lane's version before the load: the fill is stamped with it. */
  readonly version: Version;
  /** The key's fence before the load: a fill under another fence is refused. Never equal for two fences, absent ones included. */
  readonly fence: string;
  /** `"owned"`: we load for the fleet. `"held"`: another process loads. `"none"`: no lease was asked for. */
  readonly lease: "owned" | "held" | "none";
  /** An entry that appeared between the read and the reservation. */
  readonly entry: StoreEntry<V> | undefined;
}

/** What became of a fill: stored; refused because the key, a tag or all was invalidated since the reservation; or not known. */
export type FillOutcome = "stored" | "rejected" | "failed";

/** What became of a `replace`: the invalidation in it stands in either case. */
export interface Replacement {
  /** The lane's version after it. */
  readonly version: Version;
  /** Whether the new value is in the store: not when it is too large, or when the store has no room. The former value is gone then, too. */
  readonly isStored: boolean;
}

/** How a wait for another process's load ended: its value is there; it will not be; or its owner is gone or the backend is. */
export type LeaseOutcome = "stored" | "not-stored" | "failed";

/**
 * A second tier: a `Cache` that several processes share, with what the tiers need to keep their promises. None of these calls throws
 * for backend trouble except `invalidate` and `replace`, whose callers must know.
 */
export interface FencedStore<V> extends Cache<V>, Invalidator {
  /** Entries of this store belong to it: names are shared by all processes that mean the same cache. */
  readonly namespace: string;
  /** The entry, live or stale, judged by the current version; `undefined` for a miss and for trouble. */
  read(key: string, call: BackendCall): Promise<StoreEntry<V> | undefined>;
  /** Captures version and fence before a load, and asks for the lease when `lease` is true. `undefined`: the store cannot be used now. */
  reserve(key: string, lease: boolean, call: BackendCall): Promise<Reservation<V> | undefined>;
  /** Stores a loaded value unless the key was invalidated since the reservation, and wakes those who wait for the lease. */
  fill(reservation: Reservation<V>, value: V, options: FillOptions): Promise<FillOutcome>;
  /** Gives an owned lease back without a value and tells the waiters how it ended. Never throws. */
  release(reservation: Reservation<V>, outcome: "not-stored" | "failed"): Promise<void>;
  /** Waits until the holder of a lease has stored, released or vanished. */
  awaitFill(reservation: Reservation<V>, call: BackendCall): Promise<LeaseOutcome>;
  /**
   * `invalidate` of the key that brings the new value in the same atomic step.
   * @throws {CacheError} as `invalidate`; ERR_CACHE_CODEC for a value that the store cannot hold, and then nothing has happened
   */
  replace(key: string, value: V, options: FillOptions, call: BackendCall): Promise<Replacement>;
  /**
   * Of a tag, a pattern or all, whose invalidation failed as a whole: whether the part of the store that holds `key` has acknowledged it,
   * told by the very target object that `invalidate` was given. Absent, or `false`: nobody knows.
   */
  hasReached?(target: InvalidationTarget, key: string): boolean;
  /**
   * Whether the channel speaks of this very store, as far as both have told. `false`, as when bus and store are on different servers or
   * databases: what the channel proves says nothing about invalidations that go through the store. Absent: always `true`.
   */
  isOnChannel?(): boolean;
  /** Hands over the channel whose versions values are judged by while its proof is fresh (`maxStalenessMs`). Without one, each batch reads the version. */
  attach(channel: InvalidationChannel, maxStalenessMs: number): void;
}
