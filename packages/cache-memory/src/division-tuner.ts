import { SimulatedCache } from "./simulated-cache.ts";
import type { Division } from "./windowed-sieve.ts";

/** Entries of each simulated cache at most. More make the choice steadier and dearer; the sampling error is one over the root of it. */
const MAX_SIMULATED = 512;
/** By what factor the entries held may differ from those simulated for: beyond, what does best there says nothing about here. */
const MAX_CHANGE = 4;
/** What is simulated. The first is where a cache starts. */
const DIVISIONS: readonly Division[] = [
  { share: 0.1, promotes: false },
  { share: 0.01, promotes: false },
  { share: 0.4, promotes: false },
  { share: 0.9, promotes: false },
  { share: 0.85, promotes: true },
];
/** Sampled accesses per simulated entry between two reviews, and at least so many. */
const ACCESSES_PER_REVIEW = 1;
const MIN_ACCESSES_PER_REVIEW = 200;
/** What earlier reviews still weigh. */
const MEMORY = 0.9;
/** Share of hits by which another division must have been better to take over, */
const LEAST_GAIN = 0.01;
/** and by how many standard deviations of a count of hits, lest chance decides. */
const LEAST_SIGNIFICANCE = 1;

/** Sampled accesses per simulated entry before the first pause; in each burst between pauses; and of these, those that only bring it up to date. */
const LEARNING = 128;
const BURST = 12;
const WARM_UP = 2;
/** At most one access in so many is simulated in the long run: what keeps simulating cheaper than a few nanoseconds an access. */
const ACCESSES_PER_RECORD = 128;
/** A change of the balance by so much an access ends a pause: the workload is another one. */
const RATIO_CHANGE = 0.05;
/** Accesses per entry over which that is taken. */
const ACCESSES_PER_RATIO = 16;

/**
 * Chooses the division: simulates each one on a spatial sample of the keys [6] and takes the one with the most hits lately. A large cache
 * has so few of its keys in the sample that it simulates always; a small one learns, and then simulates in bursts.
 */
export class DivisionTuner {
  readonly #capacity: number;
  readonly #simulated: number;
  readonly #mask: number;
  readonly #simulations: readonly SimulatedCache[];
  readonly #scores: Float64Array = new Float64Array(DIVISIONS.length);
  readonly #reviewAfter: number;
  #chosen = 0;
  #recordsToReview: number;
  #recordsToPause: number;
  #recordsToWarm = 0;
  #isRecording = true;
  #resumeAt = 0;
  #ratioFrom = { accesses: 0, balance: 0 };
  #ratio: number | undefined;

  constructor(capacity: number) {
    let shift = 0;
    while (capacity >> shift > MAX_SIMULATED) shift += 1;
    this.#capacity = capacity;
    this.#mask = (1 << shift) - 1;
    this.#simulated = Math.max(1, capacity >> shift);
    this.#simulations = DIVISIONS.map((division) => new SimulatedCache(this.#simulated, division));
    this.#reviewAfter = Math.max(MIN_ACCESSES_PER_REVIEW, ACCESSES_PER_REVIEW * this.#simulated);
    this.#recordsToReview = this.#reviewAfter;
    this.#recordsToPause = Math.max(this.#reviewAfter, LEARNING * this.#simulated);
  }

  /** Where a cache starts. */
  static get first(): Division {
    return DIVISIONS[0]!;
  }

  get division(): Division {
    return DIVISIONS[this.#chosen]!;
  }

  /** Whether what is simulated is still about as large as the cache: one that is bounded by bytes may come to hold far more entries, or far fewer. */
  standsFor(entries: number): boolean {
    return entries <= MAX_CHANGE * this.#capacity && this.#capacity <= MAX_CHANGE * entries;
  }

  /** Whether accesses of this key are to be recorded. Not the high bits, which choose the block of counters, nor the lowest. */
  isSampled(hash: number): boolean {
    return ((hash >>> 4) & this.#mask) === 0;
  }

  /** Takes in an access, where accesses are wanted now and the key is sampled. @returns whether that is so */
  takes(hash: number): boolean {
    const isTaken = this.#isRecording && this.isSampled(hash);
    if (isTaken) this.#record(hash);
    return isTaken;
  }

  #record(hash: number): void {
    for (const simulation of this.#simulations) simulation.access(hash);
    if (this.#recordsToWarm > 0) {
      this.#recordsToWarm -= 1;
      if (this.#recordsToWarm === 0) this.#forgetHits();
      return;
    }
    this.#recordsToPause -= 1;
    this.#recordsToReview -= 1;
    if (this.#recordsToReview === 0) this.#review();
  }

  /** Takes in a sampled key that was there before the simulations were. `isAskedFor`: it has been asked for again. */
  seed(hash: number, isAskedFor: boolean): void {
    for (const simulation of this.#simulations) {
      simulation.access(hash);
      if (isAskedFor) simulation.access(hash);
    }
    this.#forgetHits();
  }

  /**
   * Called now and then with the cache's counts so far. @param balance of hits and of what might have been some
   * @returns whether a pause is over, so that the sample is to be marked anew
   */
  resumes(balance: number, accesses: number): boolean {
    if (this.#isRecording) {
      if (this.#recordsToPause <= 0) this.#pause(balance, accesses);
      return false;
    }
    if (accesses < this.#resumeAt && !this.#hasChanged(balance, accesses)) return false;
    this.#isRecording = true;
    this.#recordsToWarm = WARM_UP * this.#simulated;
    this.#recordsToReview = this.#reviewAfter;
    this.#recordsToPause = Math.max(this.#reviewAfter, BURST * this.#simulated);
    return true;
  }

  /** Not where so few keys are sampled that there is nothing to save. */
  #pause(balance: number, accesses: number): void {
    const records = (BURST + WARM_UP) * this.#simulated;
    this.#recordsToPause = BURST * this.#simulated;
    const pause = records * (ACCESSES_PER_RECORD - 1 - this.#mask);
    if (pause <= 0) return;
    this.#isRecording = false;
    this.#resumeAt = accesses + pause;
    this.#ratioFrom = { accesses, balance };
    this.#ratio = undefined;
  }

  /** Compares the balance of each stretch of the pause with that of the first. */
  #hasChanged(balance: number, accesses: number): boolean {
    const passed = accesses - this.#ratioFrom.accesses;
    if (passed < ACCESSES_PER_RATIO * this.#capacity) return false;
    const ratio = (balance - this.#ratioFrom.balance) / passed;
    this.#ratioFrom = { accesses, balance };
    this.#ratio ??= ratio;
    return Math.abs(ratio - this.#ratio) > RATIO_CHANGE;
  }

  #forgetHits(): void {
    for (const simulation of this.#simulations) simulation.takeHits();
  }

  #review(): void {
    this.#recordsToReview = this.#reviewAfter;
    let best = this.#chosen;
    for (const [index, simulation] of this.#simulations.entries()) {
      this.#scores[index] = this.#scores[index]! * MEMORY + simulation.takeHits();
      if (this.#scores[index]! > this.#scores[best]!) best = index;
    }
    const lead = this.#scores[best]! - this.#scores[this.#chosen]!;
    if (lead > this.#scores[best]! * LEAST_GAIN && lead > LEAST_SIGNIFICANCE * Math.sqrt(this.#scores[best]!)) this.#chosen = best;
  }
}
