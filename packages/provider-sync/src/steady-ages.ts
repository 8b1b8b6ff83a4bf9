import type { GuardPolicy } from "./guard-policy.ts";
import type { QuarantineEntry } from "./quarantine.ts";
import type { LapsedPrice, ListedModel, SourceLayer } from "./snapshot.ts";

/**
 * How old something is that the guards wait for, although only the wall clock spans runs, processes and restarts, and wall clocks jump:
 * a machine boots in 1970, a virtual one wakes after days, one of a fleet is set to next month. An age taken as "now minus then" would
 * believe everything held back at the first run under a clock that is ahead, and at the first right one after a clock that was behind.
 *
 * So a time is counted from one judgement of a source to the next, and no single step, forward or back, counts for more than half of it:
 * the instants that are remembered are moved by the rest. One jump then settles nothing, and what it counted too much is taken back when
 * the clock returns. A pause counts as a jump does: nobody has looked meanwhile. A job that runs once a day therefore believes a shorter
 * list on its third look, not on its second.
 *
 * Not caught: a clock that jumps forward again and again and never back.
 */

const LARGEST_STEP_SHARE = 0.5;

/**
 * The instant as it must be remembered for its age to have grown by no more than half of `timeMs` since `lastAt`, and shrunk by no more either.
 * @param lastAt when the age was last looked at; `undefined` = not known, and the age is what it seems
 */
export function steadyInstant(at: number, lastAt: number | undefined, now: number, timeMs: number): number {
  // Without a time there is no age to be steady: moved with every step, the instant would make a version of every run.
  if (lastAt === undefined || timeMs === 0) return Math.min(at, now);
  const step = now - lastAt;
  const most = timeMs * LARGEST_STEP_SHARE;
  const counted = Math.max(-most, Math.min(step, most));
  return Math.min(at + step - counted, now);
}

/** What the guards remember of a source. */
export interface RememberedSource {
  readonly believed: SourceLayer | undefined;
  readonly held: readonly QuarantineEntry[];
}

type Steady = (at: number, timeMs: number) => number;

function steadyModel(model: ListedModel, steady: Steady, policy: GuardPolicy): ListedModel {
  const { vanishedAt, lapsedPrices } = model;
  if (vanishedAt === undefined && lapsedPrices === undefined) return model;
  const lapsed = lapsedPrices?.map((price): LapsedPrice => ({ ...price, lapsedAt: steady(price.lapsedAt, policy.priceConfirmMs) }));
  return {
    ...model,
    ...(vanishedAt !== undefined && { vanishedAt: steady(vanishedAt, policy.vanishedMs) }),
    ...(lapsed && { lapsedPrices: lapsed }),
  };
}

function timeOf(entry: QuarantineEntry, policy: GuardPolicy): number {
  if (entry.path !== undefined) return policy.priceConfirmMs;
  return entry.reason === "group-vanished" ? policy.groupConfirmMs : policy.listConfirmMs;
}

/** A source's memory at `now`, when it was last judged at `lastAt`; the same objects where nothing had to be moved. */
export function withSteadyAges(known: RememberedSource, lastAt: number | undefined, policy: GuardPolicy, now: number): RememberedSource {
  const { vanishedMs, priceConfirmMs, groupConfirmMs, listConfirmMs } = policy;
  const shortest = Math.min(vanishedMs, priceConfirmMs, groupConfirmMs, listConfirmMs) * LARGEST_STEP_SHARE;
  // The usual step; what lies a little ahead the guards cut off themselves.
  if (lastAt === undefined || Math.abs(now - lastAt) <= shortest) return known;
  const steady: Steady = (at, timeMs) => steadyInstant(at, lastAt, now, timeMs);
  const { believed, held } = known;
  return {
    believed: believed && { ...believed, models: believed.models.map((model) => steadyModel(model, steady, policy)) },
    held: held.map((entry) => ({ ...entry, since: steady(entry.since, timeOf(entry, policy)) })),
  };
}
