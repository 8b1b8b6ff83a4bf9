import { SeededRandom } from "./seeded-random.ts";
import type { LinkWeather } from "./simulated-link.ts";

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

/** What goes wrong. */
export type FaultPlan =
  | { readonly kind: "cut"; readonly at: number; readonly process: number; readonly link: number }
  | { readonly kind: "bar" | "stall"; readonly at: number; readonly process: number; readonly link: number; readonly forMs: number }
  | { readonly kind: "mute"; readonly at: number; readonly process: number; readonly lane: number; readonly forMs: number }
  | { readonly kind: "pause"; readonly at: number; readonly process: number; readonly forMs: number }
  | { readonly kind: "crash"; readonly at: number; readonly process: number; readonly forMs: number }
  | { readonly kind: "jump"; readonly at: number; readonly process: number; readonly byMs: number }
  | { readonly kind: "server-jump"; readonly at: number; readonly byMs: number }
  | { readonly kind: "flush"; readonly at: number }
  | { readonly kind: "evict"; readonly at: number; readonly which: number }
  | { readonly kind: "full" | "freeze"; readonly at: number; readonly forMs: number }
  | {
      readonly kind: "refuse";
      readonly at: number;
      readonly forMs: number;
      readonly error: string;
      /** Whether what only reads is answered. */
      readonly isOfWrites: boolean;
    }
  | { readonly kind: "failover"; readonly at: number; readonly lagMs: number }
  | {
      readonly kind: "demote";
      readonly at: number;
      /** Who stays with the former master, and by which of its connections, as bits. */
      readonly process: number;
      readonly links: number;
      /** Until the former master is gone. */
      readonly forMs: number;
      /** What the new master lacks of the former's data. */
      readonly lagMs: number;
      /** Whether who connects anew finds the former again. */
      readonly isSticky: boolean;
      /** How the former follows the new one; left out = not at all. */
      readonly following?: { readonly afterMs: number; readonly lagMs: number };
    }
  | { readonly kind: "corrupt"; readonly at: number; readonly key: number; readonly byte: number; readonly bits: number };

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
}

/** All kinds of fault but `server-jump` and `demote`: what a seed means is drawn from them. */
export const USUAL_FAULTS: ReadonlyArray<FaultPlan["kind"]> = [
  "cut",
  "bar",
  "stall",
  "mute",
  "pause",
  "crash",
  "jump",
  "flush",
  "evict",
  "full",
  "failover",
  "corrupt",
];

/**
 * The usual ones and a server's clock that is set, without crashes: who begins after it was set back takes what was stored before for as much
 * younger, until another one's check has voided it, a second later at most. A limit of the protocol (docs/failure-modes.md).
 */
export const CLOCK_FAULTS: ReadonlyArray<FaultPlan["kind"]> = [...USUAL_FAULTS.filter((kind) => kind !== "crash"), "server-jump"];

/** The usual ones, and in most schedules masters that are demoted in place while one process still talks to them. */
export const DEMOTION_FAULTS: ReadonlyArray<FaultPlan["kind"]> = [...USUAL_FAULTS, "demote", "demote", "demote"];

/** What a server answers for a while to whatever it is asked. */
const REFUSALS: readonly string[] = [
  "LOADING Redis is loading the dataset in memory",
  "BUSY Redis is busy running a script",
  "NOAUTH Authentication required.",
  "MASTERDOWN Link with MASTER is down",
  "ERR max number of clients reached",
];
/** The same to whoever writes. */
const WRITE_REFUSALS: readonly string[] = [
  "MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.",
  "NOREPLICAS Not enough good replicas to write.",
  "NOPERM this user has no permissions to run the command",
];

/** The usual ones, and servers that answer with errors or not at all. */
export const REFUSAL_FAULTS: ReadonlyArray<FaultPlan["kind"]> = [...USUAL_FAULTS, "refuse", "refuse", "freeze", "freeze"];

