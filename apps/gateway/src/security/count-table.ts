import { KeyCounts } from "./key-counts.ts";
import { MINUTE_MS } from "./minute-count.ts";

/** Keys and addresses counted at most. */
const MAX_KEYS = 100_000;

/** The counts of all keys and addresses. Bounded: callers come under as many addresses as they like. */
export class CountTable {
  readonly #counts = new Map<string, KeyCounts>();
  readonly #maxKeys: number;
  #sweptAt = Number.NEGATIVE_INFINITY;

  /** @param maxKeys integer >= 1 */
  constructor(maxKeys: number = MAX_KEYS) {
    this.#maxKeys = maxKeys;
  }

  /** @param now monotonic milliseconds */
  of(keyId: string, now: number): KeyCounts {
    const known = this.#counts.get(keyId);
    if (known) return known;
    if (this.#counts.size >= this.#maxKeys) this.#makeRoom(now);
    const counts = new KeyCounts();
    this.#counts.set(keyId, counts);
    return counts;
  }

  /** Once a minute, what counts no more goes; else whoever came first and is not being answered. */
  #makeRoom(now: number): void {
    if (this.#sweptAt + MINUTE_MS <= now) {
      this.#sweptAt = now;
      for (const [id, counts] of this.#counts) if (counts.touchedAt + MINUTE_MS <= now && !counts.isRunning) this.#counts.delete(id);
    }
    if (this.#counts.size < this.#maxKeys) return;
    for (const [id, counts] of this.#counts) {
      if (counts.isRunning) continue;
      this.#counts.delete(id);
      return;
    }
  }
}
