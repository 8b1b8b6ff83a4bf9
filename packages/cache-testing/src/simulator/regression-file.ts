import type { LoadPlan, Operation } from "./operation-plan.ts";
import { PLAN_FORMAT, type SchedulePlan } from "./schedule-plan.ts";

/** A schedule that once broke a promise, kept as data: what a seed means changes with the simulator, a plan does not. */
export interface RegressionFile {
  /** What was wrong, in a sentence. */
  readonly why: string;
  /** What kind of violation it gave: see `violationKind`. */
  readonly violation: string;
  /** What the processes are made of: a name that the test knows. */
  readonly processes: string;
  /** The mechanism whose absence makes it fail again, by the name of its ablation; left out where the code itself was wrong. */
  readonly without?: string;
  readonly plan: SchedulePlan;
}

/** As JSON, which has no infinity: it writes `null` for one. Plans have two, a time to live and an outage that does not end. */
export function encodeRegression(file: RegressionFile): string {
  return `${JSON.stringify({ format: PLAN_FORMAT, ...file }, undefined, 2)}\n`;
}

/** What a load of format 3 said of stale values; the rest of its plans means the same today. */
interface FormerLoad extends LoadPlan {
  readonly isStaleAllowed?: boolean;
}

/** @throws {TypeError} when it is not one, or of a format that this simulator does not run */
export function decodeRegression(text: string): RegressionFile {
  const found = JSON.parse(text) as (RegressionFile & { readonly format?: number }) | null;
  const isKnown = found?.format === PLAN_FORMAT || found?.format === 3;
  if (!isKnown || !found?.plan) {
    throw new TypeError(`expected a kept schedule of plan format ${PLAN_FORMAT} or 3, got format ${String(found?.format)}`);
  }
  const { format, ...file } = found;
  const { apart } = file.plan;
  const plan = {
    ...file.plan,
    ttlMs: file.plan.ttlMs ?? Infinity,
    ...(apart && { apart: { ...apart, forMs: apart.forMs ?? Infinity } }),
  };
  return { ...file, plan: format === 3 ? { ...plan, operations: plan.operations.map(fromFormat3) } : plan };
}

function fromFormat3(operation: Operation): Operation {
  if (operation.kind !== "load") return operation;
  const { isStaleAllowed, ...load } = operation.load as FormerLoad;
  const [staleWhileRevalidateMs, staleIfErrorMs] = isStaleAllowed ? [200, 400] : [0, 0];
  return { ...operation, load: { ...load, staleWhileRevalidateMs, staleIfErrorMs } };
}

/** What to do with a bad schedule, for people. */
export function describeFailure(file: RegressionFile, violations: readonly string[]): string {
  const { operations, faults, processes } = file.plan;
  return [
    `Shrunk to ${operations.length} operations and ${faults.length} faults in ${processes} processes: ${violations[0] ?? "no violation"}`,
    "To keep it, say why and store this as packages/pubsub-invalidation/test/regressions/<what-was-wrong>.json:",
    encodeRegression(file),
  ].join("\n");
}
