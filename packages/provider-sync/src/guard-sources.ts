import { guardLayer } from "./guard-layer.ts";
import type { GuardPolicy } from "./guard-policy.ts";
import { listingId } from "./model-listing.ts";
import { flattenPrices, type PricePath } from "./prices.ts";
import { type Pulse, pulseOf, type SourcePulse } from "./pulse.ts";
import type { Acceptance, QuarantineEntry } from "./quarantine.ts";
import type { ReadOutcome } from "./read-sources.ts";
import type { SourceReport } from "./run-report.ts";
import { layerOf, type SnapshotContent, type SourceLayer } from "./snapshot.ts";
import type { SyncState } from "./snapshot-store.ts";

/** The next content and pulse, and what each source contributed. */
export interface GuardedRun {
  readonly content: SnapshotContent;
  readonly pulse: Pulse;
  readonly reports: readonly SourceReport[];
  /** Whether every primary source was accepted. */
  readonly isComplete: boolean;
  /** Whether any source was accepted: without one nothing is confirmed. */
  readonly hasAccepted: boolean;
  /** Whether a list came and was not believed. */
  readonly hasRefused: boolean;
}

type PriceIndex = ReadonlyMap<string, ReadonlyMap<PricePath, number>>;

function indexPrices(outcome: ReadOutcome, layer: SourceLayer | undefined): PriceIndex {
  const listings =
    outcome.outcome === "read" && outcome.reading.models ? outcome.reading.models : layer?.models.map((model) => model.listing);
  return new Map((listings ?? []).map((listing) => [listingId(listing.provider, listing.model), flattenPrices(listing)]));
}

/** Only what a source says itself confirms another: its fresh list where it came, else its last good one. */
function corroboration(
  outcomes: readonly ReadOutcome[],
  content: SnapshotContent,
): (source: string, id: string, path: PricePath) => number[] {
  const indexes = new Map<string, PriceIndex>();
  return (source, id, path) => {
    const prices: number[] = [];
    for (const outcome of outcomes) {
      const { name } = outcome.source;
      if (name === source) continue;
      const index = indexes.get(name) ?? indexPrices(outcome, layerOf(content, name));
      indexes.set(name, index);
      const price = index.get(id)?.get(path);
      if (price !== undefined) prices.push(price);
    }
    return prices;
  };
}

function failedReport(outcome: ReadOutcome & { outcome: "failed" }): SourceReport {
  const { source, reason, detail, durationMs } = outcome;
  const nothing = { models: 0, providers: 0, rejected: [], duplicates: [], vanished: 0 };
  return { source: source.name, role: source.role, outcome: "failed", reason, detail, ...nothing, durationMs };
}

/** Acceptances of lists and groups are spent when the list is taken; those of a price hold for as long as it is offered. */
function remainingAcceptances(acceptances: readonly Acceptance[], source: string, wasAccepted: boolean): Acceptance[] {
  const isForList = (key: string): boolean =>
    key === `${source}#models` || key === `${source}#providers` || key.startsWith(`${source}#group:`);
  return acceptances.filter((acceptance) => !(wasAccepted && isForList(acceptance.key)));
}

/** Layers in the order of the sources, and those of sources no longer configured dropped. */
export function guardSources(outcomes: readonly ReadOutcome[], state: SyncState, policy: GuardPolicy, now: number): GuardedRun {
  const otherPrices = corroboration(outcomes, state.content);
  const layers: SourceLayer[] = [];
  const quarantine: QuarantineEntry[] = [];
  const reports: SourceReport[] = [];
  const pulses: SourcePulse[] = [];
  let acceptances = [...state.content.acceptances];
  for (const outcome of outcomes) {
    const { name, role, minModels, minProviders } = outcome.source;
    const believed = layerOf(state.content, name);
    const known = pulseOf(state.pulse, name);
    const held = state.content.quarantine.filter((entry) => entry.source === name);
    // An overlapping run may have asked later and committed first: its list is the newer one.
    const isOutdated = outcome.startedAt < known.fetchedAt;
    if (outcome.outcome === "failed" || isOutdated) {
      if (believed) layers.push(believed);
      quarantine.push(...held);
      pulses.push({ ...known, failures: known.failures + (outcome.outcome === "failed" ? 1 : 0) });
      reports.push(
        outcome.outcome === "failed"
          ? failedReport(outcome)
          : {
              source: name,
              role,
              outcome: "accepted",
              models: believed?.models.length ?? 0,
              providers: 0,
              rejected: [],
              duplicates: [],
              vanished: 0,
              durationMs: outcome.durationMs,
            },
      );
      continue;
    }
    const { reading, startedAt, durationMs } = outcome;
    const verdict = guardLayer({
      source: name,
      reading,
      believed,
      missedRuns: new Map(known.missedRuns),
      quarantine: held,
      acceptances: state.content.acceptances,
      policy: { ...policy, ...(minModels !== undefined && { minModels }), ...(minProviders !== undefined && { minProviders }) },
      now,
      otherPrices: (id, path) => otherPrices(name, id, path),
    });
    const isAccepted = verdict.refused === undefined;
    if (isAccepted || believed) layers.push(verdict.layer);
    quarantine.push(...verdict.quarantine);
    acceptances = remainingAcceptances(acceptances, name, isAccepted);
    pulses.push({
      source: name,
      fetchedAt: isAccepted ? startedAt : known.fetchedAt,
      failures: isAccepted ? 0 : known.failures + 1,
      missedRuns: [...verdict.missedRuns],
    });
    reports.push({
      source: name,
      role,
      outcome: isAccepted ? "accepted" : "refused",
      ...(verdict.refused && { reason: verdict.refused }),
      models: reading.models?.length ?? 0,
      providers: reading.providers?.length ?? 0,
      rejected: reading.rejected,
      duplicates: verdict.duplicates,
      vanished: verdict.missedRuns.size,
      durationMs,
    });
  }
  const primaries = reports.filter((report) => report.role === "primary");
  const isComplete = primaries.length > 0 && primaries.every((report) => report.outcome === "accepted");
  const hasAccepted = reports.some((report) => report.outcome === "accepted" && (report.role === "primary" || primaries.length === 0));
  return {
    content: { layers, quarantine: quarantine.sort((a, b) => (a.key < b.key ? -1 : 1)), acceptances },
    pulse: { ...state.pulse, revision: state.pulse.revision + 1, sources: pulses, checkedAt: now, ...(isComplete && { completedAt: now }) },
    reports,
    isComplete,
    hasAccepted,
    hasRefused: reports.some((report) => report.outcome === "refused"),
  };
}
