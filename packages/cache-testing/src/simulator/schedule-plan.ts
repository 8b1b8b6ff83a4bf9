import { type FaultPlan, planFault, USUAL_FAULTS } from "./fault-plan.ts";
import { type Operation, planOperation } from "./operation-plan.ts";
import { drawLimits, type PlanLimits } from "./plan-limits.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { LinkWeather } from "./simulated-link.ts";
/**
 * What a seed means. It moves with every change to how plans are drawn or run, so that a recorded range of seeds says what was run.
 * 1: all schedules of one length, one stream of luck for all processes. 2: lengths drawn, a stream for each connection. 3: most schedules
 * short and dense, loads at rest in an eighth of them. 4: lanes and room in the first tier drawn, loads longer than the staleness bound,
 * soft and hard timeouts, windows of their own, lanes that go deaf; what the database answers waits for an event loop that stands still.
 */
export const PLAN_FORMAT = 4;

/** When nobody reaches the second tier's server, from when operations begin on. */
export interface StoreOutage {
  /** Virtual milliseconds; negative = from the start. */
  readonly at: number;
  /** Milliseconds; `Infinity` = it does not come back, and a negative `at` then says that it never was there. */
  readonly forMs: number;
}

/** One schedule, before it is run: everything that its seed decides apart from latencies and coins, which `seed` goes on to decide. */
export interface SchedulePlan {
  readonly seed: number;
  readonly processes: number;
  readonly keys: number;
  /** Milliseconds; `Infinity` in most schedules, so that nothing is masked. */
  readonly ttlMs: number;
  /** Into how many lanes bus and second tier are split. @default 1 */
  readonly lanes?: number;
  /** Servers to which lanes are dealt out in turn, as the shards of a cluster. @default 1 */
  readonly shards?: number;
  /** Entries that a first tier may hold. @default more than there are keys */
  readonly maxEntries?: number;
  /** Virtual milliseconds in which operations and faults fall. */
  readonly busyMs: number;
  readonly weather: LinkWeather;
  /** Probability from 0 to 1 that a second tier's client sends a call again whose connection was lost, as one that users bring may. @default 0 */
  readonly resend?: number;
  /** Whether at rest every key is also loaded, by every process; every key is read in any case. */
  readonly loadsAtRest: boolean;
  /** The bus has a server of its own, and that of the second tier is away for a while. @default both have one */
  readonly apart?: StoreOutage;
  readonly operations: readonly Operation[];
  readonly faults: readonly FaultPlan[];
}

/**
 * Three lengths. Most bugs are races between a few messages: they show sooner when everything falls close together, at a fraction of the
 * cost. What needs outages longer than the staleness bound, leases that end or several reconnects is left to the fixed share of longer ones.
 *
 * Other mixes were tried with nine mechanisms off in turn, 2,500 schedules each: steps until one shows, against this mix (to within a tenth).
 * A quarter of these spans 1.40, spans two thirds longer 0.94; 45 % gets 1.00 and 60 % 1.08, 15 % 1.20; two keys in most 1.20; up to nine
 * faults 1.01. Smaller schedules are more schedules, and find less.
 */
function drawBusyMs(random: SeededRandom, longestMs: number): number {
  const dice = random.next();
  if (dice < 0.9) return longestMs * (0.03 + 0.09 * random.next());
  return dice < 0.97 ? longestMs * (0.2 + 0.4 * random.next()) : longestMs;
}

/** Never there, there late, or away for a while. */
function drawOutage(random: SeededRandom, busyMs: number): StoreOutage {
  const dice = random.next();
  if (dice < 0.5) return { at: -1, forMs: dice < 0.25 ? Infinity : random.next() * busyMs };
  return { at: random.next() * busyMs, forMs: (random.next() + 0.1) * busyMs };
}

/** Infinite in most schedules, so that nothing is masked; short where stale policies are to have their say. */
function drawTtlMs(random: SeededRandom, isPatient: boolean): number {
  if (isPatient) return random.chance(0.7) ? 20 + random.integer(200) : Infinity;
  return random.chance(0.25) ? 100 + random.integer(400) : Infinity;
}

/**
 * Draws a schedule. Every seed draws its own subset of faults and rates (swarm testing, Groce et al., ISSTA 2012): a mix of everything
 * at once hides bugs that need one fault and quiet otherwise.
 */
export function planSchedule(seed: number, given: PlanLimits = {}): SchedulePlan {
  const limits = given.isDrawn ? { ...drawLimits(seed), ...given } : given;
  const random = new SeededRandom(seed);
  const { processes = 3, operations = 24, faults = USUAL_FAULTS, sets = 0, broad = 0, longestMs = 1_100, patience = 0.03 } = limits;
  const isPatient = random.chance(patience);
  const busyMs = isPatient ? longestMs : drawBusyMs(random, longestMs);
  // What begins early can go on for longer than the staleness bound before everything is healed.
  const spanMs = isPatient ? 0.5 * busyMs : busyMs;
  const lanes = limits.lanes ?? (random.chance(0.1) ? 2 + random.integer(3) : 1);
  const stage = { processes, keys: 2 + random.integer(2), lanes, spanMs, isLossy: random.chance(0.3), isPatient, sets, broad };
  const drawn = random.chance(0.1) ? [] : faults.filter(() => random.chance(0.35));
  // A load that outlives the staleness bound shows little where nobody is cut off meanwhile.
  const enabled = isPatient && faults.includes("bar") ? [...drawn, "bar" as const] : drawn;
  const faultCount = enabled.length === 0 ? 0 : 1 + random.integer(6);
  const count = operations + random.integer(1 + (operations / 2) * (busyMs / longestMs));
  const planned = Array.from({ length: count }, () => planOperation(random, stage));
  const plan: SchedulePlan = {
    seed,
    processes,
    keys: stage.keys,
    ttlMs: drawTtlMs(random, isPatient),
    lanes,
    maxEntries: random.chance(0.1) ? 1 + random.integer(2) : 16,
    busyMs,
    weather: {
      latencyMs: 0.05 + random.next(),
      spreadMs: random.chance(0.7) ? random.next() * 4 : random.next() * 40,
      lateEffect: random.chance(0.5) ? random.next() : 0,
      duplicate: random.chance(0.3) ? 0.2 : 0,
    },
    loadsAtRest: random.chance(0.125),
    operations: planned.sort((one, other) => one.at - other.at),
    faults: Array.from({ length: faultCount }, () => planFault(random, random.pick(enabled), stage)),
  };
  // Last, so that what else a seed decides is the same.
  const { isApart, shards, resends } = limits;
  return {
    ...plan,
    ...(shards === undefined ? {} : { shards }),
    ...(isApart ? { apart: drawOutage(random, busyMs) } : {}),
    ...(resends ? { resend: random.next() } : {}),
  };
}
