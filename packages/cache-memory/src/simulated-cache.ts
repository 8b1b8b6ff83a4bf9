import { afterHit } from "./entry-state.ts";
import { type Division, type PolicyHost, WindowedSieve } from "./windowed-sieve.ts";

/** A cache of hashes without values: the same policy at a small scale, fed with a sample of the real keys, to learn how a division would do. */
export class SimulatedCache implements PolicyHost {
  readonly division: Division;
  readonly states: Uint8Array;
  readonly #hashes: Int32Array;
  readonly #slots: Map<number, number> = new Map();
  readonly #policy: WindowedSieve;
  #accesses = 0;
  #hits = 0;

  constructor(capacity: number, division: Division) {
    this.division = division;
    this.states = new Uint8Array(capacity);
    this.#hashes = new Int32Array(capacity);
    this.#policy = new WindowedSieve(this, division);
  }

  /** Asks for a key, and brings it in when it is absent. */
  access(hash: number): void {
    this.#accesses += 1;
    const found = this.#slots.get(hash);
    if (found !== undefined) {
      this.#hits += 1;
      this.states[found] = afterHit[this.states[found]!]!;
      return;
    }
    const state = this.#policy.count(hash);
    const slot = this.#slots.size < this.states.length ? this.#slots.size : this.#makeRoom();
    this.#hashes[slot] = hash;
    this.#slots.set(hash, slot);
    this.states[slot] = state;
    this.#policy.added(slot);
  }

  /** The hits since it was last asked. */
  takeHits(): number {
    const hits = this.#hits;
    this.#hits = 0;
    return hits;
  }

  hashOf(slot: number): number {
    return this.#hashes[slot]!;
  }

  isEmptied(_slot: number): boolean {
    return false;
  }

  recycle(_slot: number): void {}

  #makeRoom(): number {
    this.#policy.prepare(this.states, this.#accesses);
    const slot = this.#policy.evict(this.states);
    this.#slots.delete(this.#hashes[slot]!);
    return slot;
  }
}
