import type { Mechanism } from "@larder/cache-core";
import type { ScheduleOptions } from "./run-schedule.ts";
import type { PlanLimits } from "./schedule-plan.ts";

/** A mechanism of the protocol switched off, to prove that the simulator notices. */
export interface Ablation {
  readonly name: string;
  /** What to add to cache-core's `ablated` meanwhile, where the mechanism lives in the processes. */
  readonly mechanism?: Mechanism;
  /** What to switch off in the server, the connections and the deadlines. */
  readonly ablations?: NonNullable<ScheduleOptions["ablations"]>;
  /** What makes it show sooner. */
  readonly limits?: PlanLimits;
  /** What its absence shows as. @default an old value, served or still held at rest */
  readonly shows?: RegExp;
}

/**
 * Every mechanism of the protocol. Two are not what one would look for:
 * - "flushing on `ready` instead of the ack": there is no flush to do too early. What stands in its place is that only a heartbeat heard
 *   *through* the subscription is proof, with everything before it known; so that is what is switched off. (An acknowledgement told early
 *   was tried and breaks nothing.)
 * - "no replay": a log that gives nothing back breaks nothing either, because what it does not cover makes everything be dropped. What is
 *   switched off is that what is missing is asked for at all.
 */
export const ABLATIONS: readonly Ablation[] = [
  { name: "no local generation", mechanism: "local-generation" },
  { name: "joining an old flight", mechanism: "detach" },
  { name: "no L2 fence", ablations: { noFence: true } },
  { name: "publishing before deleting", ablations: { publishFirst: true } },
  { name: "no retry of failed invalidations", mechanism: "retry" },
  {
    name: "no pending set: reading Redis while an invalidation is pending",
    mechanism: "pending-bypass",
    limits: { faults: ["cut", "stall"] },
  },
  { name: "flushing on ready instead of the ack: heartbeats as proof whatever is missing before them", mechanism: "sequence" },
  { name: "no replay of what was missed", mechanism: "replay" },
  { name: "version captured after the load", mechanism: "early-capture" },
  { name: "counters instead of random generations", ablations: { countedEpochs: true } },
  { name: "no identity check after reconnect", ablations: { noIdentity: true }, limits: { faults: ["failover", "cut"] } },
  { name: "no epoch on resync: nothing dropped when the log is lost", mechanism: "reset" },
  { name: "no deadline on reads (I7 in virtual time)", ablations: { noReadDeadline: true }, shows: /^I7 .* a get took/ },
  { name: "no deadline on writes: late effects", ablations: { noDeadline: true }, limits: { faults: ["stall"], sets: 0.3 } },
  { name: "no proof: serving however long nothing was heard", mechanism: "proof", limits: { faults: ["bar", "stall", "pause"] } },
];
