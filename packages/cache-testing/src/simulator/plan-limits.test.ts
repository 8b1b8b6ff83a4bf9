import { describe, expect, it } from "vitest";
import type { Operation } from "./operation-plan.ts";
import { drawLimits, type PlanLimits } from "./plan-limits.ts";
import { planSchedule, type SchedulePlan } from "./schedule-plan.ts";

const BROAD: ReadonlyArray<Operation["kind"]> = ["write-tag", "write-pattern", "write-all"];

const plansOf = (limits: PlanLimits, count = 200): SchedulePlan[] =>
  Array.from({ length: count }, (_, index) => planSchedule(index + 1, limits));

function shareOf(kinds: ReadonlyArray<Operation["kind"]>, limits: PlanLimits): number {
  const operations = plansOf(limits).flatMap((plan) => plan.operations);
  return operations.filter(({ kind }) => kinds.includes(kind)).length / operations.length;
}

describe("limits", () => {
  it("set the shares of calls that set a value, and of those that invalidate more than a key, beside those of the usual mix", () => {
    expect(shareOf(["set"], {})).toBeLessThan(0.1);
    expect(shareOf(["set"], { sets: 0.5 })).toBeGreaterThan(0.45);
    expect(shareOf(BROAD, {})).toBeLessThan(0.15);
    expect(shareOf(BROAD, { broad: 0.5 })).toBeGreaterThan(0.45);
    for (const kind of BROAD) expect(shareOf([kind], { broad: 0.5 })).toBeGreaterThan(shareOf([kind], {}));
  });

  it("that are drawn are the same for the same seed, and hold everything that there is", () => {
    expect(planSchedule(7, { isDrawn: true })).toEqual(planSchedule(7, { isDrawn: true }));
    const drawn = Array.from({ length: 200 }, (_, seed) => drawLimits(seed));
    const kinds = new Set(drawn.flatMap(({ faults }) => faults ?? []));
    for (const kind of ["cut", "crash", "server-jump", "demote", "refuse", "freeze", "flood"] as const) expect(kinds).toContain(kind);
    const sharded = drawn.filter(({ shards }) => shards !== undefined);
    for (const limits of sharded) expect(limits.lanes).toBeGreaterThanOrEqual(limits.shards ?? 0);
    const found = {
      shards: sharded.length,
      isApart: drawn.filter(({ isApart }) => isApart).length,
      resends: drawn.filter(({ resends }) => resends).length,
      broad: drawn.filter(({ broad }) => broad).length,
      sets: drawn.filter(({ sets }) => sets).length,
      processes: drawn.filter(({ processes }) => processes !== 3).length,
    };
    for (const [name, count] of Object.entries(found)) expect([name, count > 20 && count < 120]).toEqual([name, true]);
  });

  it("never let a process crash whose server's clock is set: who begins anew cannot know that it was", () => {
    for (let seed = 0; seed < 200; seed += 1) {
      const { faults = [] } = drawLimits(seed);
      expect(faults.includes("crash") && faults.includes("server-jump")).toBe(false);
    }
  });
});
