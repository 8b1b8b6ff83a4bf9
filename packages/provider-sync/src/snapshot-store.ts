import type { ModelChange } from "./diff-models.ts";
import type { Pulse } from "./pulse.ts";
import type { RunReport } from "./run-report.ts";
import type { RunnerLock } from "./runner-lock.ts";
import type { Snapshot, SnapshotContent, SnapshotHead, SnapshotReason } from "./snapshot.ts";
import type { EncodedContent } from "./snapshot-codec.ts";

/** The current version, as cheaply as it can be asked for. */
export interface CurrentHead extends SnapshotHead {
  /** Epoch milliseconds of the last run that confirmed or changed it. */
  readonly checkedAt: number;
}

/** Where a catalog reads its versions: a store or a mirror. */
export interface SnapshotReader {
  /** Names it in stats and errors. */
  readonly name: string;
  /** The current version without its content; `undefined` before the first. @throws {CacheError} ERR_CACHE_BACKEND when it is away */
  head(): Promise<CurrentHead | undefined>;
  /** The newest readable version; `undefined` before the first. @throws {CacheError} ERR_CACHE_BACKEND when it is away */
  latest(): Promise<(Snapshot & CurrentHead) | undefined>;
}

/** What a run starts from. */
export interface SyncState {
  /** The newest version, readable or not; `undefined` before the first. */
  readonly head: SnapshotHead | undefined;
  /** The newest readable content; empty before the first. */
  readonly content: SnapshotContent;
  readonly pulse: Pulse;
  /** Versions passed over because their stored body is damaged. */
  readonly damaged: readonly number[];
}

/** A body as an upstream sent it. */
export interface RawBody {
  readonly source: string;
  /** Without userinfo, and with a digest in place of the query: both may hold keys. */
  readonly url: string;
  readonly fetchedAt: number;
  readonly etag?: string;
  readonly lastModified?: string;
  /** Decompressed bytes. */
  readonly bytes: Uint8Array;
}

/** A new version. */
export interface NewVersion {
  readonly encoded: EncodedContent;
  readonly modelCount: number;
  readonly changes: readonly ModelChange[];
  readonly reason: SnapshotReason;
  /** Epoch milliseconds of the commit. */
  readonly createdAt: number;
}

/** What one run writes. */
export interface CommitInput {
  /** The state that it was computed from: version (0 = none) and pulse revision. */
  readonly basedOn: { readonly version: number; readonly revision: number };
  /** Absent: the catalog stays as it is. */
  readonly next?: NewVersion;
  /** With the revision after `basedOn.revision`. */
  readonly pulse: Pulse;
  readonly rawBodies: readonly RawBody[];
  /** Identifies the run that fetched the raw bodies. */
  readonly runId: string;
}

/** Whether a commit happened. `"conflict"`: another one came first; compute anew from the state that it left. */
export type CommitResult = { readonly outcome: "committed"; readonly head: SnapshotHead | undefined } | { readonly outcome: "conflict" };

/** A change and the version that brought it. */
export interface RecordedChange extends ModelChange {
  readonly version: number;
  readonly createdAt: number;
}

/**
 * The truth about the catalog. A commit is one transaction: versions, changes, guard memory and raw bodies are there together or not at
 * all, whatever dies when. Versions grow by one, whoever commits.
 */
export interface SnapshotStore extends SnapshotReader, RunnerLock {
  /** What a run starts from. */
  state(): Promise<SyncState>;
  /** What changes with every run, without the catalog: cheap. */
  pulse(): Promise<Pulse>;
  /** Writes a run's result, or nothing. @throws {CacheError} ERR_CACHE_BACKEND when it did not happen, or nobody knows */
  commit(input: CommitInput): Promise<CommitResult>;
  /** One version with its content; `undefined` when it is not kept any more. @throws {CacheError} ERR_CACHE_CODEC when it is damaged */
  read(version: number): Promise<Snapshot | undefined>;
  /** Versions kept, newest first. `limit`, here and below: integer >= 0, `Infinity` = all. */
  history(limit?: number): Promise<SnapshotHead[]>;
  /** Changes, newest first: of one version, of one model, or of all. */
  changes(filter?: { readonly version?: number; readonly id?: string; readonly limit?: number }): Promise<RecordedChange[]>;
  /** Notes how a run ended, with the first 100 of its changes and quarantine entries; the store has them all elsewhere. Not part of the commit: a note that is lost loses nothing else. */
  recordRun(report: RunReport): Promise<void>;
  /** The last runs, newest first. */
  runs(limit?: number): Promise<RunReport[]>;
  /** The last body that a source sent for a URL, for conditional requests; `undefined` when it is not kept. */
  lastBody(source: string, url: string): Promise<RawBody | undefined>;
  /** All bodies of one run. */
  rawBodies(runId: string): Promise<RawBody[]>;
  /** When an alert of this name was last sent; `undefined` = never. */
  alertedAt(name: string): Promise<number | undefined>;
  /** Notes that an alert was sent. */
  recordAlert(name: string, at: number): Promise<void>;
  /** Releases what the store opened itself. Calling it again is fine. */
  close(): Promise<void>;
}
