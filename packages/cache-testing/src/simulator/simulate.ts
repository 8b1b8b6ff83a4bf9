import { checkSimulation } from "./check-simulation.ts";
import type { PlanLimits } from "./plan-limits.ts";
import { runInTurn } from "./run-in-turn.ts";
import { runSchedule, type ScheduleOptions, type ScheduleResult } from "./run-schedule.ts";
import { planSchedule } from "./schedule-plan.ts";

/** Schedules run between two turns of the event loop. */
const BATCH = 50;

/** A range of seeds, and what it came to. */
export interface SimulationReport {
  /** Seeds go up from here by one; the same seed is the same schedule. */
  readonly firstSeed: number;
  readonly schedules: number;
  readonly steps: number;
  readonly reads: number;
  /** Seeds whose schedules broke a promise, with what was broken; the first ones, at most `keepFailures`. */
  readonly failures: readonly ScheduleResult[];
}

/** Which schedules are run, and how. */
export interface SimulationOptions extends ScheduleOptions {
  /** An integer. */
  readonly firstSeed: number;
  /** Integer >= 1. */
  readonly schedules: number;
  /** What the plans are drawn within. @default everything */
  readonly limits?: PlanLimits;
  /** Bad schedules after which the run stops; integer >= 1. @default 1 */
  readonly keepFailures?: number;
  /** Told now and then, with the number of schedules run so far. @default nobody */
  readonly onProgress?: (done: number) => void;
}

/**
 * Runs the schedules of a range of seeds, each in a turn of the event loop that it does not leave.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION when an option is out of range: a run of no schedules, or one without a bound, finds nothing wrong
 */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  checkSimulation(options);
  const { firstSeed, schedules, limits, keepFailures = 1 } = options;
  const failures: ScheduleResult[] = [];
  let steps = 0;
  let reads = 0;
  let done = 0;
  const runBatch = (): void => {
    for (let end = Math.min(schedules, done + BATCH); done < end && failures.length < keepFailures; done += 1) {
      const result = runSchedule(planSchedule(firstSeed + done, limits), options);
      steps += result.steps;
      reads += result.reads;
      if (result.violations.length > 0) failures.push(result);
    }
  };
  while (done < schedules && failures.length < keepFailures) {
    await runInTurn(runBatch);
    options.onProgress?.(done);
  }
  return { firstSeed, schedules: done, steps, reads, failures };
}
