import type { Cache } from "@larder/cache-core";
import { CountedCache } from "./counted-cache.ts";
import type { DescribeCacheOptions, MissingCapability } from "./describe-cache-options.ts";
import { resolveTestApi, type TestApi } from "./test-api.ts";

/** What the parts of the cache suite are written with: the test functions, and caches that are held to their counters. */
export class CacheSuite {
  readonly options: DescribeCacheOptions;
  readonly describe: TestApi["describe"];
  readonly it: TestApi["it"];
  readonly expect: TestApi["expect"];
  /** The step of times to live, in milliseconds. */
  readonly unit: number;

  constructor(options: DescribeCacheOptions) {
    const { describe, it, expect } = resolveTestApi(options.testApi);
    this.options = options;
    this.describe = describe;
    this.it = it;
    this.expect = expect;
    this.unit = options.ttlResolutionMs ?? 1;
  }

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

  #checkCounters(cache: CountedCache): void {
    const { expect } = this;
    const { hits, misses, staleHits, sets, rejectedSets, entries = 0 } = cache.stats();
    expect({ reads: hits + misses, sets: sets + rejectedSets }).toEqual({ reads: cache.reads, sets: cache.stored + cache.refused });
    expect(sets).toBeGreaterThanOrEqual(cache.stored);
    expect(staleHits).toBeLessThanOrEqual(hits + misses);
    expect(entries).toBeLessThanOrEqual(sets);
  }
}
