import type { CacheStats } from "@larder/cache-core";

/** What one life of a process was asked for, as the application counts it. */
export interface Asked {
  /** Reads: `get` and `getOrSet`. */
  reads: number;
  /** Reads without a loader that have not been answered: a second tier counts them when it answers. */
  open: number;
  /** Reads without a loader that were answered with a value: hits. */
  found: number;
  /** Loaders called since nothing was there, or nothing that was wanted: each for a reader at least, who missed. */
  missed: number;
  /** Calls of `invalidate*`. */
  invalidations: number;
  /** Loaders called. */
  loaders: number;
  /** Loaders that have failed. */
  failed: number;
}

/** Holds a cache's own counters to what it was asked for (I22), and what it holds to its limit (I18). @returns what is wrong */
export function checkBooks(stats: CacheStats, asked: Asked, maxEntries: number): string[] {
  const problems: string[] = [];
  const { hits, misses, staleHits, invalidations, loads, loadErrors, coalesced, entries = 0 } = stats;
  if (asked.open === 0 && hits + misses !== asked.reads) problems.push(`I22 ${hits} hits and ${misses} misses of ${asked.reads} reads`);
  if (invalidations !== asked.invalidations) problems.push(`I22 ${invalidations} invalidations counted of ${asked.invalidations}`);
  if (hits < asked.found) problems.push(`I22 ${hits} hits counted, and ${asked.found} reads were answered with a value`);
  if (misses < asked.missed) problems.push(`I22 ${misses} misses counted, and ${asked.missed} loads were called for them`);
  if (loads !== asked.loaders) problems.push(`I22 ${loads} loads counted of ${asked.loaders} loaders called`);
  // Those are errors as well that took too long, or that nobody waited for any more.
  if (loadErrors < asked.failed || loadErrors > loads)
    problems.push(`I22 ${loadErrors} errors of ${loads} loads, ${asked.failed} have failed`);
  if (coalesced > asked.reads) problems.push(`I22 ${coalesced} of ${asked.reads} reads joined a load`);
  if (staleHits > asked.reads) problems.push(`I22 ${staleHits} stale hits of ${asked.reads} reads`);
  if (entries > maxEntries) problems.push(`I18 ${entries} entries, at most ${maxEntries} are allowed`);
  return problems;
}
