import { expect, it } from "vitest";
import { decodeRegression, encodeRegression } from "./regression-file.ts";
import { planSchedule, type SchedulePlan } from "./schedule-plan.ts";

it("gives every plan back as it was: with an endless time to live, and a second tier that never comes back", () => {
  const plans = Array.from({ length: 200 }, (_, seed) => planSchedule(seed, { isApart: true, isDrawn: true }));
  const file = { why: "a test", violation: "stale", processes: "memory, Redis and bus" };
  // By way of JSON, in which what is left out and what is undefined are one, and with its infinities named.
  const named = (plan: SchedulePlan): string => JSON.stringify(plan, (_, found) => (found === Infinity ? "endless" : found));
  const changed = plans.filter((plan) => named(decodeRegression(encodeRegression({ ...file, plan })).plan) !== named(plan));
  expect(changed.map(({ seed }) => seed)).toEqual([]);
  expect(plans.some(({ apart }) => apart?.forMs === Infinity)).toBe(true);
});
