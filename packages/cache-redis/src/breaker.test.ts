import { ManualClock } from "@larder/cache-testing";
import { describe, expect, test } from "vitest";
import { Breaker, type BreakerState } from "./breaker.ts";

function create(failureThreshold = 3) {
  const clock = new ManualClock();
  const states: BreakerState[] = [];
  const checks: Array<{ pass: () => void; fail: () => void }> = [];
  const breaker = new Breaker({
    clock,
    random: { next: () => 0, token: () => "" },
    failureThreshold,
    check: () => new Promise((resolve, reject) => checks.push({ pass: resolve, fail: () => reject(new Error("no")) })),
    onChange: (state) => states.push(state),
  });
  return { breaker, clock, states, checks };
}

describe("a breaker", () => {
  test("is open until the first check after a connect has passed", async () => {
    const { breaker, clock, states, checks } = create();
    expect(breaker.state).toBe("open");
    breaker.connect();
    expect(breaker.state).toBe("half-open");
    checks[0]?.pass();
    await clock.advanceAsync(0);
    expect(states).toEqual(["half-open", "closed"]);
  });

  test("opens after so many failures in a row, and an answer in between begins anew", async () => {
    const { breaker, clock, checks } = create();
    breaker.connect();
    checks[0]?.pass();
    await clock.advanceAsync(0);
    breaker.fail();
    breaker.fail();
    breaker.succeed();
    breaker.fail();
    breaker.fail();
    expect(breaker.state).toBe("closed");
    breaker.fail();
    expect(breaker.state).toBe("open");
  });

  test("asks again after pauses that double up to five seconds, one check at a time", async () => {
    const { breaker, clock, checks } = create();
    breaker.connect();
    for (const pauseMs of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]) {
      const asked = checks.length;
      checks.at(-1)?.fail();
      await clock.advanceAsync(pauseMs - 1);
      expect(checks).toHaveLength(asked);
      await clock.advanceAsync(1);
      expect(checks).toHaveLength(asked + 1);
    }
    expect(clock.pendingTimers).toBe(0);
  });

  test("takes no notice of a check that comes back after the connection went", async () => {
    const { breaker, clock, checks } = create();
    breaker.connect();
    breaker.disconnect();
    checks[0]?.pass();
    await clock.advanceAsync(0);
    expect(breaker.state).toBe("open");
    expect(clock.pendingTimers).toBe(0);
  });

  test("goes on lengthening its pauses while checks pass and calls time out", async () => {
    const { breaker, clock, checks } = create(1);
    breaker.connect();
    checks[0]?.pass();
    await clock.advanceAsync(0);
    for (const pauseMs of [100, 200, 400]) {
      breaker.fail();
      expect(breaker.state).toBe("open");
      await clock.advanceAsync(pauseMs - 1);
      expect(breaker.state).toBe("open");
      await clock.advanceAsync(1);
      checks.at(-1)?.pass();
      await clock.advanceAsync(0);
      expect(breaker.state).toBe("closed");
    }
  });
});
