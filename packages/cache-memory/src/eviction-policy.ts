import { DivisionTuner } from "./division-tuner.ts";
import type { EntryColumns } from "./entry-columns.ts";
import { COUNT_MASK, SAMPLED } from "./entry-state.ts";
import type { KeyIndex } from "./key-index.ts";
import { type Division, type PolicyHost, WindowedSieve } from "./windowed-sieve.ts";

// What goes when there is no room
//
// No single order is right. After a scan, recency throws out what is hot; in a loop larger than the cache it holds nothing that will be
// asked for again; frequency alone clings to a working set that is over, and never lets in what comes in bursts. So this policy has parts for each of
// these, and lets the keys themselves decide how much room each part gets.
//
// Regions. Newcomers enter a window, a FIFO whose oldest entry gets a second chance if it was asked for. What leaves the window is weighed
// against one entry of the main region [1]: whichever was asked for less often lately goes. The main region is a SIEVE [4]: its hand
// walks from the oldest to the newest, spares what was asked for since it last came by, and stays where it found a victim. A queue that is only walked
// needs no links and no moves on a hit.
//
// Hits are lazy. A hit sets bits of one byte, the entry's state: a count up to 15 and a mark for the hand. The count of an entry that is
// held lives in that byte and nowhere else; the sketch (`frequency-sketch.ts`) remembers only those that are not. It is read and written
// when an entry comes in, written when one that was asked for leaves, and never on a hit, which TinyLFU [1] does each time. All counts are halved after ten accesses per entry.
//
// The common case is short. What fills a cache is mostly what nobody asks for again: it leaves the window as it came, asked for once, and loses
// against any victim by the margin below. So it goes without a look at the main region. A `set` pays for one cell of the sketch and the turn of a ring.
//
// Admission has a margin. A candidate must be more frequent than its victim by two, not by one. It has just been asked for, the victim a
// round ago, and halving may lie between: without the margin a loop is admitted round and round, and hits fall to none.
// (On sixteen public traces, a cache of 10 % of their keys, the window fixed at 10 %: 41.1 % of hits without it, 42.9 % with it.)
//
// Who gets how much room. Five divisions are simulated side by side on a spatial sample of the keys, at most 512 entries each, with the
// very code that runs the cache [6]: windows of 1, 10, 40 and 90 %, and one of 85 % that promotes as S3-FIFO [5] does. The division with the
// most hits lately, by more than chance explains, is approached by a fifth of the entries per turnover: a choice that is taken back soon has done little harm.
// Hill climbing on the cache's own hit ratio [2] was the alternative; it cannot tell its own step from a change of the workload, and stays on
// the wrong hill. A cache too small for sampling learns first and then simulates in bursts, a hundredth of the time, and whenever the ratio of its hits
// changes, or that of its misses of keys that the sketch knows. One that is bounded by bytes, and comes to hold four times as many entries, or a quarter,
// since they have another size now, begins anew.
//
// What it survives: scans, loops, drifts, bursts, and mixes that change, each with a test in `test/policy.test.ts`. What it does not: a
// pattern whose winner alternates faster than the reviews (a scan that turns round at its ends: 25 % of hits where LRU has 29 %), and keys chosen so that their
// sampled characters collide, which costs hit ratio and no more. Byte sizes are bounded but not weighed: a large entry is as good as a small one.
//
// [1] Einziger, Friedman, Manes: TinyLFU, a highly efficient cache admission policy. ACM Transactions on Storage 13(4), 2017
// [2] Einziger, Eytan, Friedman, Manes: Adaptive software cache management. Middleware 2018
// [3] Gong, Yang, Zhang, Li, Uhlig, Chen, Uden, Li: HeavyKeeper, an accurate algorithm for finding top-k elephant flows. USENIX ATC 2018
// [4] Zhang, Yang, Yue, Vigfusson, Rashmi: SIEVE is simpler than LRU. NSDI 2024
// [5] Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction. SOSP 2023
// [6] Waldspurger, Saemundsson, Ahmad, Park: Cache modeling and optimization using miniature simulations. USENIX ATC 2017

/** The tuner is asked, and room and ages are looked after, once in so many evictions: what they tell changes slowly. */
const EVICTIONS_PER_TUNING = 8;
/** Entries that one of these looks at for the sample. */
const MARKS_PER_TUNING = 512;
/** By which share of the entries the window grows or shrinks while as many entries are evicted as the cache holds. */
const RESIZED_PER_TURNOVER = 0.2;

