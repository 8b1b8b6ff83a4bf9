import type { CacheStats } from "@larder/cache-core";

/** What one life of a process was asked for, as the application counts it. */
export interface Asked {
  /** Reads: `get` and `getOrSet`. */
  reads: number;
  /** Reads without a loader that have not been answered: a second tier counts them when it answers. */
  open: number;
  /** Calls of `invalidate*`. */
  invalidations: number;
  /** Loaders called. */
  loaders: number;
}

/** Holds a cache's own counters to what it was asked for (I22), and what it holds to its limit (I18). @returns what is wrong */
export function checkBooks(stats: CacheStats, asked: Asked, maxEntries: number): string[] {
  const problems: string[] = [];
  const { hits, misses, staleHits, invalidations, loads, entries = 0 } = stats;
  if (asked.open === 0 && hits + misses !== asked.reads) problems.push(`I22 ${hits} hits and ${misses} misses of ${asked.reads} reads`);
  if (invalidations !== asked.invalidations) problems.push(`I22 ${invalidations} invalidations counted of ${asked.invalidations}`);
  if (loads < asked.loaders) problems.push(`I22 ${loads} loads counted of ${asked.loaders} loaders called`);
  if (staleHits > asked.reads) problems.push(`I22 ${staleHits} stale hits of ${asked.reads} reads`);
  if (entries > maxEntries) problems.push(`I18 ${entries} entries, at most ${maxEntries} are allowed`);
  return problems;
}
