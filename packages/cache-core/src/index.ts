// Users need TieredCache, its options, Cache, the buses, errors and stats; the rest is for those who implement a Cache, a bus or a
// second tier. One sorted list, because the formatter keeps it so.
export type { Mechanism } from "./ablation.ts";
export { ablated } from "./ablation.ts";
export { Budget } from "./budget.ts";
export type { InvalidationBus, InvalidationChannel, InvalidationListener, ResetReason } from "./bus.ts";
export type {
  AbortSignalLike,
  Cache,
  GetOrSetOptions,
  InvalidationResult,
  LoadContext,
  Loader,
  LoadStoreOptions,
  Lookup,
  LookupHit,
  LookupMiss,
  MaybePromise,
  ReadThroughCache,
  SetOptions,
  SyncCache,
} from "./cache.ts";
export { Cancellation } from "./cancellation.ts";
export {
  checkCount,
  checkDurationMs,
  checkEntries,
  checkFlag,
  checkFunction,
  checkKey,
  checkList,
  checkName,
  checkOptions,
  checkShare,
  checkTags,
  checkValue,
  checkWindowMs,
  describeValue,
  type OptionNames,
  SET_OPTIONS,
} from "./check-option.ts";
export type { CancelTimer, Clock } from "./clock.ts";
export { systemClock } from "./clock.ts";
export { EpochTrail } from "./epoch-trail.ts";
export type { CacheErrorCode, CacheErrorDetails } from "./errors.ts";
export { CacheError, cacheErrorCodes } from "./errors.ts";
export type { CacheEvents } from "./events.ts";
export type { FencedStore, FillOptions, FillOutcome, LeaseOutcome, Replacement, Reservation, StoreEntry } from "./fenced-store.ts";
export { escapeGlob, matchesGlob } from "./glob.ts";
export { inSlices } from "./in-slices.ts";
export type { BackendCall, Invalidation, InvalidationTarget, Invalidator, Version } from "./invalidation.ts";
export { isWellFormed } from "./is-well-formed.ts";
export type { KeySpaceOptions } from "./key-space.ts";
export { KeySpace } from "./key-space.ts";
export type { LoadDefaults } from "./load-policy.ts";
export { checkScript, luaPrelude } from "./lua.ts";
export { markOf } from "./mark-of.ts";
export { MemoryInvalidationBus } from "./memory-bus.ts";
export type { DecodedBody } from "./message.ts";
export { decodeBody, decodeMessage, encodeBody, encodeMessage } from "./message.ts";
export type { PendingOptions } from "./pending-invalidations.ts";
export { PendingInvalidations } from "./pending-invalidations.ts";
export type { RandomSource } from "./random.ts";
export { systemRandom } from "./random.ts";
export type { RedisAddress, RedisTarget } from "./redis-url.ts";
export { parseRedisUrl } from "./redis-url.ts";
export type { CacheStats, LatencyHistogram, MutableCounters, StatsState } from "./stats.ts";
export { createCounters, snapshotStats } from "./stats.ts";
export type { StoredEntry } from "./stored-entry.ts";
export { TieredCache } from "./tiered-cache.ts";
export type { TieredCacheOptions } from "./tiered-cache-options.ts";
export type { Judgement, PatternRecord, VersionState } from "./version-record.ts";
export { toVersionState, VersionRecord } from "./version-record.ts";
