import { FrequencySketch } from "../src/frequency-sketch.ts";
import type { Division } from "../src/windowed-sieve.ts";

/** An entry as the essay in `eviction-policy.ts` tells of it. */
export interface NaiveEntry {
  readonly slot: number;
  readonly hash: number;
  count: number;
  isVisited: boolean;
  isMain: boolean;
  /** Dropped other than by eviction, and not come across since. */
  isEmptied: boolean;
}

const MOST_COUNT = 15;

/** The policy once more, as plain lists from the oldest to the newest and the place of the hand. */
export class NaiveWindowedSieve {
  division: Division;
  window: NaiveEntry[] = [];
  main: NaiveEntry[] = [];
  #hand = 0;
  #sketch: FrequencySketch | undefined;
  #sketchCapacity = 0;
  #agedAt = 0;
  #room = { window: 1, main: 0 };
  #isEven = false;
  readonly #recycle: (slot: number) => void;

  constructor(division: Division, recycle: (slot: number) => void) {
    this.division = division;
    this.#recycle = recycle;
  }

  get length(): number {
    return this.window.length + this.main.length;
  }

  count(hash: number): number {
    return this.#sketch?.increment(hash) ?? 1;
  }

  hit(entry: NaiveEntry): void {
    entry.count = Math.min(MOST_COUNT, entry.count + 1);
    entry.isVisited = true;
  }

  /** The entry is marked as emptied. */
  removed(): void {
    this.#isEven = false;
    const emptied = [...this.window, ...this.main].filter(({ isEmptied }) => isEmptied).length;
    if (emptied <= 64 + this.length / 8) return;
    const isKept = (entry: NaiveEntry): boolean => {
      if (entry.isEmptied) this.#recycle(entry.slot);
      return !entry.isEmptied;
    };
    const passed = this.main.slice(0, this.#hand).filter(({ isEmptied }) => !isEmptied).length;
    this.window = this.window.filter(isKept);
    this.main = this.main.filter(isKept);
    this.#hand = passed;
  }

  prepare(accesses: number): void {
    const held = this.length;
    const window = Math.max(1, Math.round(held * this.division.share));
    this.#room = { window, main: held - window };
    this.#isEven = this.main.length >= held - window && [...this.window, ...this.main].every(({ isEmptied }) => !isEmptied);
    if (held > 2 * this.#sketchCapacity) {
      this.#sketch = new FrequencySketch(held);
      this.#sketchCapacity = held;
      this.#agedAt = accesses;
    }
    if (accesses - this.#agedAt < 10 * held) return;
    this.#agedAt = accesses - 5 * held;
    this.#sketch?.halve();
    for (const entry of [...this.window, ...this.main]) entry.count = Math.floor(entry.count / 2);
  }

  evict(): NaiveEntry {
    const victim = this.#choose();
    if (victim.count > 1) this.#sketch?.raise(victim.hash, victim.count);
    return victim;
  }

  clear(): void {
    this.window = [];
    this.main = [];
    this.#hand = 0;
    this.#isEven = false;
    this.#sketch?.clear();
  }

  #choose(): NaiveEntry {
    const [first] = this.window;
    // What was asked for once loses against any: the hand stays where it is.
    if (first && this.#isEven && this.window.length === this.#room.window && !first.isVisited && first.count <= 1)
      return this.window.shift()!;
    let moved = 0;
    while (this.window.length > 0 && (this.window.length >= this.#room.window || this.main.length === 0)) {
      const oldest = this.window.shift()!;
      if (oldest.isEmptied) this.#recycle(oldest.slot);
      else if (oldest.isVisited) {
        oldest.isVisited = false;
        if (this.division.promotes) this.#enterMain(oldest);
        else this.window.push(oldest);
      } else if (this.main.length < this.#room.main && moved < 64) {
        moved += 1;
        this.#enterMain(oldest);
      } else {
        const rival = this.#findVictim();
        // A newcomer must have been asked for twice more than the one that it puts out.
        if (rival === undefined || oldest.count < rival.count + 2) return oldest;
        this.#dropAtHand();
        this.#enterMain(oldest);
        return rival;
      }
    }
    const victim = this.#findVictim();
    if (victim === undefined) return this.#choose();
    this.#dropAtHand();
    return victim;
  }

  #enterMain(entry: NaiveEntry): void {
    entry.isMain = true;
    this.main.push(entry);
  }

  /** Leaves the hand at what it finds. */
  #findVictim(): NaiveEntry | undefined {
    while (this.main.length > 0) {
      if (this.#hand >= this.main.length) this.#hand = 0;
      const entry = this.main[this.#hand]!;
      if (entry.isEmptied) {
        this.#dropAtHand();
        this.#recycle(entry.slot);
      } else if (!entry.isVisited) return entry;
      else {
        entry.isVisited = false;
        this.#hand += 1;
      }
    }
    return undefined;
  }

  #dropAtHand(): void {
    this.main.splice(this.#hand, 1);
  }
}
