import type { LatencyHistogram } from "@larder/cache-core";

/** Upper bounds in milliseconds, wide enough for a call on loopback and for one that ran into its deadline. */
const BOUNDS_MS: readonly number[] = Object.freeze([0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000]);

/** Counts latencies. One comparison a bucket, no allocation. */
export class Latency {
  readonly #counts: number[] = new Array<number>(BOUNDS_MS.length + 1).fill(0);
  #sumMs = 0;

  /** Takes in one call. */
  add(durationMs: number): void {
    let bucket = 0;
    while (bucket < BOUNDS_MS.length && durationMs > (BOUNDS_MS[bucket] as number)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#sumMs += durationMs;
  }

  /** What was counted so far; later calls do not change it. */
  snapshot(): LatencyHistogram {
    return Object.freeze({ boundsMs: BOUNDS_MS, counts: [...this.#counts], sumMs: this.#sumMs });
  }
}
