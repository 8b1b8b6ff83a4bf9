import { type Cache, systemClock } from "@larder/cache-core";
import { CountedCache } from "./counted-cache.ts";
import type { DescribeCacheOptions, MissingCapability } from "./describe-cache-options.ts";
import { Suite } from "./suite.ts";

/** The longest step that a test of times is repeated in, as a multiple of the first. */
const LONGEST_STEP = 16;
const TOO_LATE: Error = new Error("the machine was too busy to tell");

/** What the parts of the cache suite are written with: the test functions, and caches that are held to their counters. */
export class CacheSuite extends Suite<DescribeCacheOptions> {
  /** Runs the test, or reports it as skipped under the declared reason. Parts take it out of the suite. */
  readonly when = (capability: MissingCapability["capability"], title: string, run: () => Promise<void>): void => {
    const missing = this.options.lacks?.find((lack) => lack.capability === capability);
    if (missing) this.it.skip(`${title} (lacks ${capability}: ${missing.reason})`, run);
    else this.it(title, run);
  };

  /** Runs a test on a cache of its own, whose counters must add up afterwards. @param ttlMs its default time to live */
  readonly withCache = async (run: (cache: Cache<unknown>) => Promise<void>, ttlMs?: number): Promise<void> => {
    const cache = new CountedCache(await this.options.create(ttlMs === undefined ? {} : { ttlMs }));
    try {
      await run(cache);
      this.#checkCounters(cache);
    } finally {
      await cache.close();
    }
  };

  /**
   * Runs a test of times in the steps that the implementation can tell apart. One on the machine's own time does not wait for a machine that is
   * busy, and an entry may be over by the time at which it is asked for: then what was found says nothing, and the test is repeated in longer steps.
   * @param run is given the step in milliseconds, and what ends it where more steps than so many have passed since its begin
   */
  readonly inSteps = async (run: (unit: number, mustBeWithin: (steps: number) => void) => Promise<void>): Promise<void> => {
    const shortest = this.options.ttlResolutionMs ?? 1;
    for (let unit = shortest; ; unit *= 2) {
      const startedAt = systemClock.now();
      const isLast = unit >= shortest * LONGEST_STEP;
      try {
        await run(unit, (steps) => {
          if (!isLast && systemClock.now() - startedAt >= steps * unit) throw TOO_LATE;
        });
        return;
      } catch (error) {
        if (error !== TOO_LATE) throw error;
      }
    }
  };

  #checkCounters(cache: CountedCache): void {
    const { expect } = this;
    const { hits, misses, staleHits, sets, rejectedSets, entries = 0 } = cache.stats();
    expect({ reads: hits + misses, sets: sets + rejectedSets }).toEqual({ reads: cache.reads, sets: cache.stored + cache.refused });
    expect(sets).toBeGreaterThanOrEqual(cache.stored);
    expect(staleHits).toBeLessThanOrEqual(hits + misses);
    expect(entries).toBeLessThanOrEqual(sets);
  }
}
