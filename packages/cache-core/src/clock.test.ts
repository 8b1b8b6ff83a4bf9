import { describe, expect, it, vi } from "vitest";
import { systemClock } from "./clock.ts";

/** Keeps the event loop busy for so long. */
function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe("the system clock", () => {
  it("does not keep a sample past the callback in which it was taken", async () => {
    const before = systemClock.now();
    block(5);
    await Promise.resolve();
    expect(systemClock.now()).toBeGreaterThanOrEqual(before + 5);
  });

  it("lets a synchronous loop see time pass", () => {
    const before = systemClock.now();
    block(5);
    let reads = 0;
    while (systemClock.now() === before && reads < 100) reads += 1;
    expect(reads).toBeLessThan(100);
  });

  it("never goes back", () => {
    let last = systemClock.now();
    for (let index = 0; index < 1_000; index += 1) {
      const now = systemClock.now();
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
    }
  });

  it("sets timers where a timer is a number, as in a browser's environment", async () => {
    const ownSetTimeout = globalThis.setTimeout;
    const numbers = new Map<number, ReturnType<typeof setTimeout>>();
    vi.stubGlobal("setTimeout", (callback: () => void, delayMs: number) => {
      numbers.set(numbers.size + 1, ownSetTimeout(callback, delayMs));
      return numbers.size;
    });
    try {
      await new Promise<void>((resolve) => systemClock.setTimer(resolve, 1));
    } finally {
      vi.unstubAllGlobals();
    }
    expect(numbers.size).toBe(1);
  });
});
