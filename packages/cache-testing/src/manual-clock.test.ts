import { afterEach, expect, it, vi } from "vitest";
import { ManualClock, settle } from "./manual-clock.ts";

afterEach(() => {
  vi.useRealTimers();
});

it("is turned, promises included, while the runner's fake timers are on", async () => {
  vi.useFakeTimers();
  const clock = new ManualClock();
  const seen: string[] = [];
  clock.setTimer(() => void Promise.resolve().then(() => seen.push("due")), 10);
  await clock.advanceAsync(10);
  expect(seen).toEqual(["due"]);
});

it("lets promises settle where there is no setImmediate, as in a browser's environment", async () => {
  vi.stubGlobal("setImmediate", undefined);
  try {
    await settle();
  } finally {
    vi.unstubAllGlobals();
  }
});

it.each([Number.NaN, -1, Infinity, undefined, "5"])("refuses to advance by %s, and fires nothing", async (ms) => {
  const clock = new ManualClock();
  const before = clock.now();
  let fired = 0;
  clock.setTimer(() => {
    fired += 1;
  }, 1_000);
  expect(() => clock.advance(ms as number)).toThrow(RangeError);
  await expect(clock.advanceAsync(ms as number)).rejects.toThrow(`not by ${String(ms)}`);
  expect([clock.now(), fired]).toEqual([before, 0]);
});
