import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { guardSources } from "../../src/guard-sources.ts";
import { finish } from "../../src/in-slices.ts";
import {
  defaultGuardPolicy,
  type GuardPolicy,
  type ModelListing,
  type QuarantineEntry,
  type Source,
  type SourceReading,
} from "../../src/index.ts";
import { emptyPulse } from "../../src/pulse.ts";
import type { SourceReport } from "../../src/run-report.ts";
import { emptyContent } from "../../src/snapshot.ts";
import type { SyncState } from "../../src/snapshot-store.ts";
import { payloadUrl } from "./payloads.ts";

/** One line of a stored series: what changed since the line before. */
interface Delta {
  readonly t: string;
  readonly set: Readonly<Record<string, unknown>>;
  readonly del: readonly string[];
}

/** One list as it was at an instant, already validated and mapped. */
export interface ReplayedList {
  readonly at: number;
  readonly iso: string;
  readonly reading: SourceReading;
}

/** How the bodies of a series are put together. */
export interface Series {
  readonly path: string;
  readonly source: Source;
  /** A body that holds these items alone. */
  toBody(items: Readonly<Record<string, unknown>>): unknown;
}

async function readItems(series: Series, items: Readonly<Record<string, unknown>>): Promise<SourceReading> {
  const signal = new AbortController().signal;
  return series.source.read({ primaries: new Map(), signal, getJson: async () => series.toBody(items) });
}

/** The lists of a series in order. Items are validated one by one, so validating the changed ones alone gives the same reading. */
export async function* replaySeries(series: Series): AsyncGenerator<ReplayedList> {
  const lines = gunzipSync(readFileSync(fileURLToPath(payloadUrl(series.path))))
    .toString("utf8")
    .trim()
    .split("\n");
  const listings = new Map<string, ModelListing>();
  for (const line of lines) {
    const delta = JSON.parse(line) as Delta;
    const { models = [], rejected } = await readItems(series, delta.set);
    if (rejected.length > 0) throw new Error(`the stored series holds an item that does not validate: ${rejected[0]?.id}`);
    const fresh = new Map(models.map((listing) => [listing.sourceId ?? listing.model, listing]));
    for (const id of delta.del) listings.delete(id);
    for (const id of Object.keys(delta.set)) {
      // Keys whose provider prefix is part of the name are mapped under `sourceId`; keys that are no models map to nothing.
      const listing = fresh.get(id);
      if (listing) listings.set(id, listing);
      else listings.delete(id);
    }
    yield { at: Date.parse(delta.t), iso: delta.t, reading: { models: [...listings.values()], rejected: [] } };
  }
}

/** What the guards made of one list of a series. */
export interface ReplayedRun {
  readonly iso: string;
  readonly at: number;
  readonly report: SourceReport;
  /** Held back from this run on, and not before. */
  readonly raised: readonly QuarantineEntry[];
  readonly quarantine: readonly QuarantineEntry[];
  readonly state: SyncState;
  readonly reading: SourceReading;
}

/** Sends every list of a series through the guards, each over what the one before left, with the series' own instants. */
export async function* guardSeries(series: Series, policy: Partial<GuardPolicy> = {}): AsyncGenerator<ReplayedRun> {
  let state: SyncState = { head: undefined, content: emptyContent, pulse: emptyPulse, damaged: [] };
  for await (const list of replaySeries(series)) {
    const outcome = { source: series.source, startedAt: list.at, durationMs: 0, outcome: "read" as const, reading: list.reading };
    const { content, pulse, reports } = finish(guardSources([outcome], state, { ...defaultGuardPolicy, ...policy }, list.at));
    const known = new Map(state.content.quarantine.map((entry) => [entry.key, entry]));
    const raised = content.quarantine.filter((entry) => known.get(entry.key)?.offered !== entry.offered || !known.has(entry.key));
    state = { head: undefined, content, pulse, damaged: [] };
    yield {
      iso: list.iso,
      at: list.at,
      report: reports[0] as SourceReport,
      raised,
      quarantine: content.quarantine,
      state,
      reading: list.reading,
    };
  }
}
