import type { InvalidationBus } from "./bus.ts";
import type { SyncCache } from "./cache.ts";
import { checkCount, checkDurationMs, checkFunction, checkName, checkOptions, type OptionNames } from "./check-option.ts";
import { type Clock, systemClock } from "./clock.ts";
import { CacheError } from "./errors.ts";
import type { FencedStore } from "./fenced-store.ts";
import { LOAD_DEFAULTS, type LoadDefaults, type LoadPolicy, toDefaultPolicy } from "./load-policy.ts";
import { type RandomSource, systemRandom } from "./random.ts";
import type { StoredEntry } from "./stored-entry.ts";

/** What a `TieredCache` is composed of, and the defaults of its read-through calls. */
export interface TieredCacheOptions<V> extends LoadDefaults {
  /**
   * The first tier, in this process: `new MemoryCache()`, whose type, where it is written down, is `MemoryCache<StoredEntry<V>>`. It belongs to the
   * composition from now on: nobody else writes to it.
   */
  readonly l1: SyncCache<StoredEntry<V>>;
  /** The second tier, shared with other processes. What it is told directly, as by its own `clear`, the caches above it in this process do not hear. @default none */
  readonly l2?: FencedStore<V>;
  /** Carries invalidations to the caches of the same name in other processes, and theirs here. @default none: staleness is bounded by the time to live alone */
  readonly bus?: InvalidationBus;
  /**
   * Time to live in milliseconds, > 0, of what is stored without one of its own; `Infinity` keeps entries until they are evicted. The tiers' own `ttlMs`
   * count for nothing here: each entry comes to them with its time. @default 60000 (a minute)
   */
  readonly ttlMs?: number;
  /** The cache's name on the bus. Must be the second tier's where there is one. @default the second tier's, else "default" */
  readonly namespace?: string;
  /**
   * Milliseconds > 0 for which an entry of the first tier may be served without newer proof that no invalidation was missed. `Infinity`:
   * until its time to live is over, for data that may be stale and says so. Sensible values are between 500 and 10000. @default 1000
   */
  readonly maxStalenessMs?: number;
  /** Milliseconds > 0 that one call may wait for the second tier and the bus in all, its loader's time apart. @default 50 */
  readonly backendBudgetMs?: number;
  /** Failed invalidations held for retry at most, integer >= 1. Beyond, one invalidation of all takes their place. @default 10000 */
  readonly maxPendingInvalidations?: number;
  /** @default the machine's */
  readonly clock?: Clock;
  /** @default the machine's */
  readonly random?: RandomSource;
}

const OPTIONS: OptionNames<TieredCacheOptions<unknown>> = {
  ...LOAD_DEFAULTS,
  l1: true,
  l2: true,
  bus: true,
  namespace: true,
  maxStalenessMs: true,
  backendBudgetMs: true,
  maxPendingInvalidations: true,
  clock: true,
  random: true,
};

/** The options after defaults and checks. */
export interface TieredCacheSettings<V> {
  readonly l1: SyncCache<StoredEntry<V>>;
  readonly l2: FencedStore<V> | undefined;
  readonly bus: InvalidationBus | undefined;
  readonly namespace: string;
  /** What calls load by when they do not say. */
  readonly policy: LoadPolicy;
  readonly maxStalenessMs: number;
  readonly backendBudgetMs: number;
  readonly maxPendingInvalidations: number;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** Applies the defaults. @throws {CacheError} ERR_CACHE_INVALID_OPTION naming the option that is out of range */
export function resolveTieredOptions<V>(options: TieredCacheOptions<V>): TieredCacheSettings<V> {
  checkOptions(options, OPTIONS);
  const { l1, l2, bus, clock = systemClock, random = systemRandom } = options;
  const { maxStalenessMs = 1_000, backendBudgetMs = 50, maxPendingInvalidations = 10_000 } = options;
  if (l2) checkFunction("l2.reserve", l2.reserve, " of a FencedStore such as RedisCache");
  // An array of buses has a join, too: of strings.
  if (bus) checkFunction("bus.join", bus.originId && bus.join, " of an InvalidationBus");
  // Names that Date and Math.random have not: those would do until the first load, or the first timeout.
  checkFunction("clock.wallNow", clock?.wallNow, " of a Clock");
  checkFunction("random.next", random?.next);
  const namespace = checkName("namespace", options.namespace ?? l2?.namespace ?? "default");
  if (l2 && l2.namespace !== namespace) {
    throw new CacheError("ERR_CACHE_INVALID_OPTION", "namespace must be the one of l2: both name the same cache in Redis");
  }
  // A name that neither a Map nor a Redis client has.
  checkFunction("l1.lookup", l1?.lookup, " of a SyncCache such as MemoryCache");
  return {
    l1,
    l2,
    bus,
    namespace,
    policy: toDefaultPolicy(options),
    maxStalenessMs: checkDurationMs("maxStalenessMs", maxStalenessMs),
    backendBudgetMs: checkDurationMs("backendBudgetMs", backendBudgetMs),
    maxPendingInvalidations: checkCount("maxPendingInvalidations", maxPendingInvalidations),
    clock,
    random,
  };
}
