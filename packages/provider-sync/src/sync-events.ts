import { channel } from "node:diagnostics_channel";
import type { QuarantineEntry } from "./quarantine.ts";
import type { MirrorOutcome, RunReport, SourceReport } from "./run-report.ts";
import type { SnapshotHead } from "./snapshot.ts";
import type { SourceFailureReason } from "./source-error.ts";

/** How the reading of one source ended, before anything was judged. */
export interface SourceProgress {
  readonly source: string;
  readonly outcome: "read" | "failed";
  /** Why it failed. */
  readonly reason?: SourceFailureReason;
  /** The reason in words, without values. */
  readonly detail?: string;
  /** Milliseconds it took. */
  readonly durationMs: number;
}

/** What a sync tells while it runs, in this order. Also published on the diagnostics channel `larder:provider-sync`. */
export interface SyncEvents {
  "run-started": { readonly runId: string; readonly startedAt: number };
  /** One source has answered or failed, while others may still be read. What the guards make of it comes with `source-finished`. */
  "source-read": { readonly runId: string } & SourceProgress;
  /** Versions were passed over because their stored body is damaged. */
  "snapshot-damaged": { readonly runId: string; readonly versions: readonly number[] };
  /** One source was accepted, refused or failed: told once a run, when it was committed. */
  "source-finished": { readonly runId: string; readonly report: SourceReport };
  /** Something is held back that was not before. */
  "quarantine-added": { readonly runId: string; readonly entries: readonly QuarantineEntry[] };
  /** A new version is in the store. */
  "snapshot-committed": { readonly runId: string; readonly head: SnapshotHead };
  "mirror-finished": { readonly runId: string; readonly outcome: MirrorOutcome };
  "run-finished": { readonly report: RunReport };
  /** No complete run for too long. Once an episode; without the store, which remembers that for the fleet, once an episode and process. */
  "catalog-stale": { readonly completedAt: number | undefined; readonly ageMs: number; readonly isStoreAway: boolean };
  /** A planned run did not happen: another process of the fleet is at it, or was lately. */
  "run-skipped": { readonly reason: "held" | "recent" };
}

/** One event with its name. */
export type SyncEvent = { readonly [Name in keyof SyncEvents]: { readonly type: Name } & SyncEvents[Name] }[keyof SyncEvents];

/** Called synchronously; what it throws, or rejects with, is swallowed: a listener must not break a sync. */
export type SyncListener = (event: SyncEvent) => void;

const events = channel("larder:provider-sync");

function ignore(): void {}

/** Tells a listener and the diagnostics channel. */
export function tell(listener: SyncListener | undefined, event: SyncEvent): void {
  if (events.hasSubscribers) events.publish(event);
  try {
    // An `async` function fits the type too, and its rejection would end the process.
    Promise.resolve(listener?.(event)).catch(ignore);
  } catch {
    // Its own affair.
  }
}
