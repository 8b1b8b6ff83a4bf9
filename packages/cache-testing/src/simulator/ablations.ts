import type { Mechanism } from "@larder/cache-core";
import type { PlanLimits } from "./plan-limits.ts";
import type { ScheduleOptions } from "./run-schedule.ts";

/** A mechanism switched off, to prove that the simulator notices. ARCHITECTURE.md shows them as a table, made from these. */
export interface Ablation {
  /** The number of the mechanism in ARCHITECTURE.md and in the comments of the code; left out for what is no part of the protocol. */
  readonly number?: number;
  /** What is missing. */
  readonly name: string;
  /** What then goes wrong, in a sentence: the interleaving that the mechanism is there for. */
  readonly breaks: string;
  /** The promise that is broken, by its number. */
  readonly promise: string;
  /** What to add to cache-core's `ablated` meanwhile, where the mechanism lives in the processes. */
  readonly mechanism?: Mechanism;
  /** What to switch off in the server, the connections and what the processes are given. */
  readonly ablations?: NonNullable<ScheduleOptions["ablations"]>;
  /** What makes it show sooner. */
  readonly limits?: PlanLimits;
  /** What its absence shows as. @default an old value, served or still held at rest */
  readonly shows?: RegExp;
}

/**
 * Every mechanism of the protocol, in the order in which an invalidation meets them, and then what else a cache is held to. Two are not
 * what one would look for:
 * - "flushing on `ready` instead of the ack": there is no flush to do too early. What stands in its place is that only a heartbeat heard
 *   *through* the subscription is proof, with everything before it known; so that is what is switched off. (An acknowledgement told early
 *   was tried and breaks nothing.)
 * - "no replay": a log that gives nothing back breaks nothing either, because what it does not cover makes everything be dropped. What is
 *   switched off is that what is missing is asked for at all.
 */
export const ABLATIONS: readonly Ablation[] = [
  {
    number: 1,
    name: "no local generation",
    breaks: "A value read before an invalidation comes after it, and the first tier keeps it.",
    promise: "I4",
    mechanism: "local-generation",
  },
  {
    number: 2,
    name: "joining an old flight",
    breaks: "A read that begins after the invalidation shares a load that began before it, and gets the old value.",
    promise: "I1",
    mechanism: "detach",
  },
  {
    name: "no single flight",
    breaks: "Everyone who misses calls the loader.",
    promise: "I5",
    mechanism: "single-flight",
    shows: /^I5 /,
  },
  {
    number: 3,
    name: "no L2 fence",
    breaks: "A process that has not heard yet stores in Redis, behind the invalidation, what it loaded before it.",
    promise: "I4",
    ablations: { noFence: true },
  },
  {
    number: 4,
    name: "publishing before deleting",
    breaks: "A process hears the message, asks Redis at once, and keeps the value that is deleted a moment later.",
    promise: "I2",
    ablations: { publishFirst: true },
  },
  {
    number: 5,
    name: "no retry of failed invalidations",
    breaks: "Redis was away for a moment: the other processes are never told.",
    promise: "I3",
    mechanism: "retry",
    limits: { faults: ["bar", "stall"] },
  },
  {
    number: 5,
    name: "no pending set: reading Redis while an invalidation is pending",
    breaks: "The process that invalidated reads the old value back from Redis, which has not heard of it yet.",
    promise: "I1",
    mechanism: "pending-bypass",
    limits: { faults: ["cut", "stall"] },
  },
  {
    number: 6,
    name: "flushing on ready instead of the ack: heartbeats as proof whatever is missing before them",
    breaks: "A message was lost with a connection; the next heartbeat over the new one says that all is well.",
    promise: "I3",
    mechanism: "sequence",
  },
  {
    number: 6,
    name: "no replay of what was missed",
    breaks: "A hole in the order of messages is seen and stepped over.",
    promise: "I3",
    mechanism: "replay",
  },
  {
    number: 1,
    name: "version captured after the load",
    breaks: "A load that began before an invalidation is stored under the version after it, and counts as newer.",
    promise: "I4",
    mechanism: "early-capture",
  },
  {
    number: 3,
    name: "counters instead of random generations",
    breaks: "A lost record counts from one again, and what was stored under the former one is valid once more.",
    promise: "I3",
    ablations: { countedEpochs: true },
  },
  {
    number: 8,
    name: "no identity check after reconnect",
    breaks: "A replica that lagged takes over: what it never knew of counts as never invalidated.",
    promise: "I3",
    ablations: { noIdentity: true },
    limits: { faults: ["failover", "cut"] },
  },
  {
    number: 6,
    name: "no epoch on resync: nothing dropped when the log is lost",
    breaks: "Nobody can tell any more what was missed, and it is served all the same.",
    promise: "I3",
    mechanism: "reset",
  },
  {
    number: 7,
    name: "no deadline on reads (I7 in virtual time)",
    breaks: "Redis hangs, and with it every read.",
    promise: "I7",
    ablations: { noReadDeadline: true },
    shows: /^I7 .* took/,
  },
  {
    number: 7,
    name: "no deadline on writes: late effects",
    breaks: "A command that its sender gave up takes effect later, behind a newer one.",
    promise: "I4",
    ablations: { noDeadline: true },
    limits: { faults: ["stall"], sets: 0.3 },
  },
  {
    number: 6,
    name: "no proof: serving however long nothing was heard",
    breaks: "A process that is cut off goes on serving until the time to live is over.",
    promise: "I3",
    mechanism: "proof",
    limits: { faults: ["bar", "stall", "pause"], patience: 1 },
  },
  {
    number: 6,
    name: "no bound on stale values: serving them however long nothing was heard",
    breaks: "A load fails after a long outage, and its callers get a value that was invalidated early in it.",
    promise: "I3",
    mechanism: "stale-bound",
    limits: { faults: ["bar", "stall"], patience: 1 },
  },
  {
    name: "no lease: whoever asks for it gets it",
    breaks: "Every process that misses calls the loader.",
    promise: "I5",
    ablations: { noLease: true },
    limits: { faults: [] },
    shows: /^I5 processes /,
  },
  {
    name: "no time to live",
    breaks: "What nobody invalidates is served for ever.",
    promise: "I16",
    ablations: { noTimeToLive: true },
    shows: /^I16 /,
  },
  {
    name: "no limit of entries",
    breaks: "Memory grows with the number of keys.",
    promise: "I18",
    ablations: { noEntryLimit: true },
    shows: /^I18 /,
  },
  {
    name: "a counter that loses an update",
    breaks: "Hits and misses do not add up to reads.",
    promise: "I22",
    ablations: { miscounts: true },
    shows: /^I22 /,
  },
];
