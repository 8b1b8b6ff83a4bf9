import type { MaybePromise } from "./cache.ts";
import type { Invalidation, InvalidationTarget, Invalidator } from "./invalidation.ts";
import type { VersionRecord } from "./version-record.ts";

/** Why a listener must drop everything that it holds. */
export type ResetReason =
  | "epoch-changed" // the version record was lost, or the server is another one
  | "log-lost" // the log no longer covers the gap since the last message heard
  | "overflow"; // too many invalidations to tell them apart

/** What a channel tells the cache that joined it. Called synchronously, in the order of the lane. */
export interface InvalidationListener {
  /** An invalidation by another origin, told at least once. Own echoes are not told. */
  onInvalidation(invalidation: Invalidation): void;
  /** Messages may have been missed for good: nothing held so far may be served again. */
  onReset(reason: ResetReason): void;
  /**
   * Proof that everything published before `provenAt` (monotonic milliseconds; `Infinity` for a bus that cannot lose messages) has
   * been told. Not called again: the proof ages.
   */
  onProof(provenAt: number): void;
  /**
   * The bus was closed under its caches: what is proved now stands as of this call, and no proof follows. Told by a bus whose proof does
   * not age by itself; the others' caches find out as it does.
   */
  onProofLost?(): void;
}

/** One cache's membership in a bus. */
export interface InvalidationChannel extends Invalidator {
  /** Monotonic milliseconds up to which nothing was missed; `-Infinity` before the first proof, `Infinity` if nothing can be missed. */
  readonly lastProofAt: number;
  /** Lanes that it follows: what a second tier tells on others is not heard. Absent: there are none to miss. */
  readonly laneCount?: number;
  /** What is known of the lane's version as of the last proof; `undefined` before the first. A second tier judges its values by it. */
  version(lane: number): VersionRecord | undefined;
  /**
   * The epoch of which the lane's server told last, proved or not; empty before its first answer. By it a second tier sees whether the bus hears what goes
   * through its server. Absent: that of `version`.
   */
  epochOf?(lane: number): string;
  /** Whether the lane's record has left an epoch: a second tier that finds it judges nothing by it. Absent: nobody knows. */
  hasLeft?(lane: number, epoch: string): boolean;
  /**
   * The message body for a second tier that logs and publishes by itself: it carries this channel's origin, so that the echo is known
   * as our own, and a signature where the bus signs.
   */
  encodeBody(target: InvalidationTarget): string;
  /** Resolves at the first proof. @throws {CacheError} ERR_CACHE_CLOSED when the channel is left before it */
  ready(): Promise<void>;
  /** Stops listening. Calling it again is fine. */
  leave(): void;
}

/** Carries invalidations between the caches of one namespace: in one process, one machine, or a fleet. */
export interface InvalidationBus {
  /** Names this bus instance in its messages; random, so that two instances in one process are told apart. */
  readonly originId: string;
  /** Joins the caches called `namespace`. */
  join(namespace: string, listener: InvalidationListener): InvalidationChannel;
  /** Leaves all channels and releases what the bus opened itself. Calling it again is fine. */
  close(): MaybePromise<void>;
}
