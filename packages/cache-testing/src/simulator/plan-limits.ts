import { type FaultPlan, USUAL_FAULTS } from "./fault-plan.ts";
import { SeededRandom } from "./seeded-random.ts";

/** What a plan is drawn within. */
export interface PlanLimits {
  /** @default 3 */
  readonly processes?: number;
  /** At least; long schedules get up to half as many more. @default 24 */
  readonly operations?: number;
  /** Virtual milliseconds of the longest schedules. @default 1100 */
  readonly longestMs?: number;
  /** The kinds of fault that may be drawn. @default `USUAL_FAULTS` */
  readonly faults?: ReadonlyArray<FaultPlan["kind"]>;
  /** The share of operations that set a value, from 0 to 1, instead of the usual mix. @default 0 */
  readonly sets?: number;
  /** The share of operations that invalidate a tag, a pattern or all, from 0 to 1, beside those of the usual mix. @default 0 */
  readonly broad?: number;
  /** Into how many lanes all schedules are split. @default one in most, up to four in a tenth */
  readonly lanes?: number;
  /** Servers to which lanes are dealt out in turn, as the shards of a cluster. @default 1 */
  readonly shards?: number;
  /** The share of schedules with loads longer than the staleness bound, from 0 to 1. @default 0.03 */
  readonly patience?: number;
  /** Whether the bus has a server of its own. @default false */
  readonly isApart?: boolean;
  /** Whether the second tier's clients may send calls again. @default false */
  readonly resends?: boolean;
  /** Whether a seed also draws what is left out here: servers, kinds of fault, shares. @default false */
  readonly isDrawn?: boolean;
}

/** The stream of a seed's luck that its limits are drawn from: its own, so that a plan within the same limits is the same. */
const LIMITS_STREAM = 4;

/** Crashes and a server's clock that is set do not go together: see `CLOCK_FAULTS`. */
function drawFaults(random: SeededRandom): ReadonlyArray<FaultPlan["kind"]> {
  const isClockSet = random.chance(0.2);
  return [
    ...USUAL_FAULTS.filter((kind) => !isClockSet || kind !== "crash"),
    ...(isClockSet ? ["server-jump" as const] : []),
    ...(random.chance(0.5) ? ["demote" as const, "demote" as const] : []),
    ...(random.chance(0.4) ? ["refuse" as const, "freeze" as const] : []),
  ];
}

/**
 * What one seed's plan is drawn within, where that is drawn too. Each mix by itself finds what it is made for; bugs have also been where two of them
 * meet (a bus apart, and calls of every kind), and there are too many pairs to name.
 */
export function drawLimits(seed: number): PlanLimits {
  const random = SeededRandom.of(seed, LIMITS_STREAM);
  const shards = random.chance(0.3) ? 2 + random.integer(2) : undefined;
  const faults = drawFaults(random);
  const limits = {
    processes: random.chance(0.2) ? 2 + random.integer(4) : 3,
    operations: random.chance(0.2) ? 24 + random.integer(40) : 24,
    longestMs: random.chance(0.1) ? 2_200 : 1_100,
    sets: random.chance(0.2) ? 0.6 * random.next() : 0,
    broad: random.chance(0.2) ? 0.6 * random.next() : 0,
    patience: random.chance(0.2) ? random.next() : 0.03,
    isApart: random.chance(0.3),
    resends: random.chance(0.3),
    ...(shards === undefined ? {} : { shards, lanes: shards === 2 && random.chance(0.5) ? 4 : shards }),
  };
  // Last, so that what else a seed decides is the same.
  return { ...limits, faults: random.chance(0.2) ? [...faults, "flood" as const] : faults };
}
