/** What a process held at one time, after a full collection. */
export interface MemorySample {
  /** Milliseconds on any clock. */
  readonly atMs: number;
  /** Bytes of the JavaScript heap. */
  readonly heapBytes: number;
  /** Bytes of the process without its array buffers, which hold the log of this very run. */
  readonly residentBytes: number;
}

/** Caches, code and connections fill up in the first part of a run, and that is no leak. */
const WARM_UP_SHARE = 0.25;

/** By how many bytes a minute something grows: the least-squares slope over what comes after the warm-up. */
export function bytesPerMinute(samples: readonly MemorySample[], of: "heapBytes" | "residentBytes"): number {
  const settled = samples.slice(Math.floor(samples.length * WARM_UP_SHARE));
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanAt = mean(settled.map(({ atMs }) => atMs));
  const meanBytes = mean(settled.map((sample) => sample[of]));
  let [covariance, variance] = [0, 0];
  for (const sample of settled) {
    covariance += (sample.atMs - meanAt) * (sample[of] - meanBytes);
    variance += (sample.atMs - meanAt) ** 2;
  }
  return (covariance / variance) * 60_000;
}
