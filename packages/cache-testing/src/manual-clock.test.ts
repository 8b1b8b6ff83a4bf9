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
