import { describe, expect, it } from "vitest";
import { CatalogView, type ModelListing, type Snapshot, type SourceReading, type SyncOptions, syncOnce } from "../src/index.ts";
import { createSqliteStore } from "../src/sqlite.ts";
import { listing, listings, ScriptedSource } from "./support/listings.ts";

// A source of a user's own is code that nobody here has seen (I13: its failure is its own).

const odd = (fields: object): ModelListing => ({ ...listing("odd"), ...fields }) as ModelListing;

function circular(): ModelListing {
  const record: Record<string, unknown> = { ...listing("odd") };
  record.self = record;
  return record as unknown as ModelListing;
}

/** Syncs 100 good models, and beside them what a source of somebody's own reads. */
async function syncBeside(reading: unknown, role: "primary" | "ancillary" = "ancillary") {
  const own = new ScriptedSource([], "own", role);
  own.answer = () => reading as SourceReading;
  const store = await createSqliteStore({ path: ":memory:" });
  const report = await syncOnce({ store, sources: [new ScriptedSource(listings(100)), own], policy: { minModels: 0, minProviders: 0 } });
  await store.close();
  return { report, own: report.sources[1] };
}

describe("a source of one's own", () => {
  it.each([
    ["nothing", undefined, "must be an object"],
    ["null", null, "must be an object"],
    ["models that are no list", { models: {}, rejected: [] }, "models must be an array"],
    ["rejected items that are no list", { rejected: "none" }, "rejected must be an array"],
    ["endpoints in an object", { endpoints: { "acme/model-1": [] }, rejected: [] }, "endpoints must be a Map"],
  ])("that reads %s has failed by itself, and says what is wrong", async (_what, reading, detail) => {
    for (const role of ["primary", "ancillary"] as const) {
      const { report, own } = await syncBeside(reading, role);
      expect(report).toMatchObject({ outcome: "committed", models: 100, isComplete: role === "ancillary" });
      expect(own).toMatchObject({ outcome: "failed", reason: "bad-shape", detail: expect.stringContaining(detail) });
    }
  });

  it.each([
    ["null", null, "#3", "invalid_type"],
    ["no provider", odd({ provider: undefined }), "undefined/odd", "provider: invalid_type"],
    ["no prices", odd({ usdPerMillion: undefined }), "acme/odd", "usdPerMillion: invalid_type"],
    ["a price in text", odd({ usdPerMillion: { input: "0.5" } }), "acme/odd", "usdPerMillion.input: custom"],
    ["a price of something unknown", odd({ usdPerMillion: { tea: 1 } }), "acme/odd", "usdPerMillion: unrecognized_keys"],
    ["a bad tier", odd({ priceTiers: [{ aboveTokens: -5, usdPerMillion: {} }] }), "acme/odd", "priceTiers.0.aboveTokens: too_small"],
    ["aliases that are no list", odd({ aliases: "abc" }), "acme/odd", "aliases: invalid_type"],
    ["a bigint", odd({ contextTokens: 5n }), "acme/odd", "contextTokens: invalid_type"],
    ["a provider that reads as another one's model", odd({ provider: "acme/odd", model: "1" }), "acme/odd/1/-/-", "provider: slash"],
    ["a date", odd({ releasedAt: new Date(0) }), "acme/odd", "releasedAt: invalid_type"],
  ])("loses a model with %s alone", async (_what, model, id, problem) => {
    const { report, own } = await syncBeside({
      models: [...listings(3).map((good) => ({ ...good, provider: "own" })), model],
      rejected: [],
    });
    expect(report).toMatchObject({ outcome: "committed", isComplete: true, models: 103 });
    expect(own).toMatchObject({ outcome: "accepted", rejected: [{ id, problem }] });
  });

  it("loses a host or a provider of another shape alone, and needs no list of rejected items", async () => {
    const host = { provider: "Own", tag: "own", usdPerMillion: { input: 1 } };
    const { own } = await syncBeside({
      providers: [{ id: "own", name: "Own" }, { id: 5 }],
      endpoints: new Map<string, unknown>([
        ["acme/model-1", [host, null]],
        ["acme/model-2", null],
      ]),
    });
    expect(own).toMatchObject({ outcome: "accepted", providers: 1 });
    expect(own?.rejected).toEqual([
      { id: "5", problem: "id: invalid_type" },
      { id: "#1", problem: "invalid_type" },
      { id: "acme/model-2", problem: "endpoints: no list" },
    ]);
  });

  it("may write slugs in any case: its models, hosts and providers are found as any others", async () => {
    const own = new ScriptedSource([], "own");
    own.answer = () => ({
      models: [...listings(100), listing("M", { input: 1 }, { provider: "Own" })],
      providers: [{ id: "Own", name: "Own" }],
      endpoints: new Map([["Own/M", [{ provider: "Host", tag: "Host", usdPerMillion: {} }]]]),
      rejected: [],
    });
    const store = await createSqliteStore({ path: ":memory:" });
    await syncOnce({ store, sources: [own], policy: { minProviders: 0 } });
    const { content } = (await store.latest()) as Snapshot;
    const view = new CatalogView(1, content, { preferredProviders: ["own"] });
    expect(view.modelsOf("own")).toMatchObject([{ id: "own/m", provider: "own", model: "M" }]);
    expect([view.provider("own")?.name, view.find("m", "own")?.id, [...view.hostsOf("own/m")]]).toEqual(["Own", "own/m", ["host"]]);
    await store.close();
  });

  it("may tell more of a model than a record has, be it what nobody can store", async () => {
    const { report, own } = await syncBeside({ models: [circular()], rejected: [] });
    expect([report.models, own?.outcome]).toEqual([101, "accepted"]);
  });
});

it("refuses sources and stores of another kind, and says what they are", async () => {
  const store = await createSqliteStore({ path: ":memory:" });
  const sources = [new ScriptedSource(listings(1))];
  const refused: ReadonlyArray<readonly [object, string]> = [
    [{ store }, "sources must be an array of sources"],
    [{ store, sources: sources[0] }, "sources must be an array of sources"],
    [{ store, sources: [{}] }, "sources must be an array of sources"],
    [{ sources }, "store must be a snapshot store"],
    [{ sources, store: createSqliteStore({ path: ":memory:" }) }, "store must be a snapshot store"],
  ];
  for (const [options, message] of refused) await expect(syncOnce(options as SyncOptions)).rejects.toThrow(message);
  await store.close();
});
