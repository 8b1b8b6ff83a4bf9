import { DivisionTuner } from "./division-tuner.ts";
import type { EntryColumns } from "./entry-columns.ts";
import { COUNT_MASK, SAMPLED } from "./entry-state.ts";
import { type Division, type PolicyHost, WindowedSieve } from "./windowed-sieve.ts";

/** Emptied slots that may wait in the queues: so many, and this share of the entries. */
const MAX_EMPTIED = 64;
const MAX_EMPTIED_SHARE = 1 / 8;
/** Entries that one eviction looks at for the sample. */
const MARKS_PER_EVICTION = 64;
/** By which share of the entries the window grows or shrinks while as many entries are evicted as the cache holds. */
const RESIZED_PER_TURNOVER = 0.2;

/** Decides what goes when there is no room. Hits are not told, except those of sampled entries: they leave their trace in the state byte. */
export class EvictionPolicy implements PolicyHost {
  readonly #columns: EntryColumns<unknown>;
  readonly #hash: (key: string) => number;
  readonly #regions: WindowedSieve;
  #tuner: DivisionTuner | undefined;
  #emptied = 0;
  #unmarked = 0;
  #share = DivisionTuner.first.share;

  constructor(columns: EntryColumns<unknown>, hash: (key: string) => number) {
    this.#columns = columns;
    this.#hash = hash;
    this.#regions = new WindowedSieve(this, DivisionTuner.first);
  }

  get states(): Uint8Array {
    return this.#columns.states;
  }

  /** A new entry is in the slot. */
  added(slot: number, key: string): void {
    const tuner = this.#tuner;
    if (!tuner) {
      this.#regions.added(slot, 0);
      return;
    }
    const hash = this.#hash(key);
    this.#regions.added(slot, hash);
    if (!tuner.isRecording || !tuner.isSampled(hash)) return;
    this.#columns.states[slot]! |= SAMPLED;
    tuner.record(hash);
  }

  /** A sampled entry was asked for. While nobody records, the mark goes, so that its next hits take the short path. */
  sampled(slot: number): void {
    if (this.#tuner?.isRecording) this.#tuner.record(this.hashOf(slot));
    else this.#columns.states[slot]! &= ~SAMPLED;
  }

  /** The slot was emptied, other than by `evict`. It stays in its queue until the policy comes across it. */
  removed(_slot: number): void {
    this.#emptied += 1;
    if (this.#emptied > MAX_EMPTIED + this.#regions.length * MAX_EMPTIED_SHARE) this.#regions.compact();
  }

  /** Chooses the slot that goes. The cache holds at least one entry. @param hits so far @param insertions new entries so far */
  evict(hits: number, insertions: number): number {
    const accesses = hits + insertions;
    this.#tune(hits, accesses);
    return this.#regions.evict(accesses);
  }

  #tune(hits: number, accesses: number): void {
    let tuner = this.#tuner;
    if (!tuner) {
      tuner = new DivisionTuner(this.#regions.length);
      this.#tuner = tuner;
      this.#unmarked = this.#columns.used;
    } else if (tuner.resumes(hits, accesses)) {
      this.#unmarked = this.#columns.used;
    }
    if (this.#unmarked > 0) this.#mark(tuner);
    this.#regions.division = this.#approach(tuner.division);
  }

  /** Moves the window's size towards the chosen one. Nothing is lost by a choice that the next review takes back. */
  #approach({ share, promotes }: Division): Division {
    if (this.#share === share && this.#regions.division.promotes === promotes) return this.#regions.division;
    const step = RESIZED_PER_TURNOVER / this.#regions.length;
    this.#share = share > this.#share ? Math.min(share, this.#share + step) : Math.max(share, this.#share - step);
    return { share: this.#share, promotes };
  }

  /** Marks the sampled entries that were there before the simulations ran, and tells these of them: a few with each eviction. */
  #mark(tuner: DivisionTuner): void {
    const { keys, states } = this.#columns;
    const until = Math.max(0, this.#unmarked - MARKS_PER_EVICTION);
    while (this.#unmarked > until) {
      this.#unmarked -= 1;
      const slot = this.#columns.used - 1 - this.#unmarked;
      const key = keys[slot];
      if (key === undefined || (states[slot]! & SAMPLED) !== 0) continue;
      const hash = this.#hash(key);
      if (!tuner.isSampled(hash)) continue;
      states[slot]! |= SAMPLED;
      tuner.seed(hash, (states[slot]! & COUNT_MASK) > 1);
    }
  }

  clear(): void {
    this.#regions.clear();
    this.#emptied = 0;
    this.#unmarked = 0;
  }

  hashOf(slot: number): number {
    return this.#hash(this.#columns.keys[slot]!);
  }

  isEmptied(slot: number): boolean {
    return this.#columns.keys[slot] === undefined;
  }

  recycle(slot: number): void {
    this.#emptied -= 1;
    this.#columns.give(slot);
  }
}
