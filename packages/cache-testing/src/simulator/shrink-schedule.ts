import type { FaultPlan } from "./fault-plan.ts";
import type { LoadPlan, Operation } from "./operation-plan.ts";
import { runInTurn } from "./run-in-turn.ts";
import { runSchedule, type ScheduleOptions, type ScheduleResult } from "./run-schedule.ts";
import type { SchedulePlan } from "./schedule-plan.ts";
import { violationKind } from "./violation-kind.ts";

/*
 * Makes a bad schedule small enough to be understood.
 *
 * Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", TSE 2002): parts are left out, half of them at
 * first and single ones at last, for as long as a violation of the same kind remains. Left out are operations, faults, processes, keys, and
 * then what makes the rest complicated: further servers, calls that are sent again, repeated and late messages, spread of latencies, a time to
 * live, idle time.
 *
 * It works because luck is a stream per connection: what is left out of one process does not reshuffle the latencies of the others. What
 * it gives is a local minimum, and its violation need not be the same bug, only the same kind: read it before believing it.
 */

/** What shrinking came to. */
export interface ShrunkSchedule {
  readonly plan: SchedulePlan;
  /** What the shrunk plan comes to. */
  readonly result: ScheduleResult;
  /** Schedules run on the way. */
  readonly runs: number;
}

type Change = (plan: SchedulePlan) => SchedulePlan;

/** Leaves out the nth process, with what it does and what befalls it. */
function withoutProcess(plan: SchedulePlan, gone: number): SchedulePlan {
  const renumber = <T extends { readonly process: number }>(part: T): T =>
    part.process > gone ? { ...part, process: part.process - 1 } : part;
  return {
    ...plan,
    processes: plan.processes - 1,
    operations: plan.operations.filter(({ process }) => process !== gone).map(renumber),
    faults: plan.faults
      .filter((fault) => !("process" in fault) || fault.process !== gone)
      .map((fault) => ("process" in fault ? renumber(fault) : fault)),
  };
}

const keyOf = (part: Operation | FaultPlan): number => ("key" in part ? part.key : 0);

/** As many keys as are named. */
const withoutSpareKeys: Change = (plan) => ({ ...plan, keys: 1 + Math.max(0, ...[...plan.operations, ...plan.faults].map(keyOf)) });

/** Ends when its last operation and fault have begun. */
const withoutIdleEnd: Change = (plan) => {
  const lastAt = Math.max(1, ...[...plan.operations, ...plan.faults].map(({ at }) => at));
  return { ...plan, busyMs: Math.min(plan.busyMs, Math.ceil(lastAt) + 1) };
};

const simplerLoad = (operation: Operation): Operation =>
  operation.kind === "load" ? { ...operation, load: { ...withoutPatience(operation.load), fails: false, forceRefresh: false } } : operation;

/** A load whose caller waits for it, and takes nothing else. */
function withoutPatience({ softTimeoutMs: _soft, timeoutMs: _hard, ...load }: LoadPlan): LoadPlan {
  return { ...load, abortAfterMs: undefined, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 };
}

/** What makes a plan simpler without leaving a part of it out. */
const SIMPLER: readonly Change[] = [
  withoutSpareKeys,
  withoutIdleEnd,
  (plan) => ({ ...plan, ttlMs: Infinity }),
  ({ apart: _, ...plan }) => plan,
  ({ shards: _, ...plan }) => plan,
  ({ resend: _, ...plan }) => plan,
  (plan) => ({ ...plan, lanes: 1 }),
  (plan) => ({ ...plan, maxEntries: 16 }),
  (plan) => ({ ...plan, weather: { ...plan.weather, duplicate: 0 } }),
  (plan) => ({ ...plan, weather: { ...plan.weather, lateEffect: 0 } }),
  (plan) => ({ ...plan, weather: { ...plan.weather, spreadMs: 0 } }),
  (plan) => ({ ...plan, operations: plan.operations.map(simplerLoad) }),
];

class Shrinking {
  readonly #options: ScheduleOptions;
  readonly #kind: string;
  readonly #maxRuns: number;
  runs = 0;
  plan: SchedulePlan;
  result: ScheduleResult;

  constructor(plan: SchedulePlan, options: ScheduleOptions, maxRuns: number) {
    this.#options = options;
    this.#maxRuns = maxRuns;
    this.plan = plan;
    this.result = this.#run(plan);
    this.#kind = violationKind(this.result.violations);
  }

  shrink(): void {
    if (this.result.violations.length === 0) return;
    for (let before = -1; before !== this.#size && !this.#isSpent; ) {
      before = this.#size;
      this.#dropParts("operations");
      this.#dropParts("faults");
      for (let process = this.plan.processes - 1; process >= 0 && this.plan.processes > 1; process -= 1) {
        this.#try((plan) => withoutProcess(plan, process));
      }
      for (const change of SIMPLER) this.#try(change);
    }
  }

  get #size(): number {
    return this.plan.operations.length + this.plan.faults.length + this.plan.processes;
  }

  get #isSpent(): boolean {
    return this.runs >= this.#maxRuns;
  }

  /** Halves, quarters, … single parts. */
  #dropParts(what: "operations" | "faults"): void {
    for (let size = Math.ceil(this.plan[what].length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let from = 0; from < this.plan[what].length; ) {
        const isGone = this.#try((plan) => ({ ...plan, [what]: plan[what].toSpliced(from, size) }));
        if (!isGone) from += size;
      }
    }
  }

  /** @returns whether the changed plan is still bad, and has been taken */
  #try(change: Change): boolean {
    if (this.#isSpent) return false;
    const plan = change(this.plan);
    const result = this.#run(plan);
    if (violationKind(result.violations) !== this.#kind) return false;
    this.plan = plan;
    this.result = result;
    return true;
  }

  #run(plan: SchedulePlan): ScheduleResult {
    this.runs += 1;
    return runSchedule(plan, this.#options);
  }
}

/**
 * Shrinks a bad plan while a violation of the same kind remains. A good one comes back as it is.
 * @param maxRuns schedules run at most, some two milliseconds each; >= 1
 */
export async function shrinkSchedule(plan: SchedulePlan, options: ScheduleOptions, maxRuns: number = 2_000): Promise<ShrunkSchedule> {
  return runInTurn(() => {
    const shrinking = new Shrinking(plan, options, maxRuns);
    shrinking.shrink();
    return { plan: shrinking.plan, result: shrinking.result, runs: shrinking.runs };
  });
}
