import type { InvalidationBus } from "./bus.ts";
import type { SyncCache } from "./cache.ts";
import type { Clock } from "./clock.ts";
import type { FencedStore } from "./fenced-store.ts";
import type { LoadDefaults } from "./load-policy.ts";
import type { RandomSource } from "./random.ts";
import type { StoredEntry } from "./stored-entry.ts";

/** What a `TieredCache` is composed of, and the defaults of its read-through calls. */
export interface TieredCacheOptions<V> extends LoadDefaults {
  /** The first tier, in this process. It belongs to the composition from now on: nobody else writes to it. */
  readonly l1: SyncCache<StoredEntry<V>>;
  /** The second tier, shared with other processes. @default none */
  readonly l2?: FencedStore<V>;
  /** Carries invalidations to the caches of the same name in other processes, and theirs here. @default none: staleness is bounded by the time to live alone */
  readonly bus?: InvalidationBus;
  /** Time to live in milliseconds, > 0, of what is stored without one of its own; `Infinity` keeps entries until they are evicted. @default 60000 (a minute) */
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
