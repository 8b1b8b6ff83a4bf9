import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { litellmPrices, openRouterModels, type QuarantineEntry } from "../src/index.ts";
import { hasPayloads } from "./support/payloads.ts";
import { guardSeries, type ReplayedRun, type Series } from "./support/series.ts";

type Label = "error" | "correction" | "change" | "return";
type IncidentRow = readonly [
  series: string,
  at: string,
  id: string,
  path: string,
  from: number | null,
  to: number,
  kind: string,
  label: Label,
];

const fixture = JSON.parse(readFileSync(new URL("./fixtures/price-incidents.json", import.meta.url), "utf8")) as {
  readonly incidents: readonly IncidentRow[];
  readonly groups: ReadonlyArray<readonly [series: string, at: string, group: string, models: number]>;
};

const series: Readonly<Record<string, Series>> = {
  litellm: { path: "litellm/litellm-model-prices.series.jsonl.gz", source: litellmPrices(), toBody: (items) => items },
  openrouter: {
    path: "openrouter/openrouter-models.series.jsonl.gz",
    source: openRouterModels(),
    toBody: (items) => ({ data: Object.values(items) }),
  },
};

/** What was held back when, in the words of the labelled list: by the upstream's own id. */
function nameRaised(name: string, run: ReplayedRun): Map<string, QuarantineEntry> {
  if (run.raised.length === 0) return new Map();
  const upstreamIds = new Map(
    run.reading.models?.map((model) => [`${model.provider}/${model.model}`.toLowerCase(), model.sourceId ?? model.model]),
  );
  return new Map(
    run.raised.map((entry) => [JSON.stringify([name, run.iso, upstreamIds.get(entry.id ?? "") ?? entry.key, entry.path ?? ""]), entry]),
  );
}

interface Replay {
  readonly runs: number;
  readonly refused: readonly string[];
  readonly raised: ReadonlyMap<string, QuarantineEntry>;
  /** The longest any model was missed and still served, and every model that was gone from the catalog between two lists that had it. */
  readonly lostAndReturned: readonly string[];
  readonly absurdServed: readonly string[];
}

async function replay(name: string): Promise<Replay> {
  const refused: string[] = [];
  const raised = new Map<string, QuarantineEntry>();
  const lostAndReturned: string[] = [];
  const absurdServed: string[] = [];
  const removedAt = new Map<string, string>();
  let served = new Set<string>();
  let runs = 0;
  for await (const run of guardSeries(series[name] as Series)) {
    runs += 1;
    if (run.report.outcome !== "accepted") refused.push(`${run.iso} ${run.report.reason}`);
    for (const [key, entry] of nameRaised(name, run)) raised.set(key, entry);
    const now = new Set<string>();
    for (const { listing } of run.state.content.layers[0]?.models ?? []) {
      const id = `${listing.provider}/${listing.model}`;
      now.add(id);
      if (removedAt.has(id)) lostAndReturned.push(`${id}: ${removedAt.get(id)} to ${run.iso}`);
      for (const price of Object.values(listing.usdPerMillion))
        if (!(price >= 0 && price < 1000)) absurdServed.push(`${run.iso} ${id} ${price}`);
    }
    for (const id of served) if (!now.has(id)) removedAt.set(id, run.iso);
    for (const id of now) removedAt.delete(id);
    served = now;
  }
  return { runs, refused, raised, lostAndReturned, absurdServed };
}

describe.skipIf(!hasPayloads).each([
  { name: "litellm", lists: 440, returnedLate: 4 },
  { name: "openrouter", lists: 270, returnedLate: 0 },
])("the stored history of $name, list by list through the guards", ({ name, lists, returnedLate }) => {
  const replayed = hasPayloads ? replay(name) : undefined;
  const labelled = fixture.incidents.filter(([source]) => source === name);
  const keyOf = ([source, at, id, path]: IncidentRow): string => JSON.stringify([source, at, id, path]);

  it("refuses no list as a whole", async () => {
    const { runs, refused } = (await replayed) as Replay;
    expect(runs).toBe(lists);
    expect(refused).toEqual([]);
    // The first test of a series waits for its replay, some seconds of work.
  }, 60_000);

  it("holds back every labelled incident on the day it came (recall 1) and lets every return to the last good price pass", async () => {
    const { raised } = (await replayed) as Replay;
    const missed = labelled.filter((row) => row[7] !== "return" && !raised.has(keyOf(row)));
    expect(missed).toEqual([]);
    const heldReturns = labelled.filter((row) => row[7] === "return" && raised.has(keyOf(row)));
    expect(heldReturns).toEqual([]);
  });

  it("holds back nothing else (precision 1), but for whole groups that vanished", async () => {
    const { raised } = (await replayed) as Replay;
    const expected = new Set(labelled.map(keyOf));
    const unexpected = [...raised].filter(([key, entry]) => !expected.has(key) && entry.reason !== "group-vanished").map(([key]) => key);
    expect(unexpected).toEqual([]);
    const groups = [...raised.values()].filter((entry) => entry.reason === "group-vanished").map((entry) => entry.key);
    expect(groups.sort()).toEqual(
      fixture.groups
        .filter(([source]) => source === name)
        .map(([source, , group]) => `${source}#group:${group}`)
        .sort(),
    );
  });

  it("never serves a price of a thousand dollars per million tokens or more, a negative one or none that can be read", async () => {
    expect(((await replayed) as Replay).absurdServed).toEqual([]);
  });

  it("keeps flapping models: only those gone for more than twelve lists and three days leave and come back", async () => {
    expect(((await replayed) as Replay).lostAndReturned).toHaveLength(returnedLate);
  });
});