/** Decides what goes when there is no room. Hits are not told, except those of sampled entries: they leave their trace in the state byte. */
export class EvictionPolicy implements PolicyHost {
  readonly #columns: EntryColumns<unknown>;
  readonly #index: KeyIndex;
  readonly #regions: WindowedSieve;
  #tuner: DivisionTuner | undefined;
  #unmarked = 0;
  #share = DivisionTuner.first.share;
  #untilTuning = 0;
  /** Misses of keys that the sketch knows: another division might have held them. */
  #missed = 0;

  constructor(columns: EntryColumns<unknown>, index: KeyIndex) {
    this.#columns = columns;
    this.#index = index;
    this.#regions = new WindowedSieve(this, DivisionTuner.first);
  }

  /** A key is to come in. Before `evict`: its place in the sketch is on its way from memory while there is something else to do. @returns its state */
  count(key: string): number {
    const tuner = this.#tuner;
    if (tuner === undefined) return 1;
    const hash = this.#index.hash(key);
    const count = this.#regions.count(hash);
    if (count > 1) this.#missed += 1;
    return tuner.takes(hash) ? count | SAMPLED : count;
  }

  /** A sampled entry was asked for. While nobody records, or where the sample is another one by now, the mark goes, so that its next hits take the short path. */
  sampled(slot: number): void {
    if (!this.#tuner?.takes(this.hashOf(slot))) this.#columns.states[slot]! &= ~SAMPLED;
  }

  /** A new entry is in the slot. */
  added(slot: number): void {
    this.#regions.added(slot);
  }

  /** The slot was emptied, other than by `evict`. It stays in its queue until the policy comes across it. */
  removed(): void {
    this.#regions.removed();
  }

  /** Chooses the slot that goes. The cache holds at least one entry. @param hits so far @param insertions new entries so far */
  evict(hits: number, insertions: number): number {
    if (this.#untilTuning === 0) this.#tune(hits, hits + insertions);
    this.#untilTuning -= 1;
    return this.#regions.evict(this.#columns.states);
  }

  #tune(hits: number, accesses: number): void {
    this.#untilTuning = EVICTIONS_PER_TUNING;
    let tuner = this.#tuner;
    if (!tuner?.standsFor(this.#regions.length)) {
      tuner = new DivisionTuner(this.#regions.length);
      this.#tuner = tuner;
      this.#unmarked = this.#columns.used;
      // In bursts that come after a scan a window that is too small has no hits, as in the scan itself; but their keys are asked for again. Twice: counted once,
      // new keys that turn into hits and misses of known ones alike would leave the sum where it was.
    } else if (tuner.resumes(hits - 2 * this.#missed, accesses)) {
      this.#unmarked = this.#columns.used;
    }
    if (this.#unmarked > 0) this.#mark(tuner);
    this.#regions.division = this.#approach(tuner.division);
    this.#regions.prepare(this.#columns.states, accesses);
  }

  /** Moves the window's size towards the chosen one. Nothing is lost by a choice that the next review takes back. */
  #approach({ share, promotes }: Division): Division {
    if (this.#share === share && this.#regions.division.promotes === promotes) return this.#regions.division;
    const step = (EVICTIONS_PER_TUNING * RESIZED_PER_TURNOVER) / this.#regions.length;
    this.#share = share > this.#share ? Math.min(share, this.#share + step) : Math.max(share, this.#share - step);
    return { share: this.#share, promotes };
  }

  /** Marks the sampled entries that were there before the simulations ran, and tells these of them: a few with each eviction. */
  #mark(tuner: DivisionTuner): void {
    const { keys, states } = this.#columns;
    const until = Math.max(0, this.#unmarked - MARKS_PER_TUNING);
    while (this.#unmarked > until) {
      this.#unmarked -= 1;
      const slot = this.#columns.used - 1 - this.#unmarked;
      const key = keys[slot];
      if (key === undefined || (states[slot]! & SAMPLED) !== 0) continue;
      const hash = this.#index.hash(key);
      if (!tuner.isSampled(hash)) continue;
      states[slot]! |= SAMPLED;
      tuner.seed(hash, (states[slot]! & COUNT_MASK) > 1);
    }
  }

  clear(): void {
    this.#regions.clear();
    this.#untilTuning = 0;
    this.#unmarked = 0;
  }

  hashOf(slot: number): number {
    return this.#index.hash(this.#columns.keys[slot]!);
  }

  isEmptied(slot: number): boolean {
    return this.#columns.keys[slot] === undefined;
  }

  recycle(slot: number): void {
    this.#columns.give(slot);
  }
}
