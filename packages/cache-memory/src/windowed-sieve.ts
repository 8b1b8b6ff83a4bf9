import { COUNT_MASK, halveCounts, MAIN, VISITED } from "./entry-state.ts";
import { FrequencySketch } from "./frequency-sketch.ts";
import { SieveQueue } from "./sieve-queue.ts";
import { SlotQueue } from "./slot-queue.ts";

/** Accesses per entry held after which all frequencies are halved, as in TinyLFU [1]. */
const ACCESSES_PER_AGE = 10;
/** Entries that one eviction moves from an oversized window at most, so that no `set` is long. */
const MOVES_PER_EVICTION = 64;
/** Emptied slots that may wait in the queues: so many, and this share of the entries. */
const MAX_EMPTIED = 64;
const MAX_EMPTIED_SHARE = 1 / 8;
/** By how much a candidate must be more frequent than the victim beyond being so at all. */
const ADMISSION_MARGIN = 1;

/** Where the entries are that a policy orders. */
export interface PolicyHost {
  /** The hash of the key in the slot. */
  hashOf(slot: number): number;
  /** Whether the slot was emptied while the policy had it in a queue. The policy gives it back as soon as it comes across it. */
  isEmptied(slot: number): boolean;
  /** Takes back an emptied slot. */
  recycle(slot: number): void;
}

/** How the policy divides the room. */
export interface Division {
  /** Share of the entries that the window holds. */
  readonly share: number;
  /** Whether an entry asked for in the window goes to the main region at once, as in S3-FIFO [5], instead of staying and being weighed later. */
  readonly promotes: boolean;
}

/** Window, main region and admission, for a given division: what the essay in `eviction-policy.ts` describes. Also runs the simulations. */
export class WindowedSieve {
  division: Division;
  readonly #host: PolicyHost;
  readonly #window: SlotQueue = new SlotQueue();
  readonly #main: SieveQueue = new SieveQueue();
  #sketch: FrequencySketch | undefined;
  #sketchCapacity = 0;
  #agedAt = 0;
  /** Slots in the queues that hold nothing any more. */
  #emptied = 0;
  #windowCapacity = 1;
  #mainCapacity = 0;
  /** Whether the main region has all its entries and there are no emptied slots, as it nearly always is. */
  #isEven = false;

  constructor(host: PolicyHost, division: Division) {
    this.#host = host;
    this.division = division;
  }

  /** Slots in the queues, emptied ones included. */
  get length(): number {
    return this.#window.length + this.#main.length;
  }

  /** A key that is not held is asked for. @returns how often it was lately, this time included. Nothing is remembered before the first eviction: there is nothing to choose */
  count(hash: number): number {
    return this.#sketch === undefined ? 1 : this.#sketch.increment(hash);
  }

  /** A new entry is in the slot. */
  added(slot: number): void {
    this.#window.push(slot);
  }

  /**
   * Chooses the slot that goes and takes it out of the queues. At least one entry is held, and `prepare` was called not long ago.
   * @param states a byte per slot: see `entry-state.ts`
   */
  evict(states: Uint8Array): number {
    const window = this.#window;
    // Nearly always: the oldest of the window was asked for once, and is lighter than whatever the main region has.
    if (window.length === this.#windowCapacity && this.#isEven) {
      const slot = window.oldest;
      const state = states[slot]!;
      if ((state & VISITED) === 0 && (state & COUNT_MASK) <= ADMISSION_MARGIN) {
        window.drop();
        return slot;
      }
    }
    return this.#choose(states);
  }

  /** `evict` in full. */
  #choose(states: Uint8Array): number {
    const window = this.#window;
    let moves = 0;
    while (window.length >= this.#windowCapacity || this.#main.length === 0) {
      if (window.length === 0) break;
      const slot = window.shift();
      if (this.#emptied > 0 && this.#host.isEmptied(slot)) this.#recycle(slot);
      else if ((states[slot]! & VISITED) !== 0) this.#goOn(slot, states);
      else if (this.#main.length < this.#mainCapacity && moves < MOVES_PER_EVICTION) {
        moves += 1;
        this.#enterMain(slot, states);
      } else return this.#admitOrEvict(slot, states);
    }
    const victim = this.#findVictim(states);
    // Every slot in the main region may turn out emptied: then the window has the entries.
    if (victim < 0) return this.#choose(states);
    this.#main.drop();
    return this.#leave(victim, states);
  }