/** What operations and faults are drawn within. */
interface Stage {
  readonly processes: number;
  readonly keys: number;
  readonly lanes: number;
  /** Virtual milliseconds in which they begin. */
  readonly spanMs: number;
  readonly isLossy: boolean;
  /** Whether loads run longer than the staleness bound, and outages with them. */
  readonly isPatient: boolean;
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

function planLoad(random: SeededRandom, { isLossy, isPatient }: Stage): LoadPlan {
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

function planOperation(random: SeededRandom, stage: Stage): Operation {
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

/** Back in most, by a seventh of a second to an hour: seconds are as likely as minutes. */
function drawJumpMs(random: SeededRandom): number {
  const byMs = 150 * 24_000 ** random.next();
  return random.chance(0.7) ? -byMs : byMs;
}

function planRefusal(random: SeededRandom): { readonly error: string; readonly isOfWrites: boolean } {
  const isOfWrites = random.chance(0.5);
  return { error: random.pick(isOfWrites ? WRITE_REFUSALS : REFUSALS), isOfWrites };
}

/**
 * Half of the new masters have all that the former had, and most of those formers follow them soon, with a lag. One that follows a master which lacks
 * something loses that under open connections, unnoticed until the next check: a limit of the protocol (docs/failure-modes.md).
 */
function planDemotion(
  random: SeededRandom,
  { at, process, forMs }: { readonly at: number; readonly process: number; readonly forMs: number },
): FaultPlan {
  const links = 1 + random.integer(15);
  const lagMs = random.chance(0.5) ? 0 : random.next() * 300;
  const isSticky = random.chance(0.5);
  const following =
    lagMs === 0 && random.chance(0.7) ? { following: { afterMs: random.next() * 0.5 * forMs, lagMs: random.next() * 20 } } : {};
  return { kind: "demote", at, process, links, forMs, lagMs, isSticky, ...following };
}

function planFault(random: SeededRandom, kind: FaultPlan["kind"], { processes, keys, lanes, spanMs, isPatient }: Stage): FaultPlan {
  const at = random.next() * spanMs;
  const process = random.integer(processes);
  // The last one is the bus's subscription: without it a process does not hear, and may still read and load.
  const link = isPatient && random.chance(0.5) ? 3 : random.integer(4);
  const forMs = isPatient ? 400 + random.next() * 800 : random.chance(0.3) ? random.next() * 1_000 : random.next() * 200;
  switch (kind) {
    case "cut":
      return { kind, at, process, link };
    case "bar":
    case "stall":
      return { kind, at, process, link, forMs };
    case "mute":
      return { kind, at, process, lane: random.integer(lanes), forMs };
    case "pause":
    case "crash":
      return { kind, at, process, forMs };
    case "jump":
      return { kind, at, process, byMs: (random.next() - 0.5) * 7_200_000 };
    case "server-jump":
      return { kind, at, byMs: drawJumpMs(random) };
    case "flush":
      return { kind, at };
    case "evict":
      return { kind, at, which: random.integer(1_000) };
    case "full":
    case "freeze":
      return { kind, at, forMs };
    case "refuse":
      return { kind, at, forMs, ...planRefusal(random) };
    case "failover":
      return { kind, at, lagMs: random.next() * 300 };
    case "demote":
      return planDemotion(random, { at, process, forMs });
    case "corrupt":
      return { kind, at, key: random.integer(keys), byte: random.integer(400), bits: 1 + random.integer(255) };
  }
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
export function planSchedule(seed: number, limits: PlanLimits = {}): SchedulePlan {
  const random = new SeededRandom(seed);
  const { processes = 3, operations = 24, faults = USUAL_FAULTS, sets = 0, broad = 0, longestMs = 1_100, patience = 0.03 } = limits;
  const isPatient = random.chance(patience);
  const busyMs = isPatient ? longestMs : drawBusyMs(random, longestMs);
  // What begins early can go on for longer than the staleness bound before everything is healed.
  const spanMs = isPatient ? 0.5 * busyMs : busyMs;
  const lanes = limits.lanes ?? (random.chance(0.1) ? 2 + random.integer(3) : 1);
  const stage: Stage = { processes, keys: 2 + random.integer(2), lanes, spanMs, isLossy: random.chance(0.3), isPatient, sets, broad };
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
