import { setMaxListeners } from "node:events";
import {
  CacheError,
  type Clock,
  checkCount,
  checkDurationMs,
  checkOptions,
  type OptionNames,
  type RandomSource,
  systemClock,
  systemRandom,
} from "@larder/cache-core";
import { diffModels } from "./diff-models.ts";
import { type BodyFetcher, createBodyFetcher, type FetchOptions } from "./fetch-body.ts";
import { type GuardPolicy, guardPolicy } from "./guard-policy.ts";
import { type GuardedRun, guardSources } from "./guard-sources.ts";
import { finishInTurns, nextTurn } from "./in-slices.ts";
import { keepAlive } from "./keep-alive.ts";
import { type CatalogModel, mergeModelsInSlices } from "./merge-layers.ts";
import type { Mirror } from "./mirror.ts";
import { publishVersion, type VersionPublisher } from "./publish-version.ts";
import { type Pulse, pulseOf } from "./pulse.ts";
import type { ReadOutcome, ReadSources } from "./read-sources.ts";
import { readSources } from "./read-sources.ts";
import type { MirrorOutcome, RunReport } from "./run-report.ts";
import type { SnapshotContent } from "./snapshot.ts";
import { type EncodedContent, encodeContent, serializeContent } from "./snapshot-codec.ts";
import type { CurrentHead, RawBody, SnapshotStore, SyncState } from "./snapshot-store.ts";
import type { Source } from "./source.ts";
import { type SourceProgress, type SyncListener, tell } from "./sync-events.ts";
import { problemOf } from "./usable-ids.ts";

/**
 * One run: fetch → validate → salvage → guard → commit → mirror → publish.
 *
 * - It shares its process with what serves: lists of thousands are worked through in slices, with turns of the event loop in between.
 * - Nothing is written before the guards have judged everything; then one transaction writes all of it. A run that dies before has
 *   changed nothing; one that dies after has lost only the mirror and the news, which the next run makes good.
 * - Two runs may overlap: the commit says from which state it was computed, and a second one that started from the same state is told
 *   of the conflict, guards its readings again over the new state, and drops those that are older than what is stored.
 * - The mirror and the news come after the commit and cannot fail the run: the reference system lost that once, and its job then died
 *   on a Redis error with the database already written (seeds W4.3).
 */
export interface SyncOptions {
  /** In order of trust: where sources disagree, the earlier one is believed. At least one. */
  readonly sources: readonly Source[];
  /** Where versions are kept: the truth, committed first. */
  readonly store: SnapshotStore;
  /** Best-effort copy of the current version, written after the commit. @default none */
  readonly mirror?: Mirror;
  /** Tells other processes' catalogs of a new version. @default none */
  readonly publisher?: VersionPublisher;
  /** Changes to the default guards. @default none */
  readonly policy?: Partial<GuardPolicy>;
  /** Limits of the requests, or a fetcher. @default the defaults of `FetchOptions` */
  readonly fetch?: FetchOptions | BodyFetcher;
  /** Milliseconds > 0 for reading all sources; what is not read by then has failed. @default 120000 */
  readonly runTimeoutMs?: number;
  /** Bytes of all bodies of one source in one run at most, decompressed: a source may fetch hundreds. @default 67108864 (64 MiB) */
  readonly maxSourceBytes?: number;
  /** Bytes of all bodies of a run at most, decompressed: they are held until the commit. @default 134217728 (128 MiB) */
  readonly maxRunBytes?: number;
  /** Conflicting commits computed anew before the run fails. Integer >= 0. @default 5 */
  readonly maxConflicts?: number;
  /** Computes and reports, and stores nothing. @default false */
  readonly dryRun?: boolean;
  /** Cancels the run; before its commit it then changed nothing. @default none */
  readonly signal?: AbortSignal;
  /** Hears what the run does, synchronously; what it throws or rejects with is swallowed. @default nobody */
  readonly onEvent?: SyncListener;
  /** @default the machine's */
  readonly clock?: Clock;
  /** @default the machine's */
  readonly random?: RandomSource;
}

/** Those that a scheduler has as well. */
export const RUN_OPTIONS: OptionNames<Omit<SyncOptions, "signal" | "dryRun">> = {
  sources: true,
  store: true,
  mirror: true,
  publisher: true,
  policy: true,
  fetch: true,
  runTimeoutMs: true,
  maxSourceBytes: true,
  maxRunBytes: true,
  maxConflicts: true,
  onEvent: true,
  clock: true,
  random: true,
};
const OPTIONS: OptionNames<SyncOptions> = { ...RUN_OPTIONS, signal: true, dryRun: true };

