import { CacheError, checkCount, checkDurationMs, checkFunction, checkOptions, checkShare, type OptionNames } from "@larder/cache-core";
import type { PlanLimits } from "./plan-limits.ts";
import type { SimulationOptions } from "./simulate.ts";

const OPTIONS: OptionNames<SimulationOptions> = {
  create: true,
  maxStalenessMs: true,
  readLimitMs: true,
  maxLoadMs: true,
  mayRefuse: true,
  namespaceOf: true,
  isOrderly: true,
  ablations: true,
  firstSeed: true,
  schedules: true,
  limits: true,
  keepFailures: true,
  onProgress: true,
};

const LIMITS: OptionNames<PlanLimits> = {
  processes: true,
  operations: true,
  longestMs: true,
  faults: true,
  sets: true,
  broad: true,
  lanes: true,
  shards: true,
  patience: true,
  isApart: true,
  resends: true,
  isDrawn: true,
};

const COUNTS = ["processes", "operations", "lanes", "shards"] as const;
const SHARES = ["sets", "broad", "patience"] as const;

/**
 * Refuses what would find nothing, whatever is wrong: a number of schedules that is none runs none, and with a bound that is none everything keeps to it.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION naming the option
 */
export function checkSimulation(options: SimulationOptions): void {
  checkOptions(options, OPTIONS);
  const { create, firstSeed, schedules, keepFailures = 1, maxStalenessMs, readLimitMs, maxLoadMs, limits = {} } = options;
  checkFunction("create", create);
  if (!Number.isSafeInteger(firstSeed)) throw new CacheError("ERR_CACHE_INVALID_OPTION", "firstSeed must be an integer");
  checkCount("schedules", schedules);
  checkCount("keepFailures", keepFailures);
  checkDurationMs("maxStalenessMs", maxStalenessMs);
  checkDurationMs("readLimitMs", readLimitMs);
  if (maxLoadMs !== undefined) checkDurationMs("maxLoadMs", maxLoadMs);
  checkLimits(limits);
}

function checkLimits(limits: PlanLimits): void {
  checkOptions(limits, LIMITS);
  for (const name of COUNTS) if (limits[name] !== undefined) checkCount(`limits.${name}`, limits[name]);
  for (const name of SHARES) if (limits[name] !== undefined) checkShare(`limits.${name}`, limits[name]);
  if (limits.longestMs !== undefined) checkDurationMs("limits.longestMs", limits.longestMs);
}
