/** The value below which `share` (0 to 1) of the samples lie, linear between neighbours (Hyndman and Fan, type 7). `NaN` for no samples. */
export function quantile(samples: readonly number[], share: number): number {
  if (samples.length === 0) return Number.NaN;
  const sorted = Float64Array.from(samples).sort();
  const position = (sorted.length - 1) * share;
  const below = Math.floor(position);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  // low + (high - low) * 0 would be NaN for infinite neighbours.
  return low === high ? low : low + (high - low) * (position - below);
}

/** The middle value; the mean of the two in the middle for an even count. */
export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** Median and quartiles: robust against the rare slow round that a shared machine gives. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly samples: number;
}

/** Median, first and third quartile of the samples. */
export function spreadOf(samples: readonly number[]): Spread {
  return { median: median(samples), low: quantile(samples, 0.25), high: quantile(samples, 0.75), samples: samples.length };
}

/** Element by element `samples / baseline`: rounds are paired, so that a slow moment of the machine cancels out. */
export function pairedRatios(samples: readonly number[], baseline: readonly number[]): number[] {
  const count = Math.min(samples.length, baseline.length);
  return Array.from({ length: count }, (_, round) => samples[round]! / baseline[round]!);
}

/** Geometric mean: the mean for ratios, where 2 and 0.5 cancel out. `NaN` for no samples or one that is not above 0. */
export function geometricMean(samples: readonly number[]): number {
  if (samples.length === 0 || samples.some((sample) => !(sample > 0))) return Number.NaN;
  return Math.exp(samples.reduce((sum, sample) => sum + Math.log(sample), 0) / samples.length);
}

/** The ratios that mean nothing: inside it a row is level with the baseline. */
export interface NoiseFloor {
  readonly low: number;
  readonly high: number;
}

/** Narrowest floor: what the finest measurement on a quiet machine still scatters. */
const SMALLEST_FLOOR = 0.03;

/** Standard errors of a median, in half widths of the middle half of the samples over the root of their number: 1.2533 / 0.6745. */
const ERRORS_PER_HALF_WIDTH = 1.86;
/** Standard errors to either side: nine in ten differences between the medians of two equals, which both scatter, lie within. */
const ERRORS = 1.64 * Math.SQRT2;

/**
 * What a bare wrapper round the baseline shows: it should be 1.00 and is not. What is judged is a median over rounds, so the floor is how
 * far the control's own median may lie from 1 by chance, and where it did lie: much narrower than the scatter of single rounds, in which
 * a tenth less would pass for a tie. Never narrower than 3 % to either side.
 */
export function noiseFloor(controlRatios: readonly number[]): NoiseFloor {
  const finite = controlRatios.filter(Number.isFinite);
  if (finite.length === 0) return { low: 1 - SMALLEST_FLOOR, high: 1 + SMALLEST_FLOOR };
  const { median: middle, low, high } = spreadOf(finite);
  const error = (ERRORS * ERRORS_PER_HALF_WIDTH * (high - low)) / 2 / Math.sqrt(finite.length);
  return { low: Math.min(1 - SMALLEST_FLOOR, middle - error), high: Math.max(1 + SMALLEST_FLOOR, middle + error) };
}

/** Whether the ratio is inside the floor, both ends included. */
export function isInside(floor: NoiseFloor, ratio: number): boolean {
  return ratio >= floor.low && ratio <= floor.high;
}
