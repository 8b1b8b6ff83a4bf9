import type { EntryColumns } from "./entry-columns.ts";
import { VISITED } from "./entry-state.ts";

/** What the cache asks its policy. Hits are not told: they leave their trace in the entry's state byte. */
export class EvictionPolicy {
  readonly #columns: EntryColumns<unknown>;
  #hand = 0;

  constructor(columns: EntryColumns<unknown>) {
    this.#columns = columns;
  }

  /** A new entry is in the slot. */
  added(_slot: number): void {}

  /** The slot was emptied, other than by `evict`. */
  removed(_slot: number): void {}

  /** Chooses the slot that goes. The cache holds at least one entry. */
  evict(kept: number): number {
    const { keys, states } = this.#columns;
    while (true) {
      if (this.#hand >= this.#columns.used) this.#hand = 0;
      const slot = this.#hand;
      this.#hand += 1;
      if (keys[slot] === undefined || slot === kept) continue;
      if ((states[slot]! & VISITED) === 0) return slot;
      states[slot]! &= ~VISITED;
    }
  }

  clear(): void {
    this.#hand = 0;
  }
}
