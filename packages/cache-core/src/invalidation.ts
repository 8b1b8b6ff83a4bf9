import type { Budget } from "./budget.ts";
import type { InvalidationChannel } from "./bus.ts";
import type { AbortSignalLike } from "./cache.ts";

/**
 * A place in the order of one lane's invalidations. Sequence numbers compare only inside one epoch; an epoch is 128 random bits, so
 * that a lost or restored version record starts a new one and can never make old entries valid again.
 */
export interface Version {
  /** Random, 128 bits in hexadecimal digits. Another one: nothing from before is valid. */
  readonly epoch: string;
  /** Integer >= 0: how many invalidations this lane has seen in this epoch. */
  readonly seq: number;
}

/** What an invalidation drops. */
export type InvalidationTarget =
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "tag"; readonly tag: string }
  | { readonly kind: "pattern"; readonly pattern: string }
  | { readonly kind: "all" };

/** An invalidation as it is heard: what, by whom, and its place in the lane's order. */
export interface Invalidation extends Version {
  /** The bus instance that published it. */
  readonly origin: string;
  /** What was invalidated. */
  readonly target: InvalidationTarget;
}

/** The limits under which a backend is asked. */
export interface BackendCall {
  /** What the caller may still wait. */
  readonly budget: Budget;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal?: AbortSignalLike;
  /**
   * The same target object was sent before and failed, and this is no new invalidation: what has acknowledged it need not do so again.
   * @default false
   */
  readonly isRepeat?: boolean;
  /**
   * The channel of the cache that calls, which has dropped the target already: the message carries its origin. Several caches may have one store
   * below them. @default the channel that the store was attached to last
   */
  readonly channel?: InvalidationChannel | undefined;
}

/**
 * Where invalidations are made durable and told to the other processes. A shared second tier does it in the same atomic step that drops
 * its own entry; without a second tier the bus runs the log and the publication alone.
 */
export interface Invalidator {
  /**
   * One atomic step: fence, delete, log, publish. Runs on every lane for a tag, a pattern or all.
   * @returns the version of the (last) lane after it
   * @throws {CacheError} ERR_CACHE_BACKEND or ERR_CACHE_TIMEOUT when it did not happen, or nobody knows; it may be repeated
   */
  invalidate(target: InvalidationTarget, call: BackendCall): Promise<Version>;
}
