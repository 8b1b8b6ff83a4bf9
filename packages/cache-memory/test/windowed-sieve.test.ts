import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { afterHit, COUNT_MASK, MAIN, VISITED } from "../src/entry-state.ts";
import { type Division, WindowedSieve } from "../src/windowed-sieve.ts";
import { type NaiveEntry, NaiveWindowedSieve } from "./naive-windowed-sieve.ts";

const EVICTIONS_PER_TUNING = 8;

const stateOf = ({ count, isVisited, isMain }: NaiveEntry): number =>
  (count & COUNT_MASK) | (isVisited ? VISITED : 0) | (isMain ? MAIN : 0);

/** A cache without values over the policy and over its model, side by side. */
class Pair {
  readonly #capacity: number;
  readonly #policy: WindowedSieve;
  readonly #model: NaiveWindowedSieve;
  readonly #states: Uint8Array = new Uint8Array(4_096);
  /** By slot: what is held, and what was dropped and not taken back yet. */
  readonly #entries: Map<number, NaiveEntry> = new Map();
  /** What is held, by hash. */
  readonly #held: Map<number, NaiveEntry> = new Map();
  readonly #free: number[] = [];
  readonly #recycled: number[] = [];
  readonly #recycledByModel: number[] = [];
  #used = 0;
  #accesses = 0;
  #untilTuning = 0;

  constructor(capacity: number, division: Division) {
    this.#capacity = capacity;
    const host = {
      hashOf: (slot: number) => this.#entries.get(slot)!.hash,
      isEmptied: (slot: number) => this.#entries.get(slot)!.isEmptied,
      recycle: (slot: number) => void this.#recycled.push(slot),
    };
    this.#policy = new WindowedSieve(host, division);
    this.#model = new NaiveWindowedSieve(division, (slot) => this.#recycledByModel.push(slot));
  }

  set division(division: Division) {
    this.#policy.division = division;
    this.#model.division = division;
  }

  /** Asks for a key by its hash, and brings it in where it is absent. */
  access(hash: number): void {
    this.#accesses += 1;
    const found = this.#held.get(hash);
    if (found) {
      this.#states[found.slot] = afterHit[this.#states[found.slot]!]!;
      this.#model.hit(found);
      return;
    }
    const count = this.#policy.count(hash);
    expect(this.#model.count(hash)).toBe(count);
    const slot = this.#held.size >= this.#capacity ? this.#evict() : this.#take();
    const entry: NaiveEntry = { slot, hash, count, isVisited: false, isMain: false, isEmptied: false };
    this.#entries.set(slot, entry);
    this.#held.set(hash, entry);
    this.#states[slot] = count;
    this.#policy.added(slot);
    this.#model.window.push(entry);
  }

  /** Drops one that is held, as `delete` does. */
  remove(which: number): void {
    const entry = [...this.#held.values()][which % Math.max(1, this.#held.size)];
    if (!entry) return;
    entry.isEmptied = true;
    this.#held.delete(entry.hash);
    this.#states[entry.slot] = 0;
    this.#policy.removed();
    this.#model.removed();
  }

  clear(): void {
    this.#policy.clear();
    this.#model.clear();
    this.#entries.clear();
    this.#held.clear();
    for (const slots of [this.#free, this.#recycled, this.#recycledByModel]) slots.length = 0;
    this.#states.fill(0);
    this.#used = 0;
    this.#untilTuning = 0;
  }

  /** Holds every entry's state, and what was given back, against the model. */
  compare(): void {
    expect(this.#recycled).toEqual(this.#recycledByModel);
    for (const slot of this.#recycled) this.#entries.delete(slot);
    this.#free.push(...this.#recycled.splice(0));
    this.#recycledByModel.length = 0;
    expect(this.#policy.length).toBe(this.#model.length);
    const differs = [...this.#held.values()].filter((entry) => this.#states[entry.slot] !== stateOf(entry));
    expect(differs).toEqual([]);
  }

  #evict(): number {
    if (this.#untilTuning === 0) {
      this.#untilTuning = EVICTIONS_PER_TUNING;
      this.#policy.prepare(this.#states, this.#accesses);
      this.#model.prepare(this.#accesses);
    }
    this.#untilTuning -= 1;
    const slot = this.#policy.evict(this.#states);
    expect(this.#model.evict().slot).toBe(slot);
    this.#held.delete(this.#entries.get(slot)!.hash);
    this.#entries.delete(slot);
    return slot;
  }

  #take(): number {
    const slot = this.#free.pop() ?? this.#used;
    if (slot === this.#used) this.#used += 1;
    return slot;
  }
}

const division = fc.record({ share: fc.constantFrom(0.01, 0.1, 0.4, 0.85, 0.9, 1), promotes: fc.boolean() });

const step = fc.oneof(
  // Few keys, asked for again and again, among many that come once.
  { weight: 200, arbitrary: fc.record({ kind: fc.constant("access" as const), hash: fc.integer({ min: 0, max: 40 }) }) },
  { weight: 200, arbitrary: fc.record({ kind: fc.constant("access" as const), hash: fc.integer({ min: 41, max: 5_000 }) }) },
  { weight: 30, arbitrary: fc.record({ kind: fc.constant("remove" as const), which: fc.nat(5_000) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("divide" as const), division }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("drop many" as const), count: fc.integer({ min: 1, max: 90 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("clear" as const) }) },
);

/** Hashes as keys have them: every bit depends on the key. */
const spread = (hash: number): number => Math.imul(hash + 1, 0x9e3779b1) | 0;

describe("window, main region and admission", () => {
  it("let go what a model of plain lists lets go, one by one, and leave every entry in the same state", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 150 }),
        division,
        fc.array(step, { maxLength: 1_500, size: "max" }),
        (capacity, first, steps) => {
          const pair = new Pair(capacity, first);
          for (const [index, action] of steps.entries()) {
            if (action.kind === "access") pair.access(spread(action.hash));
            else if (action.kind === "remove") pair.remove(action.which);
            else if (action.kind === "divide") pair.division = action.division;
            else if (action.kind === "clear") pair.clear();
            else for (let count = 0; count < action.count; count += 1) pair.remove(0);
            // Every victim is compared anyway.
            if (index % 8 === 0 || action.kind !== "access") pair.compare();
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
