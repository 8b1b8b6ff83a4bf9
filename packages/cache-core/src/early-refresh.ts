import type { RandomSource } from "./random.ts";
import type { StoredEntry } from "./stored-entry.ts";

/**
 * Whether a hit refreshes its entry behind itself: the nearer the end and the longer the load took, the likelier (XFetch [Vattani, Chierichetti,
 * Lowenstein: Optimal probabilistic cache stampede prevention. VLDB 2015]).
 * @param weight 0 = never, 1 = as the paper
 */
export function isRefreshDue(entry: StoredEntry<unknown>, now: number, weight: number, random: RandomSource): boolean {
  return weight > 0 && now - entry.loadMs * weight * Math.log(1 - random.next()) >= entry.staleAt;
}
