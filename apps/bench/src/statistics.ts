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

/**
 * What a bare wrapper round the baseline shows: it should be 1.00 and is not. The floor spans 1 and the inner 80 % of the control's
 * paired ratios, and is never narrower than 3 % to either side.
 */
export function noiseFloor(controlRatios: readonly number[]): NoiseFloor {
  const finite = controlRatios.filter(Number.isFinite);
  if (finite.length === 0) return { low: 1 - SMALLEST_FLOOR, high: 1 + SMALLEST_FLOOR };
  return {
    low: Math.min(1 - SMALLEST_FLOOR, quantile(finite, 0.1)),
    high: Math.max(1 + SMALLEST_FLOOR, quantile(finite, 0.9)),
  };
}

/** Whether the ratio is inside the floor, both ends included. */
export function isInside(floor: NoiseFloor, ratio: number): boolean {
  return ratio >= floor.low && ratio <= floor.high;
}
