import type { SeededRandom } from "./seeded-random.ts";

/** What a process is made to do. `key` indexes the schedule's keys. */
export type Operation =
  | { readonly kind: "get" | "set" | "delete" | "write" | "write-tag"; readonly at: number; readonly process: number; readonly key: number }
  | { readonly kind: "load"; readonly at: number; readonly process: number; readonly key: number; readonly load: LoadPlan }
  | { readonly kind: "clear" | "write-all"; readonly at: number; readonly process: number }
  /** A pattern that covers one key, or all: `undefined`. */
  | { readonly kind: "write-pattern"; readonly at: number; readonly process: number; readonly key?: number };

/** How a `getOrSet` of the schedule goes. Times in milliseconds. */
export interface LoadPlan {
  /** Until its loader reads the database. */
  readonly readAfterMs: number;
  /** From there until it answers. */
  readonly answerAfterMs: number;
  /** The loader throws, after its time. */
  readonly fails: boolean;
  /** When its caller gives up; `undefined` = never. */
  readonly abortAfterMs: number | undefined;
  /** Loads though something live is stored. */
  readonly forceRefresh: boolean;
  /** Stale windows; 0 = none. */
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** When its caller takes the stale value, and when it gives up altogether; left out = never. */
  readonly softTimeoutMs?: number;
  readonly timeoutMs?: number;
  readonly singleFlight: "fleet" | "process";
}

/** What operations are drawn within. */
export interface OperationStage {
  readonly processes: number;
  readonly keys: number;
  /** Virtual milliseconds in which they begin. */
  readonly spanMs: number;
  /** Whether loaders fail. */
  readonly isLossy: boolean;
  /** Whether loads run longer than the staleness bound. */
  readonly isPatient: boolean;
  /** Shares of calls that set a value, and of those that invalidate more than a key. */
  readonly sets: number;
  readonly broad: number;
}

/** The stale windows that a call asks for, and its patience with a load. */
function planPatience(random: SeededRandom, isPatient: boolean, isLong: boolean): Partial<LoadPlan> & Pick<LoadPlan, "staleIfErrorMs"> {
  const softTimeoutMs = random.chance(0.3) ? 1 + random.next() * (isLong ? 1_000 : 40) : undefined;
  if (isPatient)
    return {
      staleWhileRevalidateMs: random.chance(0.5) ? 100 + 900 * random.next() : 0,
      staleIfErrorMs: 2_000,
      ...(softTimeoutMs && { softTimeoutMs }),
    };
  return { staleWhileRevalidateMs: 200, staleIfErrorMs: 400, ...(softTimeoutMs && { softTimeoutMs }) };
}

function planLoad(random: SeededRandom, { isLossy, isPatient }: OperationStage): LoadPlan {
  const isLong = isPatient && random.chance(0.4);
  const isSlow = random.chance(0.15);
  return {
    readAfterMs: random.next() * (isSlow ? 200 : 20),
    answerAfterMs: isLong ? 400 + random.next() * 600 : random.next() * (isSlow ? 600 : 40),
    fails: isLong ? random.chance(0.5) : isLossy && random.chance(0.1),
    abortAfterMs: random.chance(0.08) ? random.next() * 60 : undefined,
    forceRefresh: random.chance(0.05),
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    ...(random.chance(isPatient ? 0.8 : 0.3) ? planPatience(random, isPatient, isLong) : {}),
    ...(random.chance(0.06) ? { timeoutMs: 1 + random.next() * (isLong ? 1_000 : 60) } : {}),
    singleFlight: random.chance(0.7) ? "fleet" : "process",
  };
}

function planBroad(random: SeededRandom, call: { readonly at: number; readonly process: number; readonly key: number }): Operation {
  const { at, process } = call;
  const dice = random.next();
  if (dice < 0.3) return { kind: "write-tag", ...call };
  if (dice < 0.7) return { kind: "write-pattern", ...call };
  return { kind: dice < 0.9 ? "write-pattern" : "write-all", at, process };
}

/** Draws what a process is made to do. */
export function planOperation(random: SeededRandom, stage: OperationStage): Operation {
  const { processes, keys, spanMs, sets, broad } = stage;
  const at = random.next() * spanMs;
  const process = random.integer(processes);
  const key = random.integer(keys);
  if (sets > 0 && random.chance(sets)) return { kind: "set", at, process, key };
  if (broad > 0 && random.chance(broad)) return planBroad(random, { at, process, key });
  const dice = random.next();
  if (dice < 0.28) return { kind: "get", at, process, key };
  if (dice < 0.62) return { kind: "load", at, process, key, load: planLoad(random, stage) };
  if (dice < 0.82) return { kind: "write", at, process, key };
  if (dice < 0.88) return { kind: "set", at, process, key };
  if (dice < 0.93) return { kind: "write-tag", at, process, key };
  if (dice < 0.95) return { kind: "delete", at, process, key };
  return { kind: random.pick(["clear", "write-pattern", "write-all"] as const), at, process };
}
