import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSeededRandom } from "./seeded-random.ts";
import { geometricMean, isInside, median, noiseFloor, pairedRatios, quantile, spreadOf } from "./statistics.ts";

const samples = fc.array(fc.double({ min: -1e9, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 60 });
const positive = fc.array(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 60 });

/** The median as a textbook has it. */
function naiveMedian(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

describe("statistics", () => {
  it("takes the same median as the textbook", () => {
    fc.assert(
      fc.property(samples, (values) => {
        expect(median(values)).toBeCloseTo(naiveMedian(values), 3);
      }),
    );
  });

  it("keeps every quantile between the smallest and the largest sample, and in order of the share", () => {
    fc.assert(
      fc.property(samples, fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (values, one, other) => {
        const [low, high] = one < other ? [one, other] : [other, one];
        expect(quantile(values, low)).toBeLessThanOrEqual(quantile(values, high));
        expect(quantile(values, low)).toBeGreaterThanOrEqual(Math.min(...values));
        expect(quantile(values, high)).toBeLessThanOrEqual(Math.max(...values));
      }),
    );
  });

  it("does not depend on the order of the samples", () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 0, max: 59 }), (values, turn) => {
        const rotated = [...values.slice(turn % values.length), ...values.slice(0, turn % values.length)];
        expect(spreadOf(rotated)).toEqual(spreadOf(values));
      }),
    );
  });

  it("leaves the samples as they were", () => {
    const values = [3, 1, 2];
    quantile(values, 0.5);
    expect(values).toEqual([3, 1, 2]);
  });

  it("finds the factor between two contenders whatever the machine does to both in a round", () => {
    fc.assert(
      fc.property(positive, fc.double({ min: 0.01, max: 100, noNaN: true }), (rounds, factor) => {
        const ratios = pairedRatios(
          rounds.map((rate) => rate * factor),
          rounds,
        );
        expect(median(ratios) / factor).toBeCloseTo(1, 9);
      }),
    );
  });

  it("calls a geometric mean one when gains and losses cancel out", () => {
    expect(geometricMean([2, 0.5])).toBeCloseTo(1, 12);
    expect(geometricMean([])).toBeNaN();
    expect(geometricMean([1, 0])).toBeNaN();
  });

  it("has a noise floor that contains 1 and what the control's median was", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.5, max: 2, noNaN: true }), { minLength: 10, maxLength: 60 }), (control) => {
        const floor = noiseFloor(control);
        expect(isInside(floor, 1)).toBe(true);
        expect(isInside(floor, median(control))).toBe(true);
      }),
    );
  });

  it("calls nine in ten equals a tie, and does not call one what is a tenth slower over many scattered rounds", () => {
    const random = createSeededRandom(7);
    // Half of the rounds within 6 %, as on a machine that is shared.
    const round = (): number => Math.exp(0.089 * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
    const rounds = (factor: number): number[] => Array.from({ length: 61 }, () => factor * round());
    const ties = (factor: number): number =>
      Array.from({ length: 400 }, () => isInside(noiseFloor(rounds(1)), median(rounds(factor)))).filter(Boolean).length / 400;
    expect(ties(1)).toBeGreaterThan(0.85);
    expect(ties(0.9)).toBeLessThan(0.1);
  });

  it("never claims to tell apart what differs by less than three percent", () => {
    expect(noiseFloor([1, 1, 1, 1])).toEqual({ low: 0.97, high: 1.03 });
    expect(noiseFloor([])).toEqual({ low: 0.97, high: 1.03 });
  });
});
