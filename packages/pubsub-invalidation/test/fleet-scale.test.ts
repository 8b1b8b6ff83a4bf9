import { type FaultPlan, type Operation, runInTurn, runSchedule, type ScheduleResult } from "@larder/cache-testing";
import { describe, expect, it } from "vitest";
import { createWithoutStore, maxStalenessMs } from "./simulated-process.ts";

// docs/scaling.md multiplies unit costs with counts. The unit costs are measured on a real Redis (unit-costs.test.ts); the counts are held
// here, with the product's own code in a thousand processes. LARDER_MEASURE=1 prints them.
const PROCESSES = 1_000;
const KEYS = 3;
const HEARTBEAT_MS = 250;
/** The simulator starts everything, plays the plan, then waits until all have heard a heartbeat that they sent after it. */
const START_MS = 40;
/** Nothing but arithmetic, in virtual time: it takes as long as it takes. */
const A_BUSY_MACHINE_MS = 600_000;

/** Writes spread evenly over a part of the plan, each by another process. */
function writes(count: number, fromMs: number, toMs: number): Operation[] {
  return Array.from({ length: count }, (_, index) => ({
    kind: "write",
    at: fromMs + ((toMs - fromMs) * index) / count,
    process: (index * 7) % PROCESSES,
    key: index % KEYS,
  }));
}

function runFleet(busyMs: number, operations: readonly Operation[], faults: readonly FaultPlan[] = []): Promise<ScheduleResult> {
  const plan = {
    seed: 1,
    processes: PROCESSES,
    keys: KEYS,
    ttlMs: Infinity,
    busyMs,
    weather: { latencyMs: 0.2, spreadMs: 0.3, lateEffect: 0, duplicate: 0 },
    loadsAtRest: false,
    operations,
    faults,
  };
  return runInTurn(() => runSchedule(plan, { create: createWithoutStore, maxStalenessMs, readLimitMs: 60 }));
}

function show(what: string, { commands, pushed, steps, reads }: ScheduleResult): void {
  if (process.env.LARDER_MEASURE !== undefined) console.log(what, { ...commands, pushed, steps, reads });
}

describe("a fleet of a thousand processes", () => {
  it(
    "sends as many heartbeats and messages as the page on scaling says: one check each a heartbeat, one message each an invalidation",
    async () => {
      const [busyMs, count] = [1_500, 100];
      const result = await runFleet(busyMs, writes(count, 0, busyMs));
      show("at peace", result);
      expect(result.violations).toEqual([]);
      const { append = 0, check = 0, replay = 0 } = result.commands;
      expect(append).toBe(count);
      expect(replay).toBe(0);
      // One when the subscription stands, then one a heartbeat; the wait at the end is for the next one of each.
      const beats = 1 + Math.floor((START_MS + busyMs) / HEARTBEAT_MS);
      expect(check).toBeGreaterThanOrEqual(PROCESSES * beats);
      expect(check).toBeLessThanOrEqual(PROCESSES * (beats + 2));
      expect(result.pushed).toBe(append * PROCESSES + check);
    },
    A_BUSY_MACHINE_MS,
  );

  it(
    "reads what it missed once each after all connections were lost, and nobody holds anything old",
    async () => {
      const [busyMs, count] = [1_000, 60];
      const missedFromMs = 300;
      const faults = Array.from({ length: PROCESSES }, (_, process) => ({ kind: "bar" as const, at: 250, process, link: 3, forMs: 400 }));
      const result = await runFleet(busyMs, writes(count, missedFromMs, missedFromMs + 300), faults);
      show("after an outage", result);
      expect(result.violations).toEqual([]);
      const { append = 0, replay = 0 } = result.commands;
      expect(append).toBe(count);
      expect(replay).toBe(PROCESSES);
    },
    A_BUSY_MACHINE_MS,
  );
});
