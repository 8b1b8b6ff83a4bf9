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
