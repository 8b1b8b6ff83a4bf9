import type { CacheStats } from "@larder/cache-core";

type Counter = "hits" | "misses" | "staleHits" | "invalidations" | "loads";

/** What the caches of one process counted in all, and what the fullest holds: each has its limit. */
export function sumStats([first, ...rest]: readonly [CacheStats, ...CacheStats[]]): CacheStats {
  const sum = (counter: Counter): number => rest.reduce((total, stats) => total + stats[counter], first[counter]);
  const sums = { hits: sum("hits"), misses: sum("misses"), staleHits: sum("staleHits"), invalidations: sum("invalidations") };
  return { ...first, ...sums, loads: sum("loads"), entries: Math.max(...[first, ...rest].map(({ entries = 0 }) => entries)) };
}
