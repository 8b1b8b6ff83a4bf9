import fc from "fast-check";
import { expect, test } from "vitest";
import { ServerTime } from "./server-time.ts";

test("bounds the server's clock by the round trip, from both sides", () => {
  const time = new ServerTime();
  expect(time.earliest(0)).toBeNaN();
  // The server's clock is 1000 ahead of ours; the reply was written somewhere between 100 and 110.
  time.learn(1_105, 100, 110);
  expect(time.earliest(200)).toBeLessThanOrEqual(1_200);
  expect(time.latest(200)).toBeGreaterThanOrEqual(1_200);
  time.learn(1_300, 300, 301);
  expect(time.latest(400) - time.earliest(400)).toBeLessThanOrEqual(2);
  expect(time.earliest(400)).toBeLessThanOrEqual(1_400);
  expect(time.latest(400)).toBeGreaterThanOrEqual(1_400);
});

test("keeps the server's clock between its bounds, whatever the round trips, and the bounds as near as the last sample at least", () => {
  const step = fc.record({
    gapMs: fc.double({ min: 0, max: 4_000, noNaN: true }),
    upMs: fc.double({ min: 0, max: 300, noNaN: true }),
    downMs: fc.double({ min: 0, max: 300, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.double({ min: -1e6, max: 1e12, noNaN: true }), fc.array(step, { minLength: 1, maxLength: 20 }), (offset, steps) => {
      const time = new ServerTime();
      let now = 0;
      for (const { gapMs, upMs, downMs } of steps) {
        const sentAt = now + gapMs;
        const writtenAt = sentAt + upMs;
        now = writtenAt + downMs;
        const serverAt = Math.floor(writtenAt + offset);
        expect(time.wasSetBack(serverAt, sentAt, now)).toBe(false);
        time.learn(serverAt, sentAt, now);
        // Doubles of this size are exact to a thousandth of a millisecond.
        expect(time.earliest(now)).toBeLessThanOrEqual(now + offset + 0.001);
        expect(time.latest(now)).toBeGreaterThanOrEqual(now + offset - 0.001);
        expect(time.latest(now) - time.earliest(now)).toBeLessThanOrEqual(upMs + downMs + 1.002);
      }
    }),
  );
});

test("keeps narrow bounds when a later sample is wide, and takes in nothing that is no time", () => {
  const time = new ServerTime();
  time.learn(Number.NaN, 0, 1);
  expect(time.earliest(0)).toBeNaN();
  time.learn(1_000, 0, 1);
  // By half a millisecond for each second more.
  time.learn(6_000, 4_901, 5_051);
  time.learn(Number.NaN, 6_000, 6_001);
  expect([time.earliest(9_000), time.latest(9_000)]).toEqual([9_999 - 2.525, 10_001 + 2.525]);
  // A sample that bounds it from one side narrows that side alone.
  time.learn(10_051, 9_051, 9_151);
  expect(time.earliest(9_151)).toBeCloseTo(10_150 - 4.575);
  expect(time.latest(9_151)).toBe(10_152);
  time.learn(11_250, 10_150, 10_250);
  expect(time.earliest(10_250)).toBe(11_250);
});

test("takes a clock that jumped at its word", () => {
  const time = new ServerTime();
  time.learn(1_000, 0, 1);
  time.learn(3_600_000, 10, 11);
  expect(time.earliest(11)).toBeGreaterThan(3_599_000);
  expect(time.latest(11)).toBeLessThan(3_601_000);
  time.learn(500, 20, 21);
  expect(time.latest(21)).toBeLessThan(600);
  expect(time.earliest(21)).toBeGreaterThan(400);
});

test("trusts old bounds no more than clocks that drift apart allow", () => {
  const time = new ServerTime();
  time.learn(1_000, 0, 1);
  time.learn(101_000, 100_000, 100_040);
  expect(time.latest(100_040) - time.earliest(100_040)).toBeGreaterThan(40);
  // The server's clock is slower by 400 ms in 1,000 s: nobody set it.
  const drifting = new ServerTime();
  for (let at = 0; at <= 1_000_000; at += 1_000) {
    const offset = 5_000 - at * 0.0004;
    const [sentAt, receivedAt] = [at, at + 10];
    const serverAt = Math.floor(at + 5 + offset);
    expect(drifting.wasSetBack(serverAt, sentAt, receivedAt)).toBe(false);
    drifting.learn(serverAt, sentAt, receivedAt);
    expect(drifting.earliest(receivedAt)).toBeLessThanOrEqual(receivedAt + offset);
    expect(drifting.latest(receivedAt)).toBeGreaterThanOrEqual(receivedAt + offset);
  }
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

test("tells what lies in the server's future from what clocks that drift apart put there", () => {
  const time = new ServerTime();
  expect(time.isToCome(2_000_000_000_000, 0)).toBe(false);
  time.learn(1_000_000, 0, 10);
  expect(time.latest(1_000)).toBe(1_001_001);
  expect(time.isToCome(1_001_101, 1_000)).toBe(false);
  expect(time.isToCome(1_001_102, 1_000)).toBe(true);
  // An hour later clocks may be more than a second apart.
  expect(time.isToCome(4_601_900, 3_600_000)).toBe(false);
  expect(time.isToCome(4_601_902, 3_600_000)).toBe(true);
});
