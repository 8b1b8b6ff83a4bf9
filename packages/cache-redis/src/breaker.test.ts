import { ManualClock } from "@larder/cache-testing";
import { describe, expect, test } from "vitest";
import { Breaker, type BreakerState } from "./breaker.ts";

function create(failureThreshold = 3, next = () => 0) {
  const clock = new ManualClock();
  const states: BreakerState[] = [];
  const checks: Array<{ pass: () => void; fail: () => void }> = [];
  const breaker = new Breaker({
    clock,
    random: { next, token: () => "" },
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

  test("begins with short pauses again once a call was answered, and not for an answer that comes while it lets none pass", async () => {
    const { breaker, clock, checks } = create(1);
    breaker.connect();
    const pass = async (): Promise<void> => {
      checks.at(-1)?.pass();
      await clock.advanceAsync(0);
    };
    await pass();
    for (const pauseMs of [100, 200]) {
      breaker.fail();
      // The answer of a call from before, after its caller was told.
      breaker.succeed();
      await clock.advanceAsync(pauseMs - 1);
      expect(breaker.state).toBe("open");
      await clock.advanceAsync(1);
      expect(breaker.state).toBe("half-open");
      breaker.succeed();
      await pass();
    }
    breaker.succeed();
    breaker.fail();
    await clock.advanceAsync(100);
    expect(breaker.state).toBe("half-open");
  });

  test("asks up to a quarter earlier, so that a fleet does not come back in step", async () => {
    const { breaker, clock, checks } = create(1, () => 0.8);
    breaker.connect();
    for (const pauseMs of [80, 160, 320]) {
      checks.at(-1)?.fail();
      await clock.advanceAsync(0);
      const asked = checks.length;
      await clock.advanceAsync(pauseMs - 1);
      expect(checks).toHaveLength(asked);
      await clock.advanceAsync(1);
      expect(checks).toHaveLength(asked + 1);
    }
  });

  test("lets a check end though calls of before time out meanwhile, and does not count them afterwards", async () => {
    const { breaker, clock, states, checks } = create();
    breaker.connect();
    for (let call = 0; call < 10; call += 1) breaker.fail();
    expect(breaker.state).toBe("half-open");
    checks[0]?.pass();
    await clock.advanceAsync(0);
    breaker.fail();
    breaker.fail();
    expect(states).toEqual(["half-open", "closed"]);
    expect(clock.pendingTimers).toBe(0);
  });

  test("counts anew after each change", async () => {
    const { breaker, clock, checks } = create();
    breaker.connect();
    checks[0]?.pass();
    await clock.advanceAsync(0);
    breaker.fail();
    breaker.fail();
    breaker.trip();
    await clock.advanceAsync(100);
    checks[1]?.pass();
    await clock.advanceAsync(0);
    breaker.fail();
    expect(breaker.state).toBe("closed");
  });

  test("waits once however often it is told, and tells each change once", async () => {
    const { breaker, clock, states, checks } = create();
    breaker.connect();
    for (let time = 0; time < 3; time += 1) breaker.trip();
    expect(clock.pendingTimers).toBe(1);
    expect(states).toEqual(["half-open", "open"]);
    await clock.advanceAsync(100);
    expect(checks).toHaveLength(2);
    expect(clock.pendingTimers).toBe(0);
  });

  test("asks nothing without a connection, and once as soon as there is one", async () => {
    const { breaker, clock, states, checks } = create();
    breaker.trip();
    expect([clock.pendingTimers, states]).toEqual([0, []]);
    breaker.connect();
    checks[0]?.fail();
    await clock.advanceAsync(0);
    expect(clock.pendingTimers).toBe(1);
    breaker.disconnect();
    breaker.trip();
    expect(clock.pendingTimers).toBe(0);
    breaker.connect();
    await clock.advanceAsync(10_000);
    expect(checks).toHaveLength(2);
    checks[1]?.fail();
    await clock.advanceAsync(0);
    expect(clock.pendingTimers).toBe(1);
    // A connection that is told twice is no reason to ask twice.
    breaker.connect();
    await clock.advanceAsync(10_000);
    expect(checks).toHaveLength(3);
  });

  test("takes no notice either of a check that fails after another connection was made", async () => {
    const { breaker, clock, checks } = create();
    breaker.connect();
    breaker.disconnect();
    breaker.connect();
    checks[0]?.fail();
    await clock.advanceAsync(0);
    expect(breaker.state).toBe("half-open");
    checks[1]?.pass();
    await clock.advanceAsync(0);
    expect(breaker.state).toBe("closed");
  });
});
