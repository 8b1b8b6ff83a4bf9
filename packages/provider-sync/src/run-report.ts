import type { ModelChange } from "./diff-models.ts";
import type { QuarantineEntry, QuarantineReason } from "./quarantine.ts";
import type { RejectedItem } from "./source.ts";
import type { SourceFailureReason } from "./source-error.ts";

/** What one source contributed to a run. */
export interface SourceReport {
  /** The source's name. */
  readonly source: string;
  /** A primary source decides whether a run counts; an ancillary one never stops it. */
  readonly role: "primary" | "ancillary";
  /** `"accepted"`: its list was taken. `"refused"`: it came and was not believed. `"failed"`: it could not be read. The last two keep the last good list. */
  readonly outcome: "accepted" | "refused" | "failed";
  /** Why it was refused or failed. */
  readonly reason?: QuarantineReason | SourceFailureReason;
  /** The reason in words and counts, without values. */
  readonly detail?: string;
  /** Models and providers that the list held. */
  readonly models: number;
  /** As `models`, of providers. */
  readonly providers: number;
  /** Items that did not validate. */
  readonly rejected: readonly RejectedItem[];
  /** Ids that the list held more than once; the one that is known was taken, else the first. */
  readonly duplicates: readonly string[];
  /** Models missed and still served. */
  readonly vanished: number;
  /** Milliseconds it took to read. */
  readonly durationMs: number;
}

/** How a run ended. */
export type RunOutcome =
  | "committed" // a new version
  | "unchanged" // the catalog stays as it is, and is known to be current
  | "failed" // no primary source was accepted, or the store was away: nothing changed
  | "cancelled"
  | "dry-run"; // computed and not stored

/** Everything that a run tells; stored with it. */
export interface RunReport {
  /** Names the run in logs and in the store. */
  readonly id: string;
  /** How it ended. */
  readonly outcome: RunOutcome;
  /** Whether every primary source was accepted, or every source where none is primary: only complete runs hold off the stale alert. */
  readonly isComplete: boolean;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Epoch milliseconds. */
  readonly finishedAt: number;
  /** The version that readers see after the run; 0 = none yet, or the store did not tell. */
  readonly version: number;
  /** Models of the merged catalog after the run. */
  readonly models: number;
  /** One report for each source, in the order in which they were configured. */
  readonly sources: readonly SourceReport[];
  /** What differs from the version before. */
  readonly changes: readonly ModelChange[];
  /** All that is held back now. */
  readonly quarantine: readonly QuarantineEntry[];
  /** What became of the mirror: `"none"` = there is no mirror, or nothing to mirror. */
  readonly mirror: MirrorOutcome | "none";
  /** Whether other processes were told: `false` also when there was nothing to tell. */
  readonly published: boolean;
  /** Why the run failed, without values. */
  readonly error?: string;
}

/** What became of writing a version to the mirror. */
export type MirrorOutcome =
  | "written"
  | "current" // it had this version
  | "refused" // it has a newer version, or one of a later store
  | "failed"; // it was away; the next run repairs it
