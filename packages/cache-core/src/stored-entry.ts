import type { Lookup } from "./cache.ts";

/** What the first tier holds under a key: the value and what decides whether it may be served. Made by `TieredCache`; never changed. */
export interface StoredEntry<V> {
  readonly value: V;
  /** Monotonic milliseconds when its load or read began: the data is not younger than this. */
  readonly capturedAt: number;
  /** Monotonic milliseconds when it was stored, as far back as the second tier tells. */
  readonly storedAt: number;
  /** Monotonic milliseconds when its time to live is over; `Infinity` = never. */
  readonly staleAt: number;
  /** Monotonic milliseconds when it is gone, stale windows included. */
  readonly expiresAt: number;
  /** The process-wide invalidation epoch captured before its load. */
  readonly epoch: number;
  /** Milliseconds that its load took: what early refresh weighs. 0 where not known. */
  readonly loadMs: number;
  readonly tags: readonly string[];
}

/** An entry that may be served: fresh, or past its time to live and within what a stale policy may still allow. */
export interface Servable<V> {
  readonly status: "hit" | "stale";
  readonly entry: StoredEntry<V>;
}

/** An entry for a value that was given, not loaded: as old as now, and never stale. */
export function createStoredEntry<V>(
  value: V,
  { now, ttlMs, epoch, tags }: { readonly now: number; readonly ttlMs: number; readonly epoch: number; readonly tags: readonly string[] },
): StoredEntry<V> {
  const endsAt = now + ttlMs;
  return { value, capturedAt: now, storedAt: now, staleAt: endsAt, expiresAt: endsAt, epoch, loadMs: 0, tags };
}

/** What `lookup` tells of an entry that was found in a tier. */
export function describeEntry<V>(found: Servable<V> | undefined, tier: string, now: number): Lookup<V> {
  if (!found) return { status: "miss" };
  const { value, storedAt, staleAt } = found.entry;
  return { status: found.status, value, tier, ageMs: now - storedAt, remainingMs: staleAt - now };
}
