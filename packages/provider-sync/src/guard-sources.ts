import { createCorroboration } from "./corroboration.ts";
import { isEndpointEntry } from "./guard-endpoints.ts";
import type { GuardInput } from "./guard-input.ts";
import { type GuardVerdict, guardLayer } from "./guard-layer.ts";
import type { GuardPolicy } from "./guard-policy.ts";
import type { Sliced } from "./in-slices.ts";
import { keepAbsentSources } from "./keep-absent-sources.ts";
import { listingId } from "./model-listing.ts";
import type { PricePath } from "./prices.ts";
import { type Pulse, pulseOf, type SourcePulse } from "./pulse.ts";
import type { QuarantineEntry } from "./quarantine.ts";
import type { ReadOutcome } from "./read-sources.ts";
import { remainingAcceptances } from "./remaining-acceptances.ts";
import type { SourceReport } from "./run-report.ts";
import { layerOf, type SnapshotContent, type SourceLayer } from "./snapshot.ts";
import type { SyncState } from "./snapshot-store.ts";
import type { RejectedItem } from "./source.ts";
import { withSteadyAges } from "./steady-ages.ts";
import { withUsableIds } from "./usable-ids.ts";

/** The next content and pulse, and what each source contributed. */
export interface GuardedRun {
  readonly content: SnapshotContent;
  readonly pulse: Pulse;
  readonly reports: readonly SourceReport[];
  /** Whether every primary source was accepted; where none is configured, every source. */
  readonly isComplete: boolean;
  /** Whether any source was accepted: without one nothing is confirmed. */
  readonly hasAccepted: boolean;
  /** Whether a list came and was not believed. */
  readonly hasRefused: boolean;
}

/** What one source comes to. */
interface GuardedSource {
  /** What is served of it; `undefined` = nothing yet. */
  readonly layer: SourceLayer | undefined;
  readonly quarantine: readonly QuarantineEntry[];
  readonly pulse: SourcePulse;
  readonly report: SourceReport;
  /** Whether its list of this run is the one that is served from now on, but for what is held back of it. */
  readonly isTaken: boolean;
}

/** What a source was known as before the run. */
interface KnownSource {
  readonly believed: SourceLayer | undefined;
  readonly pulse: SourcePulse;
  readonly held: readonly QuarantineEntry[];
}

/** Items that a report tells one by one; beyond, the last one says how many more. */
const MAX_TOLD = 200;

function told<Item>(items: readonly Item[], more: (count: number) => Item): readonly Item[] {
  return items.length <= MAX_TOLD ? items : [...items.slice(0, MAX_TOLD), more(items.length - MAX_TOLD)];
}

/**
 * Milliseconds by which two machines' clocks may honestly differ. A list stored as asked for later than that from now was stored by a
 * clock that was ahead: taken at its word, it would turn away every list until then.
 */
const MAX_CLOCK_SKEW_MS = 300_000;

/** Whether an overlapping run asked later and committed first: its list is the newer one. */
function isOutdated(startedAt: number, { fetchedAt }: SourcePulse, now: number): boolean {
  return startedAt < fetchedAt && fetchedAt <= now + MAX_CLOCK_SKEW_MS;
}

/** A source that could not be read, or whose list is older than the one that is served: everything of it stays. */
function keepSource(outcome: ReadOutcome, { believed, pulse, held }: KnownSource): GuardedSource {
  const { source, durationMs } = outcome;
  const hasFailed = outcome.outcome === "failed";
  const { absentAt: _absentAt, absentSeenAt: _seenAt, ...present } = pulse;
  return {
    isTaken: false,
    layer: believed,
    quarantine: held,
    pulse: { ...present, failures: pulse.failures + (hasFailed ? 1 : 0) },
    report: {
      source: source.name,
      role: source.role,
      outcome: hasFailed ? "failed" : "accepted",
      ...(hasFailed && { reason: outcome.reason, detail: outcome.detail }),
      models: hasFailed ? 0 : (believed?.models.length ?? 0),
      providers: 0,
      rejected: [],
      duplicates: [],
      vanished: 0,
      durationMs,
    },
  };
}