  /** A slot was emptied, other than by `evict`. It stays in its queue until the policy comes across it. */
  removed(): void {
    this.#emptied += 1;
    this.#isEven = false;
    if (this.#emptied > MAX_EMPTIED + this.length * MAX_EMPTIED_SHARE) this.compact();
  }

  /** Gives back all emptied slots now. O(entries). */
  compact(): void {
    const isKept = (slot: number): boolean => {
      if (!this.#host.isEmptied(slot)) return true;
      this.#recycle(slot);
      return false;
    };
    this.#window.filter(isKept);
    this.#main.filter(isKept);
  }

  clear(): void {
    this.#window.clear();
    this.#main.clear();
    this.#sketch?.clear();
    this.#emptied = 0;
    this.#isEven = false;
  }

  /** An entry at the end of the window was asked for and therefore does not leave it, or not this way. */
  #goOn(slot: number, states: Uint8Array): void {
    states[slot]! &= ~VISITED;
    if (this.division.promotes) this.#enterMain(slot, states);
    else this.#window.push(slot);
  }

  #enterMain(slot: number, states: Uint8Array): void {
    states[slot]! |= MAIN;
    this.#main.push(slot);
  }

  /** Weighs the entry that leaves the window against the one that the hand of the main region points to. @returns the lighter */
  #admitOrEvict(candidate: number, states: Uint8Array): number {
    const victim = this.#findVictim(states);
    if (victim < 0) return this.#leave(candidate, states);
    if ((states[candidate]! & COUNT_MASK) <= (states[victim]! & COUNT_MASK) + ADMISSION_MARGIN) return this.#leave(candidate, states);
    this.#main.drop();
    this.#enterMain(candidate, states);
    return this.#leave(victim, states);
  }

  /** Walks the hand to the next entry not asked for since it last came by; it stays there. -1 when there is none. */
  #findVictim(states: Uint8Array): number {
    const main = this.#main;
    while (main.length > 0) {
      const slot = main.peek();
      if (this.#emptied > 0 && this.#host.isEmptied(slot)) {
        main.drop();
        this.#recycle(slot);
      } else if ((states[slot]! & VISITED) === 0) return slot;
      else {
        states[slot]! &= ~VISITED;
        main.pass();
      }
    }
    return -1;
  }

  /** Remembers how often an entry was asked for. What came in and was never asked for again is remembered already. */
  #leave(slot: number, states: Uint8Array): number {
    const frequency = states[slot]! & COUNT_MASK;
    if (frequency > 1) this.#sketch!.raise(this.#host.hashOf(slot), frequency);
    return slot;
  }

  #recycle(slot: number): void {
    this.#emptied -= 1;
    this.#host.recycle(slot);
  }

  /**
   * Does what need not be done with every eviction: before the first one, and once in a few.
   * @param accesses hits and insertions so far: the policy's measure of time
   */
  prepare(states: Uint8Array, accesses: number): void {
    const held = this.length;
    this.#windowCapacity = Math.max(1, Math.round(held * this.division.share));
    this.#mainCapacity = held - this.#windowCapacity;
    this.#isEven = this.#emptied === 0 && this.#main.length >= this.#mainCapacity;
    if (held > 2 * this.#sketchCapacity) {
      this.#sketch = new FrequencySketch(held);
      this.#sketchCapacity = held;
      this.#agedAt = accesses;
    }
    if (accesses - this.#agedAt < ACCESSES_PER_AGE * held) return;
    // The next halving comes half a period sooner: what was halved counts as half a period's worth of accesses.
    this.#agedAt = accesses - (ACCESSES_PER_AGE * held) / 2;
    this.#sketch!.halve();
    halveCounts(states);
  }
}
