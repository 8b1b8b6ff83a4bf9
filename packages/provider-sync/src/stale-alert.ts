import { type Clock, checkDurationMs, checkOptions, type OptionNames, systemClock } from "@larder/cache-core";

/**
 * Tells once an episode that no sync has completed for too long (seeds S4.12). An episode begins with a completion growing old, or with
 * none ever recorded, and ends with the next completion. Whatever fails here is answered, never thrown: an alert about the catalog must
 * not take down what serves it.
 *
 * Instants come from the clocks of a fleet. One that lies ahead of this machine's by less than `staleAfterMs` is skew between machines;
 * one further ahead was written by a clock that was wrong, and counts as if it had not been: else one bad hour silences the alert until
 * the time that the bad clock showed.
 */
export interface StaleAlertOptions {
  /** When a sync last completed; `undefined` = never recorded. */
  completedAt(): Promise<number | string | undefined>;
  /** Remembers that an alert was sent: the store does. */
  readonly memory: AlertMemory;
  /** Sends the alert. `false`, or a rejection, means that it was not sent. */
  post(alert: StaleAlert): Promise<boolean>;
  /** Milliseconds > 0 from which a completion is too old. @default 3600000 (1 h) */
  readonly staleAfterMs?: number;
  /** Milliseconds > 0 after which an alert is forgotten and a lasting episode told again. @default 259200000 (3 days) */
  readonly rememberMs?: number;
  /** `"simulate"` composes the alert and does not post it: outside production. @default "post" */
  readonly mode?: "post" | "simulate";
  /** Posts an alert marked as a test, whatever the state, and remembers nothing. @default false */
  readonly isTest?: boolean;
  /** Names the alert in the memory. @default "catalog-stale" */
  readonly name?: string;
  /** @default the machine's */
  readonly clock?: Clock;
}

const OPTIONS: OptionNames<StaleAlertOptions> = {
  completedAt: true,
  memory: true,
  post: true,
  staleAfterMs: true,
  rememberMs: true,
  mode: true,
  isTest: true,
  name: true,
  clock: true,
};

/** Where sent alerts are remembered. */
export interface AlertMemory {
  /** When an alert of this name was last sent; `undefined` = never. */
  alertedAt(name: string): Promise<number | undefined>;
  /** Notes that an alert was sent. */
  recordAlert(name: string, at: number): Promise<void>;
}

/** What is told. */
export interface StaleAlert {
  /** `undefined` = no completion was ever recorded. */
  readonly completedAt: number | undefined;
  /** `Infinity` when none was ever recorded, or the recorded instant is too far ahead of the clock to be true. */
  readonly ageMs: number;
  readonly isTest: boolean;
  /** One line for people. */
  readonly message: string;
}

/** What became of a check. */
export type StaleAlertOutcome =
  | { readonly outcome: "fresh" }
  | { readonly outcome: "suppressed" } // told before in this episode
  | { readonly outcome: "posted" | "simulated"; readonly alert: StaleAlert }
  | { readonly outcome: "failed"; readonly stage: "memory" | "post" };

/** Reads an instant as it may have been recorded: epoch milliseconds, as number or text, or an ISO date. `undefined` for anything else. */
export function readInstant(value: number | string | null | undefined): number | undefined {
  if (value === null || value === undefined || value === "") return undefined;
  const at = typeof value === "number" || /^\d+$/.test(value) ? Number(value) : Date.parse(value);
  return Number.isFinite(at) && at > 0 ? at : undefined;
}

/** An instant as far as it can be true: see the essay on instants ahead of the clock. */
function plausible(now: number, at: number | undefined, staleAfterMs: number): number | undefined {
  return at !== undefined && at - now < staleAfterMs ? at : undefined;
}

/** Whether an alert is due. An alert newer than the completion suppresses until `rememberMs` is over. */
export function isAlertDue(
  now: number,
  recordedAt: number | undefined,
  recordedAlertAt: number | undefined,
  limits: { readonly staleAfterMs: number; readonly rememberMs: number },
): "fresh" | "suppressed" | "due" {
  const completedAt = plausible(now, recordedAt, limits.staleAfterMs);
  const alertedAt = plausible(now, recordedAlertAt, limits.staleAfterMs);
  if (completedAt !== undefined && now - completedAt < limits.staleAfterMs) return "fresh";
  const isTold = alertedAt !== undefined && (completedAt === undefined || alertedAt > completedAt) && now - alertedAt < limits.rememberMs;
  return isTold ? "suppressed" : "due";
}

function compose(completedAt: number | undefined, now: number, staleAfterMs: number, isTest: boolean): StaleAlert {
  const isAhead = completedAt !== undefined && plausible(now, completedAt, staleAfterMs) === undefined;
  const ageMs = completedAt === undefined || isAhead ? Number.POSITIVE_INFINITY : now - completedAt;
  const last =
    completedAt === undefined
      ? "the last completion was never recorded"
      : isAhead
        ? "the last completion is recorded with an instant that is still to come"
        : `the last one completed at ${new Date(completedAt).toISOString()}, ${Math.floor(ageMs / 60_000)} minutes ago`;
  return { completedAt, ageMs, isTest, message: `${isTest ? "[TEST] " : ""}Provider sync is stale: ${last}.` };
}

/** What it answers, or `false` for what it throws, at once or later. */
async function attempt<T>(action: () => Promise<T>): Promise<T | false> {
  try {
    return await action();
  } catch {
    return false;
  }
}

/** Checks, and posts when an alert is due. Never rejects. @throws {CacheError} ERR_CACHE_INVALID_OPTION */
export async function checkStaleAlert(options: StaleAlertOptions): Promise<StaleAlertOutcome> {
  checkOptions(options, OPTIONS);
  const { memory, mode = "post", isTest = false, name = "catalog-stale", clock = systemClock } = options;
  const staleAfterMs = checkDurationMs("staleAfterMs", options.staleAfterMs ?? 3_600_000);
  const rememberMs = checkDurationMs("rememberMs", options.rememberMs ?? 259_200_000);
  const now = clock.wallNow();
  let completedAt: number | undefined;
  try {
    completedAt = readInstant(await options.completedAt());
    const state = isTest ? "due" : isAlertDue(now, completedAt, await memory.alertedAt(name), { staleAfterMs, rememberMs });
    if (state !== "due") return { outcome: state };
  } catch {
    // Without the memory a reminder would be sent at every check by every process.
    return { outcome: "failed", stage: "memory" };
  }
  const alert = compose(completedAt, now, staleAfterMs, isTest);
  if (mode === "simulate") return { outcome: "simulated", alert };
  if (!(await attempt(() => options.post(alert)))) return { outcome: "failed", stage: "post" };
  if (!isTest) await attempt(() => memory.recordAlert(name, now));
  return { outcome: "posted", alert };
}