interface Run {
  readonly id: string;
  readonly startedAt: number;
  readonly options: SyncOptions;
  readonly clock: Clock;
  readonly policy: GuardPolicy;
  readonly fetcher: BodyFetcher;
  readonly limits: Required<Pick<SyncOptions, "runTimeoutMs" | "maxSourceBytes" | "maxRunBytes" | "maxConflicts">>;
}

interface Committed {
  readonly outcome: "committed" | "unchanged" | "dry-run" | "failed";
  readonly guarded: GuardedRun;
  readonly changes: RunReport["changes"];
  readonly models: number;
  /** What is held back of what is served now. */
  readonly quarantine: RunReport["quarantine"];
  readonly head: CurrentHead | undefined;
  /** The packed content of the new version, where there is one. */
  readonly encoded?: EncodedContent;
  readonly error?: string;
}

/**
 * Runs a sync once, and keeps the process alive meanwhile. Never rejects for trouble of upstreams, store, mirror or bus: the report tells.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION
 */
export function syncOnce(options: SyncOptions): Promise<RunReport> {
  return keepAlive(() => runOnce(options));
}

async function runOnce(options: SyncOptions): Promise<RunReport> {
  checkOptions(options, OPTIONS);
  const { clock = systemClock, random = systemRandom, onEvent } = options;
  const run: Run = { id: random.token(), startedAt: clock.wallNow(), options, clock, ...checkSyncOptions(options) };
  tell(onEvent, { type: "run-started", runId: run.id, startedAt: run.startedAt });
  const report = await runToReport(run).catch((error: unknown) => failedReport(run, error));
  if (report.outcome !== "dry-run") await options.store.recordRun(report).catch(() => {});
  tell(onEvent, { type: "run-finished", report });
  return report;
}

async function runToReport(run: Run): Promise<RunReport> {
  const read = await fetchAndValidate(run);
  const committed = await guardAndCommit(run, read);
  const mirror = await mirrorVersion(run, committed);
  const published = committed.encoded !== undefined && (await publish(run, committed));
  const { guarded, head, outcome, changes, models, quarantine, error } = committed;
  return {
    id: run.id,
    outcome,
    isComplete: guarded.isComplete,
    startedAt: run.startedAt,
    finishedAt: run.clock.wallNow(),
    version: head?.version ?? 0,
    models,
    sources: guarded.reports,
    changes,
    quarantine,
    mirror,
    published,
    ...(error !== undefined && { error }),
  };
}

