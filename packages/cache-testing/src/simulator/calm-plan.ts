import type { SchedulePlan } from "./schedule-plan.ts";

/** One way, in virtual milliseconds: faster than this, a subscription is made within the five that the simulated port waits for its connection. */
const FAST_MS = 2;

/** When everybody has found the second tier, in virtual milliseconds. */
export const SETTLED_AT = 100;

/** Whether nothing goes wrong in a schedule, and Redis is fast: what is promised for good weather can be judged in it. */
export function isCalmPlan({ faults, weather, apart }: SchedulePlan): boolean {
  return faults.length === 0 && apart === undefined && weather.latencyMs + weather.spreadMs <= FAST_MS;
}
