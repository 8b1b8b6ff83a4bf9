import {
  CacheError,
  checkCount,
  checkDurationMs,
  checkOptions,
  checkShare,
  checkWindowMs,
  describeValue,
  type OptionNames,
} from "@larder/cache-core";

/** What the guards believe. Defaults come from the stored histories: see the README's table. */
export interface GuardPolicy {
  /** Models that a list must hold to be taken for one; a source may ask for less. Integer >= 0. @default 100 */
  readonly minModels: number;
  /** Models that a list may hold at most; a longer one is refused, whatever it holds. Integer >= 1, `Infinity` = any. @default 20000 */
  readonly maxModels: number;
  /** Providers that a provider list must hold. Integer >= 0. @default 10 */
  readonly minProviders: number;
  /** Share from 0 to 1 of the served models that a list may miss; more refuses the whole list. @default 0.2 */
  readonly maxDropShare: number;
  /** Models that a list may always miss, whatever their share: for short lists. Integer >= 0. @default 5 */
  readonly minDropCount: number;
  /** Share >= 0 of the served models by which a list may grow in one run; more refuses the whole list. `Infinity` = any. @default 1 */
  readonly maxGrowthShare: number;
  /** Models by which a list may always grow, whatever their share: for short lists. Integer >= 0. @default 300 */
  readonly minGrowthCount: number;
  /** Share from 0 to 1 of a list's items that may fail validation, or have an input or output price that is none; more refuses the whole list. @default 0.5 */
  readonly maxInvalidShare: number;
  /** Share from 0 to 1 of a list's models whose prices may move by `massMoveFactor`, or go, in one run; more refuses the whole list as one error. @default 0.25 */
  readonly maxJumpShare: number;
  /** Factor >= 1 from which a price's move, up or down, counts towards `maxJumpShare`. `Infinity` = only jumps count. @default 1.2 */
  readonly massMoveFactor: number;
  /** Milliseconds > 0 for which a refused but valid shorter or longer list must be offered before it is believed; `Infinity` = only by hand. @default 86400000 (a day) */
  readonly listConfirmMs: number;
  /** US dollars per million tokens from which a price is a wrong unit. > 0. @default 1000 */
  readonly maxUsdPerMillion: number;
  /** US dollars per request, image or search from which a price is a wrong unit. > 0. @default 100 */
  readonly maxUsdPerUnit: number;
  /** Factor >= 1 by which a price may not move, up or down, in one step. `Infinity` = any. @default 5 */
  readonly maxPriceFactor: number;
  /** US dollars per million tokens from which a first price of a free model is a jump. > 0, `Infinity` = none is. @default 500 */
  readonly maxUsdFromFree: number;
  /** Milliseconds > 0 for which a price that is no longer told is remembered, and for which a jump must be offered unchanged before it is believed; `Infinity` = only by hand. @default 604800000 (7 days) */
  readonly priceConfirmMs: number;
  /** Relative difference from 0 to 1 within which another source confirms a jump at once. @default 0.02 */
  readonly agreementTolerance: number;
  /** Runs that a vanished model stays served. Integer >= 0. Both this and `vanishedMs` must be over. @default 12 */
  readonly vanishedRuns: number;
  /** Milliseconds >= 0 that a vanished model stays served. @default 259200000 (3 days) */
  readonly vanishedMs: number;
  /** Models from which a provider's or author's group is watched as a whole. Integer >= 1. @default 5 */
  readonly minGroupSize: number;
  /** Share from 0 to 1 of a group that may vanish in one run; more is held back as one incident. @default 0.7 */
  readonly maxGroupDropShare: number;
  /** Milliseconds > 0 for which a vanished group stays served, and all of a source that is configured no longer. @default 604800000 (7 days) */
  readonly groupConfirmMs: number;
}

const DAY_MS = 86_400_000;

/** The policy used where none is given. */
export const defaultGuardPolicy: GuardPolicy = {
  minModels: 100,
  maxModels: 20_000,
  minProviders: 10,
  maxDropShare: 0.2,
  minDropCount: 5,
  maxGrowthShare: 1,
  minGrowthCount: 300,
  maxInvalidShare: 0.5,
  maxJumpShare: 0.25,
  massMoveFactor: 1.2,
  listConfirmMs: DAY_MS,
  maxUsdPerMillion: 1000,
  maxUsdPerUnit: 100,
  maxPriceFactor: 5,
  maxUsdFromFree: 500,
  priceConfirmMs: 7 * DAY_MS,
  agreementTolerance: 0.02,
  vanishedRuns: 12,
  vanishedMs: 3 * DAY_MS,
  minGroupSize: 5,
  maxGroupDropShare: 0.7,
  groupConfirmMs: 7 * DAY_MS,
};

/** The defaults have them all. */
const NAMES = Object.fromEntries(Object.keys(defaultGuardPolicy).map((name) => [name, true])) as OptionNames<Partial<GuardPolicy>>;

function checkAtLeast(name: string, value: number, min: number): void {
  if (typeof value !== "number" || !(value >= min))
    throw new CacheError("ERR_CACHE_INVALID_OPTION", `${name} must be a number >= ${min}, got ${describeValue(value)}`);
}

/** The default policy with these changes. @throws {CacheError} ERR_CACHE_INVALID_OPTION when one is out of range */
export function guardPolicy(changes: Partial<GuardPolicy> = {}): GuardPolicy {
  checkOptions(changes, NAMES);
  const policy = { ...defaultGuardPolicy, ...changes };
  for (const name of ["minModels", "minProviders", "minDropCount", "minGrowthCount", "vanishedRuns"] as const)
    checkCount(name, policy[name], 0);
  checkCount("minGroupSize", policy.minGroupSize);
  for (const name of ["maxDropShare", "maxInvalidShare", "maxJumpShare", "maxGroupDropShare", "agreementTolerance"] as const)
    checkShare(name, policy[name]);
  for (const name of ["listConfirmMs", "priceConfirmMs", "groupConfirmMs"] as const) checkDurationMs(name, policy[name]);
  checkWindowMs("vanishedMs", policy.vanishedMs);
  if (policy.maxModels !== Number.POSITIVE_INFINITY) checkCount("maxModels", policy.maxModels);
  checkAtLeast("maxGrowthShare", policy.maxGrowthShare, 0);
  checkAtLeast("massMoveFactor", policy.massMoveFactor, 1);
  checkAtLeast("maxUsdFromFree", policy.maxUsdFromFree, Number.MIN_VALUE);
  checkAtLeast("maxPriceFactor", policy.maxPriceFactor, 1);
  checkAtLeast("maxUsdPerMillion", policy.maxUsdPerMillion, Number.MIN_VALUE);
  checkAtLeast("maxUsdPerUnit", policy.maxUsdPerUnit, Number.MIN_VALUE);
  return policy;
}
