/**
 * Mechanisms of the coherence protocol that tests can switch off, to prove that the simulator notices. Nothing else writes to this set,
 * and it is read only where an invalidation, a load or a message is handled, never on a hit.
 */
export type Mechanism =
  | "local-generation" // 1: captured before a read, checked before the first tier takes its value
  | "detach" // 2: later callers do not join a load that began before the invalidation
  | "single-flight" // callers of one key share the load that runs
  | "pending-bypass" // 5: a key whose invalidation is not acknowledged bypasses the second tier
  | "retry" // 5: a failed invalidation is sent again
  | "reset" // 6: everything is dropped when messages may have been missed
  | "replay" // 6: what was missed is told from the log
  | "sequence" // 6: a heartbeat is proof only when nothing before it is missing
  | "proof" // 6: entries are served only while the bus proves itself
  | "stale-bound" // 6: stale policies, too, serve nothing older than the staleness bound
  | "early-capture"; // the version is captured before the load, not after it

/** The mechanisms that are switched off: none, outside of tests. */
export const ablated: Set<Mechanism> = new Set();
