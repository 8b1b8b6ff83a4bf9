import type { SeededRandom } from "./seeded-random.ts";
import type { Following } from "./simulated-address.ts";

/** What goes wrong. */
export type FaultPlan =
  | { readonly kind: "cut"; readonly at: number; readonly process: number; readonly link: number }
  | { readonly kind: "bar" | "stall"; readonly at: number; readonly process: number; readonly link: number; readonly forMs: number }
  | { readonly kind: "mute"; readonly at: number; readonly process: number; readonly lane: number; readonly forMs: number }
  | { readonly kind: "pause"; readonly at: number; readonly process: number; readonly forMs: number }
  | { readonly kind: "crash"; readonly at: number; readonly process: number; readonly forMs: number }
  /** Somebody publishes what nobody understands, so much that one message takes a whole turn. */
  | { readonly kind: "flood"; readonly at: number; readonly process: number; readonly messages: number }
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
      readonly following?: Following;
    }
  | { readonly kind: "corrupt"; readonly at: number; readonly key: number; readonly byte: number; readonly bits: number };

/** Those that every process may meet in a day: what a seed means is drawn from them. */
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

/** The usual ones, and floods of what nobody understands: messages wait in front of a bus, or are thrown away unread with all that wait. */
export const FLOOD_FAULTS: ReadonlyArray<FaultPlan["kind"]> = [...USUAL_FAULTS, "flood", "flood", "flood"];

/** Messages of a flood after which a bus gives up what waits: it keeps sixteen of such length. */
const OVERFLOWING = 18;

/** What faults are drawn within. */
export interface FaultStage {
  readonly processes: number;
  readonly keys: number;
  readonly lanes: number;
  /** Virtual milliseconds in which they begin. */
  readonly spanMs: number;
  /** Whether outages last as long as the staleness bound. */
  readonly isPatient: boolean;
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
 * Half of the new masters have all that the former had. Most formers follow them soon, with a lag: of one that lacks something they take that over too,
 * under connections that stay open.
 */
function planDemotion(
  random: SeededRandom,
  { at, process, forMs }: { readonly at: number; readonly process: number; readonly forMs: number },
): FaultPlan {
  const links = 1 + random.integer(15);
  const lagMs = random.chance(0.5) ? 0 : random.next() * 300;
  const isSticky = random.chance(0.5);
  const following = random.chance(0.7) ? { following: { afterMs: random.next() * 0.5 * forMs, lagMs: random.next() * 20 } } : {};
  return { kind: "demote", at, process, links, forMs, lagMs, isSticky, ...following };
}

/** Draws a fault of a kind. */
export function planFault(
  random: SeededRandom,
  kind: FaultPlan["kind"],
  { processes, keys, lanes, spanMs, isPatient }: FaultStage,
): FaultPlan {
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
    case "flood":
      return { kind, at, process, messages: (random.chance(0.5) ? 1 : OVERFLOWING) + random.integer(6) };
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
