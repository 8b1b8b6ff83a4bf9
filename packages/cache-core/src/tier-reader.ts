import type { SyncCache } from "./cache.ts";
import { checkKey } from "./check-option.ts";
import type { Clock } from "./clock.ts";
import type { FencedStore, StoreEntry } from "./fenced-store.ts";
import type { Servable, StoredEntry } from "./stored-entry.ts";
import type { TierParts } from "./tier-parts.ts";

/** Where a `TierReader` reads. */
export interface TierReaderOptions<V> extends Pick<TierParts<V>, "marks" | "proof" | "flights" | "runner" | "desk"> {
  readonly l1: SyncCache<StoredEntry<V>>;
  readonly clock: Clock;
}

/** Judges what the tiers have: what a read may be answered with, and whether it is stale. */
export class TierReader<V> {
  readonly #options: TierReaderOptions<V>;

  constructor(options: TierReaderOptions<V>) {
    this.#options = options;
  }

  /** Judges an entry of the first tier in full. @throws {CacheError} ERR_CACHE_INVALID_OPTION for a key that is no string */
  find(key: string, entry: StoredEntry<V> | undefined): Servable<V> | undefined {
    if (entry === undefined) {
      checkKey(key);
      return undefined;
    }
    const { clock, marks, proof } = this.#options;
    const now = clock.now();
    if (now >= entry.expiresAt || !proof.covers(entry.capturedAt, now)) return undefined;
    const current = entry.epoch === marks.epoch ? entry : this.#revalidate(key, entry, now);
    return current && { status: now < current.staleAt ? "hit" : "stale", entry: current };
  }

  /** What the second tier has; kept in the first one, too, when nothing was invalidated meanwhile. */
  async read(l2: FencedStore<V>, key: string): Promise<Servable<V> | undefined> {
    const { flights, desk, runner } = this.#options;
    const captured = flights.capture(key);
    let found: StoreEntry<V> | undefined;
    try {
      if (!desk.covers(key)) found = await l2.read(key, runner.createCall());
    } catch (error) {
      runner.pardon(error);
    }
    if (!found) return undefined;
    const entry = runner.adopt(captured, found, captured.capturedAt);
    return entry && { status: found.freshMs > 0 ? "hit" : "stale", entry };
  }

  /** Whether the second tier has a live entry. */
  async has(l2: FencedStore<V>, key: string): Promise<boolean> {
    const { desk, runner } = this.#options;
    try {
      return !desk.covers(key) && (await l2.has(key));
    } catch (error) {
      runner.pardon(error);
      return false;
    }
  }

  /** Something was invalidated since the entry was captured: keeps it under the current epoch, or drops it, by its own key and tags. */
  #revalidate(key: string, entry: StoredEntry<V>, now: number): StoredEntry<V> | undefined {
    const { l1, marks } = this.#options;
    if (!marks.isValid(entry.epoch, key, entry.tags)) {
      l1.delete(key);
      return undefined;
    }
    const current = { ...entry, epoch: marks.epoch };
    l1.set(key, current, { ttlMs: entry.expiresAt - now });
    return current;
  }
}
