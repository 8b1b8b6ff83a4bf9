import { channel } from "node:diagnostics_channel";
import type { QuarantineEntry } from "./quarantine.ts";
import type { MirrorOutcome, RunReport, SourceReport } from "./run-report.ts";
import type { SnapshotHead } from "./snapshot.ts";

/** What a sync tells while it runs, in this order. Also published on the diagnostics channel `larder:provider-sync`. */
export interface SyncEvents {
  "run-started": { readonly runId: string; readonly startedAt: number };
  /** One source was read, refused or failed. */
  "source-finished": { readonly runId: string; readonly report: SourceReport };
  /** Something is held back that was not before. */
  "quarantine-added": { readonly runId: string; readonly entries: readonly QuarantineEntry[] };
  /** Versions were passed over because their stored body is damaged. */
  "snapshot-damaged": { readonly runId: string; readonly versions: readonly number[] };
  /** A new version is in the store. */
  "snapshot-committed": { readonly runId: string; readonly head: SnapshotHead };
  "mirror-finished": { readonly runId: string; readonly outcome: MirrorOutcome };
  "run-finished": { readonly report: RunReport };
  /** No complete run for too long. Once an episode. */
  "catalog-stale": { readonly completedAt: number | undefined; readonly ageMs: number };
  /** A planned run did not happen: another process of the fleet is at it, or was lately. */
  "run-skipped": { readonly reason: "held" | "recent" };
}

/** One event with its name. */
export type SyncEvent = { readonly [Name in keyof SyncEvents]: { readonly type: Name } & SyncEvents[Name] }[keyof SyncEvents];

/** Called synchronously; what it throws is swallowed: a listener must not break a sync. */
export type SyncListener = (event: SyncEvent) => void;

const events = channel("larder:provider-sync");

/** Tells a listener and the diagnostics channel. */
export function tell(listener: SyncListener | undefined, event: SyncEvent): void {
  if (events.hasSubscribers) events.publish(event);
  try {
    listener?.(event);
  } catch {
    // Its own affair.
  }
}
