import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromUsd, fromUsdPerToken } from "./usd-per-million.ts";

describe("prices in US dollars per million tokens", () => {
  it.each([
    ["0.00000125", 1.25],
    ["0.0000003", 0.3],
    [3e-7, 0.3],
    [1.25e-6, 1.25],
    ["0", 0],
    [0, 0],
    ["-0", 0],
    ["1e-6", 1],
    [".000001", 1],
    ["5.", 5_000_000],
    ["-1", -1_000_000],
  ])("%j per token is %d", (perToken, perMillion) => {
    expect(fromUsdPerToken(perToken)).toBe(perMillion);
  });

  it.each([undefined, null, ""])("%j is no price", (absent) => {
    expect(fromUsdPerToken(absent)).toBeUndefined();
    expect(fromUsd(absent)).toBeUndefined();
  });

  it.each(["free", "NaN", "Infinity", "0x10", "1_000", "1,5", "1e9999", " ", "--1", "1e", Number.NaN, Number.POSITIVE_INFINITY])(
    "%j cannot be read, and does not look like an absent price",
    (garbage) => {
      const price = fromUsdPerToken(garbage);
      expect(price === undefined || Number.isFinite(price)).toBe(false);
    },
  );

  it("cannot be read when it is longer than any price, and a body full of digits is given up at once", () => {
    expect(fromUsdPerToken(`0.${"0".repeat(61)}1`)).toBe(1e-56);
    expect(fromUsdPerToken(`0.${"0".repeat(62)}1`)).toBeNaN();
    // With a pattern that may split a run of digits in many ways this took seconds, and four times as long for twice the digits.
    for (let times = 0; times < 20; times += 1) expect(fromUsdPerToken(`${"1".repeat(80_000)}x`)).toBeNaN();
  });

  it("is the double nearest to what was written: the same price from a text, a number or another unit compares equal", () => {
    const micros = fc.integer({ min: 0, max: 10_000_000 });
    fc.assert(
      fc.property(micros, (value) => {
        const perMillion = value / 10_000;
        const text = (value / 1e10).toFixed(10);
        expect(fromUsdPerToken(text)).toBe(perMillion);
        expect(fromUsdPerToken(Number(text))).toBe(perMillion);
        expect(fromUsd(perMillion)).toBe(perMillion);
      }),
    );
  });
});
