import { CacheError } from "@larder/cache-core";

/** One entry of a dump. */
export interface DumpedEntry<V> {
  /** The key as it was set. */
  readonly key: string;
  /** The value, as a hit would give it. */
  readonly value: V;
  /** Milliseconds that were left of its time to live; absent = never expires. */
  readonly remainingMs?: number;
  /** Milliseconds since it was stored. */
  readonly ageMs: number;
  /** Hits the policy remembered, so that a restored cache knows what is hot. */
  readonly uses: number;
}

/** A copy of a cache's entries as plain data: JSON keeps it whole when it keeps the values whole. */
export interface CacheDump<V> {
  /** The layout of a dump; another one is refused. */
  readonly format: 1;
  /** Wall-clock instant, epoch milliseconds: time that passes until `restore` is taken off the time to live. */
  readonly dumpedAt: number;
  /** Live entries, in no order that means anything. */
  readonly entries: ReadonlyArray<DumpedEntry<V>>;
}

/** An entry of a dump whose time is not over, with times as of now. */
export interface RestorableEntry<V> {
  readonly key: string;
  readonly value: V;
  /** Milliseconds that are left, > 0; `Infinity` = never expires. */
  readonly ttlMs: number;
  readonly ageMs: number;
  readonly uses: number;
}

/**
 * What of a dump can be restored, the most used last: where not all fit, they are the ones that stay. Damaged entries are left out.
 * @param now epoch milliseconds @throws {CacheError} ERR_CACHE_CODEC when it is not a dump
 */
export function restorableEntries<V>(dump: CacheDump<V>, now: number): ReadonlyArray<RestorableEntry<V>> {
  const { dumpedAt, entries } = checkDump(dump);
  const elapsedMs = Math.max(0, now - dumpedAt);
  const restorable = entries
    .filter((entry) => isDumpedEntry(entry, dumpedAt))
    .map(({ key, value, remainingMs = Infinity, ageMs, uses }) => {
      return { key, value, ttlMs: remainingMs - elapsedMs, ageMs: ageMs + elapsedMs, uses };
    });
  return restorable.filter(({ ttlMs }) => ttlMs > 0).toSorted((one, other) => one.uses - other.uses);
}

/** Passes a dump that `restore` can read. @throws {CacheError} ERR_CACHE_CODEC for anything else */
function checkDump<V>(dump: CacheDump<V>): CacheDump<V> {
  if (typeof dump !== "object" || dump === null || dump.format !== 1 || !Array.isArray(dump.entries) || !Number.isFinite(dump.dumpedAt))
    throw new CacheError("ERR_CACHE_CODEC", "restore needs what dump() gave: an object with format 1, dumpedAt and entries");
  return dump;
}

/** Whether an entry of a dump is one: damaged ones are left out and the rest is restored. */
function isDumpedEntry(entry: unknown, dumpedAt: number): boolean {
  if (typeof entry !== "object" || entry === null) return false;
  const { key, value, remainingMs, ageMs } = entry as Partial<DumpedEntry<unknown>>;
  const hasTime = remainingMs === undefined || typeof remainingMs === "number";
  // An age below 0 would be a stamp of the far future, one before the wall clock's first instant of the far past: the ages of all others would be told as
  // coarsely as that one.
  return typeof key === "string" && value !== undefined && hasTime && typeof ageMs === "number" && ageMs >= 0 && ageMs <= dumpedAt;
}