/** Why a list is refused, in numbers. */
function explainRefusal({ refused, quarantine }: GuardVerdict, { minModels }: GuardPolicy): string | undefined {
  const entry = quarantine.find(({ reason, id }) => reason === refused && id === undefined);
  if (!entry) return undefined;
  const told = `${entry.offered ?? 0} offered, ${entry.kept ?? 0} served`;
  const isOfModels = refused === "too-few" && entry.key.endsWith("#models");
  return isOfModels ? `${told}: fewer than ${minModels} are no list (minModels of the policy or the source)` : told;
}

/** A source whose list has come: believed where the guards find nothing against it. */
function judgeSource(
  outcome: ReadOutcome & { outcome: "read" },
  { pulse, ...known }: KnownSource,
  input: Pick<GuardInput, "acceptances" | "policy" | "now" | "otherPrices">,
): GuardedSource {
  const { source, reading, startedAt, durationMs } = outcome;
  const { name, role, minModels, minProviders } = source;
  const policy = { ...input.policy, ...(minModels !== undefined && { minModels }), ...(minProviders !== undefined && { minProviders }) };
  const missedRuns = new Map(pulse.missedRuns);
  const doubted = new Map(pulse.doubted);
  const { believed, held } = withSteadyAges(known, pulse.judgedAt, policy, input.now);
  const verdict = guardLayer({ ...input, source: name, reading, believed, missedRuns, doubted, quarantine: held, policy });
  const isAccepted = verdict.refused === undefined;
  const detail = isAccepted ? undefined : explainRefusal(verdict, policy);
  return {
    isTaken: isAccepted,
    layer: isAccepted || believed ? verdict.layer : undefined,
    quarantine: verdict.quarantine,
    pulse: {
      source: name,
      fetchedAt: isAccepted ? startedAt : pulse.fetchedAt,
      judgedAt: input.now,
      failures: isAccepted ? 0 : pulse.failures + 1,
      missedRuns: [...verdict.missedRuns],
      ...(verdict.doubted.size > 0 && { doubted: [...verdict.doubted] }),
    },
    report: {
      source: name,
      role,
      outcome: isAccepted ? "accepted" : "refused",
      ...(verdict.refused && { reason: verdict.refused }),
      ...(detail !== undefined && { detail }),
      models: reading.models?.length ?? 0,
      providers: reading.providers?.length ?? 0,
      rejected: told<RejectedItem>(reading.rejected, (count) => ({ id: "…", problem: `${count} more` })),
      duplicates: told(verdict.duplicates, (count) => `… ${count} more`),
      vanished: verdict.missedRuns.size,
      durationMs,
    },
  };
}

/** Hosts of models that no source lists any more go with them, and what is held of their prices. */
function withoutLooseEndpoints({ layers, quarantine, acceptances }: SnapshotContent): SnapshotContent {
  if (layers.every((layer) => layer.endpoints.length === 0)) return { layers, quarantine, acceptances };
  const ids = new Set(layers.flatMap(({ models }) => models.map(({ listing }) => listingId(listing.provider, listing.model))));
  return {
    layers: layers.map((layer) => {
      const endpoints = layer.endpoints.filter(([id]) => ids.has(id));
      return endpoints.length === layer.endpoints.length ? layer : { ...layer, endpoints };
    }),
    quarantine: quarantine.filter((entry) => entry.id === undefined || !isEndpointEntry(entry) || ids.has(entry.id)),
    acceptances,
  };
}

function withUsableNames(outcome: ReadOutcome): ReadOutcome {
  return outcome.outcome === "read" ? { ...outcome, reading: withUsableIds(outcome.reading) } : outcome;
}

/** Judges one source; what other sources say of a price is asked only where a jump is to be believed at once. */
type Judge = (otherPrices: GuardInput["otherPrices"]) => GuardedSource;

/** A source as it was judged without the others, and the prices for which they were asked. */
interface Draft {
  readonly judged: GuardedSource;
  readonly asked: ReadonlyArray<readonly [id: string, path: PricePath]>;
  readonly judge: Judge;
}

