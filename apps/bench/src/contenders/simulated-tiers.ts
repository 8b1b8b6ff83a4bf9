import { type StoredEntry, TieredCache, type TieredCacheOptions } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import type { ProcessContext } from "@larder/cache-testing";

/** Milliseconds; short, so that schedules are. */
export const SIMULATED_STALENESS_MS = 600;

/** A tiered cache above what it is given. */
export function createTiered(
  { clock, random, ttlMs, maxEntries }: ProcessContext,
  parts: Pick<TieredCacheOptions<unknown>, "bus" | "l2">,
  namespace: string = "sim",
): TieredCache<unknown> {
  const l1 = new MemoryCache<StoredEntry<unknown>>({ clock, maxEntries });
  return new TieredCache<unknown>({
    l1,
    namespace,
    clock,
    random,
    ttlMs,
    maxStalenessMs: SIMULATED_STALENESS_MS,
    jitter: 0,
    ...parts,
  });
}
