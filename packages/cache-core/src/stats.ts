/** Counts of latencies by upper bound: `counts[i]` calls took at most `boundsMs[i]`, the last one all that took longer. */
export interface LatencyHistogram {
  /** Upper bounds in milliseconds, ascending. */
  readonly boundsMs: readonly number[];
  /** One count per bound, and one more for what took longer than the last. */
  readonly counts: readonly number[];
  /** Sum of all latencies in milliseconds. */
  readonly sumMs: number;
}

/**
 * Counters of one cache since it was made: a snapshot, which later calls do not change.
 * - A read (`get`, `lookup`, `getOrSet`, each key of `getMany`) of a live entry: `hits` + 1; of an absent or expired one: `misses` + 1.
 *   So `hits + misses` is the number of reads. `has` counts as neither. A `getOrSet` is counted once it is known which of them it is, a hit
 *   where the second tier had the value.
 * - A value served past its time on purpose: `staleHits` + 1. It is a hit when it is served at once, a miss when a load was waited for.
 * - A loader called: `loads` + 1; when it fails also `loadErrors` + 1. A caller who shares another's load: `coalesced` + 1.
 * - A value stored: `sets` + 1. A value too large or not admitted: `rejectedSets` + 1. A load's value refused because the key was
 *   invalidated meanwhile: `rejectedFills` + 1.
 * - An entry dropped for room: `evictions` + 1; for age: `expirations` + 1. `delete` and `clear` count as neither. Of tiers these are the first
 *   tier's, as `entries` and `bytes` are.
 * - `invalidate*` called here: `invalidations` + 1; heard from another process: `remoteInvalidations` + 1, own echoes not.
 * - `clear()` empties the cache and leaves the counters alone.
 */
export interface CacheStats {
  /** Reads answered with a live value, or at once with a stale one. */
  readonly hits: number;
  /** Reads that found nothing live, those that a load then answered included. */
  readonly misses: number;
  /** Values served past their time to live on purpose. */
  readonly staleHits: number;
  /** Loaders called. */
  readonly loads: number;
  /** Loaders that threw, timed out or were cancelled. */
  readonly loadErrors: number;
  /** Callers who shared the load of another caller. */
  readonly coalesced: number;
  /** Values stored by `set`, `setMany` or a load. */
  readonly sets: number;
  /** Values that were too large, or not admitted. */
  readonly rejectedSets: number;
  /** Loaded values not stored because their key was invalidated meanwhile. */
  readonly rejectedFills: number;
  /** Entries dropped for room. */
  readonly evictions: number;
  /** Entries dropped for age. */
  readonly expirations: number;
  /** Calls of `invalidate*` here. */
  readonly invalidations: number;
  /** Invalidations heard from other processes, own echoes left out. */
  readonly remoteInvalidations: number;
  /** Calls that failed in the backend and were answered as a miss, or whose write did not happen. */
  readonly errors: number;
  /** Milliseconds spent without proof that invalidations arrive, or with the backend bypassed. */
  readonly degradedMs: number;
  /** Whether that is so now. */
  readonly isDegraded: boolean;
  /** Entries held now; `undefined` where counting would cost a scan (Redis). */
  readonly entries: number | undefined;
  /** Bytes held now, keys included, as accounted for `maxBytes`; `undefined` where that is not known. */
  readonly bytes: number | undefined;
  /** Latency of reads that left the process; `undefined` for a cache in memory. */
  readonly latency: LatencyHistogram | undefined;
  /** The tiers below, by name; empty for a single store. */
  readonly tiers: Readonly<Record<string, CacheStats>>;
}

/** The counters of `CacheStats` while they are counted. */
export interface MutableCounters {
  hits: number;
  misses: number;
  staleHits: number;
  loads: number;
  loadErrors: number;
  coalesced: number;
  sets: number;
  rejectedSets: number;
  rejectedFills: number;
  evictions: number;
  expirations: number;
  invalidations: number;
  remoteInvalidations: number;
  errors: number;
}

/** Counters at zero: what an implementation counts into and spreads into its `stats()`. */
export function createCounters(): MutableCounters {
  return {
    hits: 0,
    misses: 0,
    staleHits: 0,
    loads: 0,
    loadErrors: 0,
    coalesced: 0,
    sets: 0,
    rejectedSets: 0,
    rejectedFills: 0,
    evictions: 0,
    expirations: 0,
    invalidations: 0,
    remoteInvalidations: 0,
    errors: 0,
  };
}

/** What a snapshot adds to the counters. */
export type StatsState = Partial<Omit<CacheStats, keyof MutableCounters>>;

/** Freezes counters and state into a snapshot. */
export function snapshotStats(counters: MutableCounters, state: StatsState = {}): CacheStats {
  return Object.freeze({
    ...counters,
    degradedMs: 0,
    isDegraded: false,
    entries: undefined,
    bytes: undefined,
    latency: undefined,
    tiers: {},
    ...state,
  });
}
