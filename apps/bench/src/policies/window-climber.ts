/** Share of the capacity by which the window is first moved. */
const FIRST_STEP_SHARE = 0.0625;
/** Accesses per key of capacity between two moves. */
const SAMPLE_FACTOR = 10;
/** Each move is a little smaller than the one before, so that the climb settles. */
const STEP_DECAY = 0.98;
/** A change of the hit ratio this large starts the climb anew at its first step. */
const RESTART_THRESHOLD = 0.05;

/** The hill climber of adaptive W-TinyLFU, with Caffeine's constants: goes on while the hit ratio rises, turns round when it falls. */
export class WindowClimber {
  readonly #capacity: number;
  readonly #sampleSize: number;
  #step: number;
  #hits = 0;
  #accesses = 0;
  #lastRatio = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#sampleSize = Math.max(16, capacity * SAMPLE_FACTOR);
    this.#step = FIRST_STEP_SHARE * capacity;
  }

  /** Counts an access. @returns by how many keys the window grows (below 0: shrinks) now; mostly 0 */
  record(isHit: boolean): number {
    this.#accesses += 1;
    if (isHit) this.#hits += 1;
    if (this.#accesses < this.#sampleSize) return 0;
    const ratio = this.#hits / this.#accesses;
    const change = ratio - this.#lastRatio;
    const amount = change >= 0 ? this.#step : -this.#step;
    this.#step = Math.abs(change) >= RESTART_THRESHOLD ? FIRST_STEP_SHARE * this.#capacity * Math.sign(amount || 1) : STEP_DECAY * amount;
    this.#lastRatio = ratio;
    this.#hits = 0;
    this.#accesses = 0;
    return Math.trunc(amount);
  }
}