function draftOf(outcome: ReadOutcome, { content, pulse }: SyncState, policy: GuardPolicy, now: number): Draft {
  const { name } = outcome.source;
  const held = content.quarantine.filter((entry) => entry.source === name);
  const known = { believed: layerOf(content, name), pulse: pulseOf(pulse, name), held };
  const judge: Judge = (otherPrices) =>
    outcome.outcome === "failed" || isOutdated(outcome.startedAt, known.pulse, now)
      ? keepSource(outcome, known)
      : judgeSource(outcome, known, { acceptances: content.acceptances, policy, now, otherPrices });
  const asked: Array<readonly [string, PricePath]> = [];
  const judged = judge((id, path) => {
    asked.push([id, path]);
    return [];
  });
  return { judged, asked, judge };
}

/**
 * Judges every source by itself first, and then once more where others have something to say of a price that moved: only then is it known whose lists
 * are believed. Whether a list is refused does not depend on other sources, so that the second judgement changes prices alone. Stops
 * after each: the largest takes some tens of milliseconds.
 */
function* judgeSources(outcomes: readonly ReadOutcome[], state: SyncState, policy: GuardPolicy, now: number): Sliced<GuardedSource[]> {
  const drafts: Draft[] = [];
  for (const outcome of outcomes) {
    drafts.push(draftOf(outcome, state, policy, now));
    yield;
  }
  const told = outcomes.map((outcome, index) => ({ outcome, isBelieved: drafts[index]?.judged.isTaken === true }));
  const otherPrices = createCorroboration(told, state.content);
  const guarded: GuardedSource[] = [];
  for (const [index, { judged, asked, judge }] of drafts.entries()) {
    const { name } = (outcomes[index] as ReadOutcome).source;
    const isAnswered = asked.some(([id, path]) => otherPrices(name, id, path).length > 0);
    guarded.push(isAnswered ? judge((id, path) => otherPrices(name, id, path)) : judged);
    if (isAnswered) yield;
  }
  return guarded;
}

/** Layers in the order of the sources, then those of sources no longer configured, for as long as a vanished group is served. */
export function* guardSources(read: readonly ReadOutcome[], state: SyncState, policy: GuardPolicy, now: number): Sliced<GuardedRun> {
  const outcomes = read.map(withUsableNames);
  const guarded = yield* judgeSources(outcomes, state, policy, now);
  let { acceptances } = state.content;
  for (const [index, outcome] of outcomes.entries()) {
    const judged = guarded[index];
    if (outcome.outcome === "read" && judged?.isTaken)
      acceptances = remainingAcceptances(acceptances, outcome.source.name, outcome.reading, judged.layer);
  }
  const absent = keepAbsentSources(outcomes, state, policy, now);
  const reports = guarded.map(({ report }) => report);
  const layers = [...guarded.flatMap(({ layer }) => layer ?? []), ...absent.layers];
  const quarantine = [...guarded, absent].flatMap((source) => source.quarantine).sort((a, b) => (a.key < b.key ? -1 : 1));
  const sources = [...guarded.map(({ pulse }) => pulse), ...absent.pulses];
  const primaries = reports.filter((report) => report.role === "primary");
  // Where nobody was made primary, all of them decide: else such a sync would never be complete, and its alert never silent.
  const deciding = primaries.length > 0 ? primaries : reports;
  const isComplete = deciding.every((report) => report.outcome === "accepted");
  return {
    content: withoutLooseEndpoints({
      layers,
      quarantine,
      acceptances: acceptances.filter(({ key }) => !absent.forgotten.some((name) => key.startsWith(`${name}#`))),
    }),
    pulse: { ...state.pulse, revision: state.pulse.revision + 1, sources, checkedAt: now, ...(isComplete && { completedAt: now }) },
    reports,
    isComplete,
    hasAccepted: deciding.some((report) => report.outcome === "accepted"),
    hasRefused: reports.some((report) => report.outcome === "refused"),
  };
}
