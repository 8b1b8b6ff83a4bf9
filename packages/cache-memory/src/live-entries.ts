import type { Clock } from "@larder/cache-core";
import type { CacheDump, DumpedEntry } from "./cache-dump.ts";
import type { EntryColumns } from "./entry-columns.ts";
import { CARE, COUNT_MASK } from "./entry-state.ts";
import { readValue, type ValueMode } from "./value-mode.ts";

/** The entries whose time is not over, one after the other. What is set or dropped meanwhile may or may not be seen. */
export class LiveEntries<V> {
  readonly #columns: EntryColumns<V>;
  readonly #clock: Clock;
  readonly #values: ValueMode;

  constructor(columns: EntryColumns<V>, clock: Clock, values: ValueMode) {
    this.#columns = columns;
    this.#clock = clock;
    this.#values = values;
  }

  /** An entry's value as reads give it. */
  valueOf(slot: number): V {
    const value = this.#columns.values[slot]!;
    return this.#values === "shared" || (this.#columns.states[slot]! & CARE) === 0 ? value : readValue(value, this.#values);
  }

  *keys(): IterableIterator<string> {
    for (const slot of this.#slots()) yield this.#columns.keys[slot]!;
  }

  *entries(): IterableIterator<[key: string, value: V]> {
    for (const slot of this.#slots()) yield [this.#columns.keys[slot]!, this.valueOf(slot)];
  }

  dump(): CacheDump<V> {
    const now = this.#clock.now();
    return { format: 1, dumpedAt: this.#clock.wallNow(), entries: Array.from(this.#slots(), (slot) => this.#describe(slot, now)) };
  }

  #describe(slot: number, now: number): DumpedEntry<V> {
    const remainingMs = this.#columns.deadlineOf(slot) - now;
    return {
      key: this.#columns.keys[slot]!,
      value: this.valueOf(slot),
      ageMs: Math.max(0, now - this.#columns.storedAt(slot)),
      uses: this.#columns.states[slot]! & COUNT_MASK,
      ...(remainingMs === Infinity ? {} : { remainingMs }),
    };
  }

  *#slots(): IterableIterator<number> {
    for (let slot = 0; slot < this.#columns.used; slot += 1) {
      if (this.#columns.keys[slot] !== undefined && !this.#columns.isExpired(slot, this.#clock)) yield slot;
    }
  }
}
