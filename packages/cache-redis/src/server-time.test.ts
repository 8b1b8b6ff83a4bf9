import { expect, test } from "vitest";
import { ServerTime } from "./server-time.ts";

test("bounds the server's clock by the round trip, from both sides", () => {
  const time = new ServerTime();
  expect(time.isKnown).toBe(false);
  // The server's clock is 1000 ahead of ours; the reply was written somewhere between 100 and 110.
  time.learn(1_105, 100, 110);
  expect(time.earliest(200)).toBeLessThanOrEqual(1_200);
  expect(time.latest(200)).toBeGreaterThanOrEqual(1_200);
  time.learn(1_300, 300, 301);
  expect(time.latest(400) - time.earliest(400)).toBeLessThanOrEqual(2);
  expect(time.earliest(400)).toBeLessThanOrEqual(1_400);
  expect(time.latest(400)).toBeGreaterThanOrEqual(1_400);
});

test("takes a clock that jumped at its word", () => {
  const time = new ServerTime();
  time.learn(1_000, 0, 1);
  time.learn(3_600_000, 10, 11);
  expect(time.earliest(11)).toBeGreaterThan(3_599_000);
  time.learn(500, 20, 21);
  expect(time.latest(21)).toBeLessThan(600);
});

test("gives up narrow bounds when they are old, because clocks drift", () => {
  const time = new ServerTime();
  time.learn(1_000, 0, 1);
  time.learn(21_000, 20_000, 20_040);
  expect(time.latest(20_040) - time.earliest(20_040)).toBeGreaterThan(30);
});

test("tells a clock that was set back from one that drifts, and from one that was set forward", () => {
  const time = new ServerTime();
  expect(time.wasSetBack(0, 0, 1)).toBe(false);
  time.learn(1_000_000, 0, 10);
  expect(time.wasSetBack(1_001_000, 1_000, 1_001)).toBe(false);
  expect(time.wasSetBack(1_000_950, 1_000, 1_040)).toBe(false);
  expect(time.wasSetBack(4_601_000, 1_000, 1_001)).toBe(false);
  expect(time.wasSetBack(1_000_500, 1_000, 1_001)).toBe(true);
  expect(time.wasSetBack(Number.NaN, 1_000, 1_001)).toBe(false);
  // An hour later clocks may be more than a second apart.
  expect(time.wasSetBack(4_599_000, 3_600_000, 3_600_001)).toBe(false);
  expect(time.wasSetBack(4_595_000, 3_600_000, 3_600_001)).toBe(true);
});