/** Fetches every source and validates it item by item; failures stay with their source. */
async function fetchAndValidate(run: Run): Promise<ReadSources> {
  const { options, clock, fetcher, limits } = run;
  const { sources, store, signal, onEvent } = options;
  const deadline = new AbortController();
  // One listener per request under way: a source may have dozens at a time.
  setMaxListeners(0, deadline.signal);
  const onAbort = (): void => deadline.abort();
  const cancelTimer = clock.setTimer(onAbort, limits.runTimeoutMs);
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  try {
    // Without the store the former bodies are missing, and requests are not conditional; nothing else depends on them.
    const lastBody = (source: string, url: string) => store.lastBody(source, url).catch(() => undefined);
    const onRead = (outcome: ReadOutcome): void => tell(onEvent, { type: "source-read", runId: run.id, ...progressOf(outcome) });
    const read = await readSources({ sources, fetcher, lastBody, clock, signal: deadline.signal, limits, onRead });
    if (signal?.aborted) throw new CacheError("ERR_CACHE_ABORTED", "the run was cancelled");
    return read;
  } finally {
    cancelTimer();
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Guards the readings over the stored state and commits the result; computes anew when another run committed meanwhile. */
async function guardAndCommit(run: Run, read: ReadSources): Promise<Committed> {
  const { store, dryRun = false, signal } = run.options;
  for (let conflicts = 0; ; conflicts += 1) {
    const state = await store.state();
    if (state.damaged.length > 0) tell(run.options.onEvent, { type: "snapshot-damaged", runId: run.id, versions: state.damaged });
    const now = run.clock.wallNow();
    const guarded = await finishInTurns(guardSources(read.outcomes, state, run.policy, now));
    // What a refused list raised is kept too, so that it is seen, timed and may be accepted; a first version is not made of it.
    const isWorthKeeping = guarded.hasAccepted || (state.head !== undefined && guarded.hasRefused);
    const content = isWorthKeeping ? guarded.content : state.content;
    const serialized = serializeContent(content);
    await nextTurn();
    const isChanged = isWorthKeeping && (state.damaged.length > 0 || state.head?.digest !== serialized.digest);
    // An unchanged catalog, the usual case, is not computed: its count is known.
    const merge = (merged: SnapshotContent): Promise<CatalogModel[]> => finishInTurns(mergeModelsInSlices(merged));
    const models = isChanged ? await merge(content) : [];
    const changes = isChanged ? diffModels(await merge(state.content), models) : [];
    const modelCount = isChanged ? models.length : (state.head?.modelCount ?? 0);
    const failure = guarded.hasAccepted
      ? {}
      : { error: guarded.reports.some(({ role }) => role === "primary") ? "no primary source was accepted" : "no source was accepted" };
    const result = { guarded, changes, models: modelCount, quarantine: content.quarantine, ...failure };
    const current = state.head && { ...state.head, checkedAt: now };
    if (dryRun) return { ...result, outcome: "dry-run", head: current };
    const next = isChanged ? { encoded: await serialized.pack(), modelCount } : undefined;
    if (signal?.aborted) throw new CacheError("ERR_CACHE_ABORTED", "the run was cancelled");
    const committed = await store.commit({
      basedOn: { version: state.head?.version ?? 0, revision: state.pulse.revision },
      ...(next && { next: { ...next, changes, reason: "sync" as const, createdAt: now } }),
      pulse: pulseAfter(state.pulse, guarded, isWorthKeeping),
      rawBodies: askedInFull(read.rawBodies, guarded.reports),
      runId: run.id,
    });
    if (committed.outcome === "conflict") {
      if (conflicts >= run.limits.maxConflicts) throw new CacheError("ERR_CACHE_BACKEND", "other runs committed first each time");
      continue;
    }
    tellGuarded(run, state, result);
    const checkedAt = guarded.hasAccepted ? now : (state.pulse.checkedAt ?? 0);
    const head = committed.head && { ...committed.head, checkedAt };
    if (next && head) tell(run.options.onEvent, { type: "snapshot-committed", runId: run.id, head });
    const told = { ...result, head, ...(next && { encoded: next.encoded }) };
    return { ...told, outcome: !guarded.hasAccepted ? "failed" : next ? "committed" : "unchanged" };
  }
}

/**
 * The bodies without what a conditional request is made of, where their source was not accepted. A list that is mended by putting the former file
 * back is older than the broken one, and many servers answer that it has not been modified since: the broken one would be read for ever.
 */
function askedInFull(rawBodies: readonly RawBody[], reports: GuardedRun["reports"]): RawBody[] {
  const accepted = new Set(reports.flatMap(({ source, outcome }) => (outcome === "accepted" ? [source] : [])));
  return rawBodies.map((raw) => {
    const { etag: _etag, lastModified: _lastModified, ...body } = raw;
    return accepted.has(raw.source) ? raw : body;
  });
}

/** A run without an accepted list confirms nothing; one of which nothing is kept only counts the failures, since its ages and lists are not kept either. */
function pulseAfter(former: Pulse, { pulse, hasAccepted }: GuardedRun, isKept: boolean): Pulse {
  if (hasAccepted) return pulse;
  if (isKept) return { ...former, sources: pulse.sources };
  return { ...former, sources: pulse.sources.map(({ source, failures }) => ({ ...pulseOf(former, source), failures })) };
}

function progressOf(outcome: ReadOutcome): SourceProgress {
  const { source, durationMs } = outcome;
  if (outcome.outcome === "read") return { source: source.name, outcome: "read", durationMs };
  return { source: source.name, outcome: "failed", reason: outcome.reason, detail: outcome.detail, durationMs };
}

function tellGuarded(run: Run, state: SyncState, { guarded, quarantine }: Pick<Committed, "guarded" | "quarantine">): void {
  const { onEvent } = run.options;
  for (const report of guarded.reports) tell(onEvent, { type: "source-finished", runId: run.id, report });
  const known = new Set(state.content.quarantine.map((entry) => entry.key));
  const entries = quarantine.filter((entry) => !known.has(entry.key));
  if (entries.length > 0) tell(onEvent, { type: "quarantine-added", runId: run.id, entries });
}

/** Every run offers the current version to the mirror, so that one that missed a version is repaired by the next run. */
async function mirrorVersion(run: Run, committed: Committed): Promise<MirrorOutcome | "none"> {
  const { mirror, store, onEvent } = run.options;
  const { head, outcome, encoded } = committed;
  if (!mirror || !head || outcome === "dry-run") return "none";
  const written = await (encoded
    ? mirror.write(head, async () => encoded).catch(() => "failed" as const)
    : mirrorCurrent(mirror, store, head));
  tell(onEvent, { type: "mirror-finished", runId: run.id, outcome: written });
  return written;
}

/** Writes the store's current version to a mirror. Never rejects. */
export async function mirrorCurrent(mirror: Mirror, store: SnapshotStore, head: CurrentHead): Promise<MirrorOutcome> {
  const content = async (): Promise<EncodedContent> => {
    const snapshot = await store.read(head.version);
    if (!snapshot) throw new CacheError("ERR_CACHE_BACKEND", `version ${head.version} is not in the store any more`);
    return encodeContent(snapshot.content);
  };
  return mirror.write(head, content).catch(() => "failed" as const);
}

async function publish(run: Run, committed: Committed): Promise<boolean> {
  const { publisher } = run.options;
  return publisher !== undefined && committed.head !== undefined && publishVersion(publisher, committed.head.version);
}

/** What readers see and what is held back, although the run came to nothing; unknown where the store does not tell. */
async function servedOf({ store }: SyncOptions): Promise<Pick<RunReport, "version" | "models" | "quarantine">> {
  try {
    const { head, content } = await store.state();
    return { version: head?.version ?? 0, models: head?.modelCount ?? 0, quarantine: content.quarantine };
  } catch {
    return { version: 0, models: 0, quarantine: [] };
  }
}

async function failedReport(run: Run, error: unknown): Promise<RunReport> {
  const isCancelled = run.options.signal?.aborted === true;
  const told = CacheError.is(error) ? error.message : "the run failed unexpectedly";
  const nothing = { sources: [], changes: [], mirror: "none" as const, published: false };
  const times = { startedAt: run.startedAt, finishedAt: run.clock.wallNow() };
  const outcome = isCancelled ? "cancelled" : "failed";
  return { id: run.id, outcome, isComplete: false, ...times, ...nothing, ...(await servedOf(run.options)), error: told };
}

/** Checks everything that a run is given, so that a scheduler refuses it at once and not run by run. @throws {CacheError} ERR_CACHE_INVALID_OPTION */
export function checkSyncOptions(options: SyncOptions): Pick<Run, "policy" | "fetcher" | "limits"> {
  const { sources, store, fetch, clock = systemClock } = options;
  const isSource = (source: Source | undefined): boolean => typeof source?.read === "function" && typeof source.name === "string";
  if (!Array.isArray(sources) || !sources.every(isSource))
    throw new CacheError("ERR_CACHE_INVALID_OPTION", "sources must be an array of sources, such as [openRouterModels(), modelsDev()]");
  if (typeof store?.commit !== "function")
    throw new CacheError(
      "ERR_CACHE_INVALID_OPTION",
      "store must be a snapshot store, such as createSqliteStore() makes when it is awaited",
    );
  if (sources.length === 0) throw new CacheError("ERR_CACHE_INVALID_OPTION", "sources must name at least one source, got none");
  const names = sources.map((source) => source.name);
  // Keys of the quarantine are made of it and #: what is accepted of one source must not be another's.
  if (names.some((name) => name.includes("#") || problemOf(name) !== undefined))
    throw new CacheError(
      "ERR_CACHE_INVALID_OPTION",
      "sources must have short names without #, control characters and white space around them",
    );
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new CacheError("ERR_CACHE_INVALID_OPTION", `sources must have different names, got "${twice}" twice`);
  return {
    policy: guardPolicy(options.policy),
    fetcher: fetch && "fetchBody" in fetch ? fetch : createBodyFetcher({ clock, ...fetch }),
    limits: {
      runTimeoutMs: checkDurationMs("runTimeoutMs", options.runTimeoutMs ?? 120_000),
      maxSourceBytes: checkCount("maxSourceBytes", options.maxSourceBytes ?? 67_108_864),
      maxRunBytes: checkCount("maxRunBytes", options.maxRunBytes ?? 134_217_728),
      maxConflicts: checkCount("maxConflicts", options.maxConflicts ?? 5, 0),
    },
  };
}
