import { COUNT_MASK, halveCounts, MAIN, VISITED } from "./entry-state.ts";
import { FrequencySketch } from "./frequency-sketch.ts";
import { SieveQueue } from "./sieve-queue.ts";
import { SlotQueue } from "./slot-queue.ts";

/** Accesses per entry held after which all frequencies are halved, as in TinyLFU [1]. */
const ACCESSES_PER_AGE = 10;
/** Entries that one eviction moves from an oversized window at most, so that no `set` is long. */
const MOVES_PER_EVICTION = 64;
/** By how much a candidate must be more frequent than the victim beyond being so at all. */
const ADMISSION_MARGIN = 1;

/** Where the entries are that a policy orders. */
export interface PolicyHost {
  /** A byte per slot: see `entry-state.ts`. Looked up anew each time, since it may be replaced by a longer one. */
  readonly states: Uint8Array;
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

  constructor(host: PolicyHost, division: Division) {
    this.#host = host;
    this.division = division;
  }

  /** Slots in the queues, emptied ones included. */
  get length(): number {
    return this.#window.length + this.#main.length;
  }

  /** Whether entries are remembered after they went. Not before the first eviction: until then there is nothing to choose. */
  get remembers(): boolean {
    return this.#sketch !== undefined;
  }

  /** A new entry. Its state's other flags are kept. `hash` is only needed when the policy `remembers`. */
  added(slot: number, hash: number): void {
    this.#host.states[slot]! |= this.#sketch ? this.#sketch.increment(hash) : 1;
    this.#window.push(slot);
  }

  /**
   * Chooses the slot that goes and takes it out of the queues. At least one entry is held.
   * @param accesses hits and insertions so far: the policy's measure of time
   */
  evict(accesses: number): number {
    this.#prepare(accesses);
    const windowCapacity = Math.max(1, Math.round(this.length * this.division.share));
    const mainCapacity = this.length - windowCapacity;
    let moves = 0;
    while (this.#window.length >= windowCapacity || this.#main.length === 0) {
      if (this.#window.length === 0) break;
      const slot = this.#window.shift();
      if (this.#host.isEmptied(slot)) this.#host.recycle(slot);
      else if (this.#goesOn(slot)) continue;
      else if (this.#main.length < mainCapacity && moves < MOVES_PER_EVICTION) {
        moves += 1;
        this.#enterMain(slot);
      } else return this.#admitOrEvict(slot);
    }
    const victim = this.#findVictim();
    // Every slot in the main region may turn out emptied: then the window has the entries.
    if (victim < 0) return this.evict(accesses);
    this.#main.drop();
    return this.#leave(victim);
  }

  /** Gives back all emptied slots now. O(entries). */
  compact(): void {
    const isKept = (slot: number): boolean => {
      if (!this.#host.isEmptied(slot)) return true;
      this.#host.recycle(slot);
      return false;
    };
    this.#window.filter(isKept);
    this.#main.filter(isKept);
  }

  clear(): void {
    this.#window.clear();
    this.#main.clear();
    this.#sketch?.clear();
  }

  /** Whether an entry at the end of the window was asked for and therefore does not leave it, or not this way. */
  #goesOn(slot: number): boolean {
    const { states } = this.#host;
    if ((states[slot]! & VISITED) === 0) return false;
    states[slot]! &= ~VISITED;
    if (this.division.promotes) this.#enterMain(slot);
    else this.#window.push(slot);
    return true;
  }

  #enterMain(slot: number): void {
    this.#host.states[slot]! |= MAIN;
    this.#main.push(slot);
  }

  /** Weighs the entry that leaves the window against the one that the hand of the main region points to. @returns the lighter */
  #admitOrEvict(candidate: number): number {
    const victim = this.#findVictim();
    if (victim < 0) return this.#leave(candidate);
    const { states } = this.#host;
    if ((states[candidate]! & COUNT_MASK) <= (states[victim]! & COUNT_MASK) + ADMISSION_MARGIN) return this.#leave(candidate);
    this.#main.drop();
    this.#enterMain(candidate);
    return this.#leave(victim);
  }

  /** Walks the hand to the next entry not asked for since it last came by; it stays there. -1 when there is none. */
  #findVictim(): number {
    const { states } = this.#host;
    while (this.#main.length > 0) {
      const slot = this.#main.peek();
      if (this.#host.isEmptied(slot)) {
        this.#main.drop();
        this.#host.recycle(slot);
      } else if ((states[slot]! & VISITED) === 0) return slot;
      else {
        states[slot]! &= ~VISITED;
        this.#main.pass();
      }
    }
    return -1;
  }

  /** Remembers how often an entry was asked for. What came in and was never asked for again is remembered already. */
  #leave(slot: number): number {
    const frequency = this.#host.states[slot]! & COUNT_MASK;
    if (frequency > 1) this.#sketch!.raise(this.#host.hashOf(slot), frequency);
    return slot;
  }

  #prepare(accesses: number): void {
    const held = this.length;
    if (held > 2 * this.#sketchCapacity) {
      this.#sketch = new FrequencySketch(held);
      this.#sketchCapacity = held;
      this.#agedAt = accesses;
    }
    if (accesses - this.#agedAt < ACCESSES_PER_AGE * held) return;
    // The next halving comes half a period sooner: what was halved counts as half a period's worth of accesses.
    this.#agedAt = accesses - (ACCESSES_PER_AGE * held) / 2;
    this.#sketch!.halve();
    halveCounts(this.#host.states);
  }
}
