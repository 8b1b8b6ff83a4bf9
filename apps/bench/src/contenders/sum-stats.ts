import type { CacheStats } from "@larder/cache-core";

type Counter = "hits" | "misses" | "staleHits" | "invalidations" | "loads" | "loadErrors" | "coalesced";

/** What the caches of one process counted in all, and what the fullest holds: each has its limit. */
export function sumStats([first, ...rest]: readonly [CacheStats, ...CacheStats[]]): CacheStats {
  const sum = (counter: Counter): number => rest.reduce((total, stats) => total + stats[counter], first[counter]);
  const sums = { hits: sum("hits"), misses: sum("misses"), staleHits: sum("staleHits"), invalidations: sum("invalidations") };
  const ofLoads = { loads: sum("loads"), loadErrors: sum("loadErrors"), coalesced: sum("coalesced") };
  return { ...first, ...sums, ...ofLoads, entries: Math.max(...[first, ...rest].map(({ entries = 0 }) => entries)) };
}
