import { CacheError } from "@larder/cache-core";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import {
  acceptQuarantined,
  type Catalog,
  createCatalog,
  type GuardPolicy,
  guardPolicy,
  type Mirror,
  type ModelListing,
  mergeModels,
  type ProviderRecord,
  type RunReport,
  type SnapshotStore,
  SourceError,
  type SyncEvent,
  syncOnce,
} from "../src/index.ts";
import { type GuardRig, startGuardRig } from "./support/guard-rig.ts";
import { listing, listings, ScriptedSource } from "./support/listings.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let { clock, store, source } = {} as GuardRig;
let catalog: Catalog;
beforeEach(async () => {
  ({ clock, store, source } = await startGuardRig(200));
  catalog = createCatalog({ readers: [store], clock });
  onTestFinished(() => catalog.close());
});

async function run(policy: Partial<GuardPolicy> = {}, others: readonly ScriptedSource[] = []): Promise<RunReport> {
  clock.advance(60_000);
  const report = await syncOnce({ sources: [source, ...others], store, policy, clock, publisher: catalog });
  await catalog.refresh();
  return report;
}

/** The list with some models changed. */
const changed = (changes: Readonly<Record<string, ModelListing | undefined>>): ModelListing[] =>
  listings(200).flatMap((model) => (model.model in changes ? (changes[model.model] ?? []) : [model]));

const priceOf = (model: string): number | undefined => catalog.price(`acme/${model}`)?.usdPerMillion.input;

describe("the guard of prices", () => {
  it.each([
    ["a price of a thousand dollars per million tokens", 1000, "above-bound"],
    ["a jump to five times the price", 5, "jump"],
    ["a fall to a fifth of the price", 0.2, "jump"],
    ["a fall to nothing", 0, "dropped-to-zero"],
    ["a negative price", -1, "negative"],
    ["a price that is no number", Number.NaN, "not-a-number"],
    ["an infinite price", Number.POSITIVE_INFINITY, "not-a-number"],
  ])("holds back %s for its model alone and serves the former one", async (_name, input, reason) => {
    await run();
    source.tell(
      changed({ "model-3": listing("model-3", { input, output: 2.5 }), "model-4": listing("model-4", { input: 1.5, output: 2 }) }),
    );
    const report = await run();
    expect(report).toMatchObject({ outcome: "committed", isComplete: true });
    expect(report.quarantine).toMatchObject([{ key: "script#acme/model-3#input", reason, kept: 1 }]);
    expect(priceOf("model-3")).toBe(1);
    expect(catalog.price("acme/model-3")?.usdPerMillion.output).toBe(2.5);
    expect(catalog.model("acme/model-3")?.heldPrices).toMatchObject([{ source: "script", path: "input", reason }]);
    expect(priceOf("model-4")).toBe(1.5);
  });

  it("lets pass what is less than five times, a free model that gets a price, and a first price within bounds", async () => {
    source.tell(changed({ "model-1": listing("model-1", { input: 0, output: 0 }), "model-2": listing("model-2", {}) }));
    await run();
    source.tell(
      changed({
        "model-0": listing("model-0", { input: 4.99, output: 0.41 }),
        "model-1": listing("model-1", { input: 3, output: 6 }),
        "model-2": listing("model-2", { input: 150, output: 600 }),
      }),
    );
    expect((await run()).quarantine).toEqual([]);
    expect([0, 1, 2].map((index) => priceOf(`model-${index}`))).toEqual([4.99, 3, 150]);
  });

  it("has no price at all for a new model with an absurd one, rather than that one", async () => {
    source.tell([...listings(200), listing("wrong-unit", { input: 55_000, output: 200_000 })]);
    await run();
    expect(catalog.model("acme/wrong-unit")).toMatchObject({ usdPerMillion: {}, heldPrices: [{ path: "input" }, { path: "output" }] });
    expect(catalog.price("acme/wrong-unit")).toBeUndefined();
  });

  it("keeps an input price that is no longer told, and lets other prices come and go", async () => {
    source.tell(changed({ "model-0": listing("model-0", { input: 1, output: 2, cacheRead: 0.1 }) }));
    await run();
    source.tell(changed({ "model-0": listing("model-0", { output: 2 }) }));
    expect((await run()).quarantine).toMatchObject([{ reason: "price-withdrawn", kept: 1, offered: null }]);
    expect(catalog.price("acme/model-0")?.usdPerMillion).toEqual({ output: 2, input: 1 });
    // Unless somebody says that it is gone indeed.
    await acceptQuarantined(["script#acme/model-0#input"], { store, clock });
    await catalog.refresh();
    expect([catalog.model("acme/model-0")?.usdPerMillion, (await run()).quarantine]).toEqual([{ output: 2 }, []]);
  });

  it("guards the prices of tiers and of pieces like the others", async () => {
    const tiered = (above: number, request: number): ModelListing =>
      listing(
        "model-0",
        { input: 1, output: 2 },
        { priceTiers: [{ aboveTokens: 200_000, usdPerMillion: { input: above } }], usdPerUnit: { request } },
      );
    source.tell(changed({ "model-0": tiered(2, 0.01) }));
    await run();
    source.tell(changed({ "model-0": tiered(22, 500) }));
    expect((await run()).quarantine.map((entry) => [entry.path, entry.reason])).toEqual([
      ["above200000.input", "jump"],
      ["unit.request", "above-bound"],
    ]);
    expect(catalog.price("acme/model-0")).toMatchObject({ priceTiers: [{ usdPerMillion: { input: 2 } }], usdPerUnit: { request: 0.01 } });
  });

  it("believes a jump that is offered unchanged for seven days, and an absurd price never", async () => {
    await run();
    source.tell(
      changed({ "model-0": listing("model-0", { input: 10, output: 2 }), "model-1": listing("model-1", { input: 5000, output: 2 }) }),
    );
    const held = await run();
    expect(held.quarantine.map((entry) => (entry.expiresAt ?? Number.NaN) - entry.since)).toEqual([7 * DAY_MS, Number.NaN]);
    clock.advance(3 * DAY_MS);
    await run();
    clock.advance(3 * DAY_MS);
    await run();
    expect(priceOf("model-0")).toBe(1);
    clock.advance(DAY_MS);
    expect((await run()).quarantine.map((entry) => entry.id)).toEqual(["acme/model-1"]);
    expect(priceOf("model-0")).toBe(10);
    clock.advance(365 * DAY_MS);
    expect((await run()).quarantine.map((entry) => entry.id)).toEqual(["acme/model-1"]);
    expect(priceOf("model-1")).toBe(1);
  });

  it("starts the time anew when another price is offered, and forgets the matter when the price comes back", async () => {
    await run();
    source.tell(changed({ "model-0": listing("model-0", { input: 10, output: 2 }) }));
    await run();
    clock.advance(6 * DAY_MS);
    source.tell(changed({ "model-0": listing("model-0", { input: 11, output: 2 }) }));
    const { quarantine } = await run();
    expect(quarantine).toMatchObject([{ offered: 11, since: clock.wallNow() }]);
    source.tell(changed({ "model-0": listing("model-0", { input: 1.1, output: 2 }) }));
    expect((await run()).quarantine).toEqual([]);
    expect(priceOf("model-0")).toBe(1.1);
  });

  it("starts the time anew when a price that could not be read is no longer told: that it is gone was never offered before", async () => {
    await run();
    source.tell(changed({ "model-0": listing("model-0", { input: Number.NaN, output: 2 }) }));
    for (let days = 0; days < 10; days += 1) {
      await run();
      clock.advance(DAY_MS);
    }
    source.tell(changed({ "model-0": listing("model-0", { output: 2 }) }));
    expect((await run()).quarantine).toMatchObject([{ reason: "price-withdrawn", kept: 1, since: clock.wallNow() }]);
    expect(priceOf("model-0")).toBe(1);
  });

  it("believes a jump at once that another source confirms, and names the source that stands alone otherwise", async () => {
    const other = new ScriptedSource(listings(200), "other");
    await run({}, [other]);
    const cheaper = changed({
      "model-0": listing("model-0", { input: 0.1, output: 2 }),
      "model-1": listing("model-1", { input: 9, output: 2 }),
    });
    source.tell(cheaper);
    other.tell(changed({ "model-0": listing("model-0", { input: 0.101, output: 2 }) }));
    const report = await run({}, [other]);
    expect(report.quarantine.map((entry) => [entry.source, entry.id])).toEqual([["script", "acme/model-1"]]);
    expect(priceOf("model-0")).toBe(0.1);
  });

  it("is confirmed by no list that is itself refused as a whole, but by the last good one of that source", async () => {
    const other = new ScriptedSource(listings(200), "other");
    await run({}, [other]);
    source.tell(changed({ "model-0": listing("model-0", { input: 1000 / 3, output: 2 }) }));
    // A wrong unit: its price of model-0 happens to be the one that the other source is wrong about.
    other.tell(listings(200, { input: 1000 / 3, output: 2000 / 3 }));
    const report = await run({}, [other]);
    expect(report.sources.map(({ outcome }) => outcome)).toEqual(["accepted", "refused"]);
    expect(report.quarantine.map(({ key }) => key)).toEqual(["other#models", "script#acme/model-0#input"]);
    expect(priceOf("model-0")).toBe(1);
    // Whichever of them is judged first.
    source.tell(listings(200, { input: 1000 / 3, output: 2000 / 3 }));
    other.tell(changed({ "model-0": listing("model-0", { input: 1000 / 3, output: 2 }) }));
    const keys = (await run({}, [other])).quarantine.map(({ key }) => key);
    expect(keys).toEqual(["other#acme/model-0#input", "script#acme/model-0#input", "script#models"]);
  });

  it("refuses a whole list most of whose prices cannot be read, the first one too, and takes one with a few of them", async () => {
    const unreadable = (count: number): ModelListing[] =>
      listings(200).map((told, index) => (index < count ? { ...told, usdPerMillion: { input: Number.NaN, output: 2 } } : told));
    source.tell(unreadable(101));
    expect(await run()).toMatchObject({
      outcome: "failed",
      isComplete: false,
      version: 0,
      sources: [{ outcome: "refused", reason: "mostly-invalid" }],
      models: 0,
    });
    source.tell(unreadable(0));
    expect(await run()).toMatchObject({ isComplete: true, models: 200 });
    source.tell(unreadable(50));
    const few = await run();
    expect(few).toMatchObject({ isComplete: true });
    expect(few.quarantine).toHaveLength(50);
    expect(priceOf("model-0")).toBe(1);
    // As many as would be refused when they went without a word.
    source.tell(unreadable(51));
    expect(await run()).toMatchObject({ isComplete: false, sources: [{ outcome: "refused", reason: "mass-jump" }] });
    expect(priceOf("model-0")).toBe(1);
    source.tell(unreadable(0));
    expect(await run()).toMatchObject({ isComplete: true, quarantine: [] });
  });

  it("takes a list all of whose minor prices cannot be read: they are held, and no bill depends on them", async () => {
    await run();
    source.tell(listings(200).map((told) => ({ ...told, usdPerMillion: { ...told.usdPerMillion, reasoning: Number.NaN } })));
    expect(await run()).toMatchObject({ isComplete: true, quarantine: expect.objectContaining({ length: 200 }) });
  });

  it("refuses a whole list whose prices moved together, and takes it when it is accepted by hand", async () => {
    await run();
    source.tell(listings(200, { input: 900, output: 0.002 }));
    expect(await run()).toMatchObject({
      outcome: "failed",
      sources: [{ outcome: "refused", reason: "mass-jump" }],
      quarantine: [{ key: "script#models" }],
    });
    expect(priceOf("model-0")).toBe(1);
    await acceptQuarantined(["script#models"], { store, clock });
    expect(await run()).toMatchObject({ isComplete: true, quarantine: [] });
    expect(priceOf("model-0")).toBe(900);
  });
});

describe("the guard of vanished models", () => {
  it("serves a missed model, marked, for the policy's runs and time, and takes it back as if it had never gone", async () => {
    const policy = { vanishedRuns: 3, vanishedMs: HOUR_MS };
    await run(policy);
    source.tell(changed({ "model-7": undefined }));
    expect(await run(policy)).toMatchObject({ sources: [{ vanished: 1 }], changes: [{ id: "acme/model-7", kind: "vanished" }] });
    const vanishedAt = clock.wallNow();
    await run(policy);
    expect(catalog.model("acme/model-7")).toMatchObject({ status: "vanished", vanishedAt, usdPerMillion: { input: 1 } });
    source.tell(listings(200));
    expect(await run(policy)).toMatchObject({ changes: [{ id: "acme/model-7", kind: "returned" }] });
    expect(catalog.model("acme/model-7")?.status).toBe("live");
    source.tell(changed({ "model-7": undefined }));
    for (let runs = 0; runs < 4; runs += 1) await run(policy);
    expect(catalog.model("acme/model-7")).toBeDefined();
    clock.advance(HOUR_MS / 2);
    await run(policy);
    clock.advance(HOUR_MS / 2);
    expect(await run(policy)).toMatchObject({ changes: [{ id: "acme/model-7", kind: "removed" }] });
    expect(catalog.model("acme/model-7")).toBeUndefined();
  });

  it("makes no version of each run that misses a model which goes by the count of runs alone", async () => {
    const byRuns = { vanishedMs: 0, vanishedRuns: 3 };
    await run(byRuns);
    source.tell(changed({ "model-3": undefined }));
    const outcomes: string[] = [];
    for (let runs = 0; runs < 5; runs += 1) outcomes.push((await run(byRuns)).outcome);
    expect(outcomes).toEqual(["committed", "unchanged", "unchanged", "committed", "unchanged"]);
    expect(catalog.model("acme/model-3")).toBeUndefined();
  });

  it("does not count a run in which the source failed as one that missed its models", async () => {
    const policy = { vanishedRuns: 1, vanishedMs: 0 };
    await run(policy);
    source.fail(new SourceError("network", "away"));
    for (let runs = 0; runs < 5; runs += 1) expect((await run(policy)).outcome).toBe("failed");
    expect(catalog.view.models).toHaveLength(200);
  });

  it("refuses a list that lost more than the policy's share though hundreds remain (seeds W4.2)", async () => {
    source.tell(listings(1000));
    await run();
    source.tell(listings(700));
    const refused = { outcome: "refused", reason: "dropped-too-many", detail: "700 offered, 1000 served" };
    expect(await run()).toMatchObject({ outcome: "failed", sources: [refused], models: 1000 });
    expect(catalog.view.models.every((model) => model.status === "live")).toBe(true);
  });

  it("cannot be eroded in steps that are each small enough", async () => {
    source.tell(listings(1000));
    await run();
    const outcomes: string[] = [];
    for (let left = 900; left >= 500; left -= 100) {
      source.tell(listings(left));
      outcomes.push((await run()).sources[0]?.outcome ?? "");
    }
    expect(outcomes).toEqual(["accepted", "accepted", "refused", "refused", "refused"]);
    expect(catalog.view.models).toHaveLength(1000);
  });

  it("believes a shorter list that is offered for a day, or accepted by hand, and an empty one never", async () => {
    await run();
    source.tell(listings(120));
    expect((await run()).sources[0]?.outcome).toBe("refused");
    clock.advance(DAY_MS / 2);
    await run();
    clock.advance(DAY_MS / 2);
    expect(await run()).toMatchObject({ isComplete: true, models: 200 });
    await acceptQuarantined(["script#models"], { store, clock });
    expect(await run()).toMatchObject({ isComplete: true, models: 120, quarantine: [] });
    source.tell(listings(20));
    expect((await run()).sources[0]?.reason).toBe("too-few");
    await acceptQuarantined(["script#models"], { store, clock });
    expect(await run()).toMatchObject({ isComplete: true, models: 20 });
    source.tell([]);
    await run();
    await acceptQuarantined(["script#models"], { store, clock });
    clock.advance(30 * DAY_MS);
    expect(await run()).toMatchObject({ outcome: "failed", models: 20 });
  });

  it("shows a provider whose models all vanish as one incident, holds them longer, and lets them go by hand", async () => {
    const policy = { vanishedRuns: 0, vanishedMs: 0 };
    const group = Array.from({ length: 8 }, (_, index) => listing(`g-${index}`, { input: 1 }, { provider: "lambda" }));
    source.tell([...listings(200), ...group]);
    await run(policy);
    source.tell(listings(200));
    for (let runs = 0; runs < 5; runs += 1) await run(policy);
    expect((await store.state()).content.quarantine).toMatchObject([
      { key: "script#group:lambda", reason: "group-vanished", kept: 8, offered: 0 },
    ]);
    expect(catalog.view.modelsOf("lambda")).toHaveLength(8);
    await acceptQuarantined(["script#group:lambda"], { store, clock });
    expect(await run(policy)).toMatchObject({ quarantine: [] });
    expect(catalog.view.modelsOf("lambda")).toEqual([]);
  });
});

describe("sources side by side", () => {
  it("keeps the layer of a primary source that fails, goes on with the others, and calls the run incomplete", async () => {
    const other = new ScriptedSource(
      listings(150).map((model) => ({ ...model, provider: "other" })),
      "other",
    );
    await run({}, [other]);
    other.fail(new SourceError("timeout", "slow"));
    source.tell([...listings(200), listing("new")]);
    const report = await run({}, [other]);
    expect(report).toMatchObject({ outcome: "committed", isComplete: false, models: 351 });
    expect((await store.pulse()).sources).toMatchObject([{ failures: 0 }, { source: "other", failures: 1 }]);
  });

  it("are all decisive where none of them is primary: such a run is complete with all of them, and fails without any", async () => {
    const [one, two] = [new ScriptedSource(listings(150), "one", "ancillary"), new ScriptedSource(listings(150), "two", "ancillary")];
    const both = (): Promise<RunReport> => syncOnce({ sources: [one, two], store, clock });
    expect(await both()).toMatchObject({ outcome: "committed", isComplete: true });
    two.fail(new Error("away"));
    expect(await both()).toMatchObject({ outcome: "unchanged", isComplete: false });
    one.fail(new Error("away"));
    expect(await both()).toMatchObject({ outcome: "failed", isComplete: false });
  });

  it("fails when no primary source was accepted, whatever the ancillary ones say", async () => {
    const helper = new ScriptedSource(listings(150), "helper", "ancillary");
    await run({}, [helper]);
    source.fail(new SourceError("network", "away"));
    const head = await store.head();
    expect(await run({}, [helper])).toMatchObject({ outcome: "failed", isComplete: false, error: "no primary source was accepted" });
    expect((await store.head())?.version).toBe(head?.version);
    expect((await store.pulse()).completedAt).toBe(head?.checkedAt);
  });

  it("keeps messages of foreign errors out of the report: they may quote what they choked on", async () => {
    source.fail(new TypeError("canary: sk-secret"));
    const report = await run();
    expect(report.sources[0]).toMatchObject({ reason: "unknown", detail: "the source threw TypeError" });
    expect(JSON.stringify(report)).not.toContain("sk-secret");
  });
});

describe("overlapping runs (I12)", () => {
  it("commit one after the other, and the list that was asked for later stays, whoever commits last", async () => {
    const slow = new ScriptedSource([]);
    let release = (): void => {};
    slow.answer = () =>
      new Promise((resolve) => (release = () => resolve({ models: listings(200, { input: 2, output: 2 }), rejected: [] })));
    const early = syncOnce({ sources: [slow], store, clock });
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(5000);
    source.tell(listings(200, { input: 3, output: 2 }));
    expect(await syncOnce({ sources: [source], store, clock })).toMatchObject({ outcome: "committed", version: 1 });
    release();
    expect(await early).toMatchObject({ outcome: "unchanged", version: 1 });
    await catalog.refresh();
    expect(priceOf("model-0")).toBe(3);
  });

  it("computes a commit anew when another run came first, and gives up after the allowed conflicts", async () => {
    await run();
    const commit: SnapshotStore["commit"] = async (input) => (remaining-- > 0 ? { outcome: "conflict" } : store.commit(input));
    const bound = new Proxy(store, { get: (target, name) => (name === "commit" ? commit : bindTo(Reflect.get(target, name), target)) });
    let remaining = 3;
    source.tell(listings(201));
    expect(await syncOnce({ sources: [source], store: bound, clock })).toMatchObject({ outcome: "committed", models: 201 });
    remaining = 100;
    source.tell(listings(202));
    expect(await syncOnce({ sources: [source], store: bound, clock, maxConflicts: 2 })).toMatchObject({
      outcome: "failed",
      error: expect.stringContaining("other runs"),
    });
  });

  it("a commit that the database refuses changes nothing, mirrors nothing and tells nobody (F24), and the next run makes up for it", async () => {
    await run();
    const trouble: string[] = [];
    const mirror: Mirror = {
      name: "mirror",
      head: async () => undefined,
      latest: async () => undefined,
      write: async (head) => {
        trouble.push(`mirrored version ${head.version}`);
        return "written";
      },
      close: async () => {},
    };
    const publisher = { publish: async (version: number) => void trouble.push(`published version ${version}`), close: () => {} };
    const commit: SnapshotStore["commit"] = async () => {
      throw new CacheError("ERR_CACHE_BACKEND", "the disk is full");
    };
    const full = new Proxy(store, { get: (target, name) => (name === "commit" ? commit : bindTo(Reflect.get(target, name), target)) });
    source.tell(listings(201));
    const report = await syncOnce({ sources: [source], store: full, mirror, publisher, clock });
    expect(report).toMatchObject({ outcome: "failed", isComplete: false, error: expect.stringContaining("the disk is full") });
    expect(report).toMatchObject({ version: 1, models: 200, changes: [] });
    await catalog.refresh();
    expect([trouble, catalog.version, catalog.view.models.length]).toEqual([[], 1, 200]);
    expect(await syncOnce({ sources: [source], store, mirror, publisher, clock })).toMatchObject({ outcome: "committed", version: 2 });
    expect(trouble).toEqual(["mirrored version 2", "published version 2"]);
  });

  function bindTo(value: unknown, owner: object): unknown {
    return typeof value === "function" ? value.bind(owner) : value;
  }
});

describe("the guard of providers", () => {
  const providers = (count: number): ProviderRecord[] =>
    Array.from({ length: count }, (_, index) => ({ id: `provider-${String(index).padStart(2, "0")}`, name: `Provider ${index}` }));
  const tell = (count: number): void => {
    source.answer = () => ({ models: listings(200), providers: providers(count), rejected: [] });
  };
  const known = (): number => catalog.view.providers.filter(({ id }) => id.startsWith("provider-")).length;

  it("refuses a list below the floor of ten, keeps the former one, and lets the models of the same source pass", async () => {
    tell(40);
    await run();
    source.answer = () => ({ models: listings(205), providers: providers(9), rejected: [] });
    const report = await run();
    expect(report.quarantine).toMatchObject([{ key: "script#providers", reason: "too-few", kept: 40, offered: 9 }]);
    expect([known(), catalog.view.models.length]).toEqual([40, 205]);
  });

  it("refuses a list that lost more than the policy's share until it was offered for a day", async () => {
    tell(40);
    await run();
    tell(30);
    expect((await run()).quarantine).toMatchObject([{ key: "script#providers", reason: "dropped-too-many" }]);
    expect(known()).toBe(40);
    clock.advance(DAY_MS / 2);
    await run();
    clock.advance(DAY_MS / 2);
    expect((await run()).quarantine).toEqual([]);
    expect(known()).toBe(30);
  });
});

describe("the policy", () => {
  it.each([
    ["maxDropShare", 1.5],
    ["maxPriceFactor", 0.5],
    ["vanishedRuns", -1],
    ["priceConfirmMs", 0],
    ["maxUsdPerMillion", Number.NaN],
  ] as const)("refuses %s = %d by name", (name, value) => {
    expect(() => guardPolicy({ [name]: value })).toThrow(new RegExp(`ERR_CACHE_INVALID_OPTION.*${name}`));
  });

  it.each([
    ["nothing", ""],
    ["white space around it", " a"],
    ["the mark between the parts of a key", "a#b"],
    ["a control character", "a\u0000"],
    ["hundreds of characters", "x".repeat(301)],
  ])("refuses a source whose name has %s: its keys could be another source's", async (_what, name) => {
    await expect(syncOnce({ sources: [new ScriptedSource([], name)], store })).rejects.toThrow(/ERR_CACHE_INVALID_OPTION.*sources must/);
  });

  it("refuses a sync without sources, and two sources of one name", async () => {
    await expect(syncOnce({ sources: [], store })).rejects.toMatchObject({ code: "ERR_CACHE_INVALID_OPTION" });
    await expect(syncOnce({ sources: [source, source], store })).rejects.toThrow(/"script" twice/);
  });

  it("stores nothing in a dry run, and tells what it would have changed", async () => {
    const report = await syncOnce({ sources: [source], store, clock, dryRun: true });
    expect(report).toMatchObject({ outcome: "dry-run", models: 200, version: 0 });
    expect(report.changes).toHaveLength(200);
    expect(await store.head()).toBeUndefined();
    expect(await store.runs()).toEqual([]);
  });

  it("tells the same in a dry run and in a run of which nothing or little is kept, and no change that was not made", async () => {
    const other = new ScriptedSource([listing("x", {}, { provider: "other" })], "other", "ancillary");
    Object.assign(other, { minModels: 1 });
    const sources = [source, other];
    const added: SyncEvent[] = [];
    const onEvent = (event: SyncEvent): unknown => event.type === "quarantine-added" && added.push(event);
    const twice = async (): Promise<RunReport> => {
      const dry = await syncOnce({ sources, store, clock, dryRun: true });
      const report = await syncOnce({ sources, store, clock, onEvent });
      const told = ({ models, changes, error, isComplete, quarantine }: RunReport): unknown => {
        return { models, changes, error, isComplete, keys: quarantine.map(({ key }) => key) };
      };
      expect(told(dry)).toEqual(told(report));
      expect(report.models).toBe(mergeModels((await store.state()).content).length);
      return report;
    };
    source.tell(listings(5));
    const few = { reason: "too-few", detail: "5 offered, 0 served: fewer than 100 are no list (minModels of the policy or the source)" };
    expect(await twice()).toMatchObject({ outcome: "failed", version: 0, models: 0, changes: [], quarantine: [], sources: [few, {}] });
    expect(added).toEqual([]);
    source.tell(listings(200));
    expect(await twice()).toMatchObject({ outcome: "committed", models: 201 });
    other.tell([listing("x", {}, { provider: "other" }), listing("y", {}, { provider: "other" })]);
    source.fail(new Error("away"));
    expect(await twice()).toMatchObject({ outcome: "failed", version: 1, models: 201, changes: [] });
    source.tell(listings(5));
    expect(await twice()).toMatchObject({ outcome: "failed", version: 2, models: 202, changes: [{ id: "other/y", kind: "added" }] });
    expect(added).toHaveLength(1);
  });

  it("changes nothing when it is cancelled before its commit", async () => {
    const abort = new AbortController();
    source.answer = () => {
      abort.abort();
      return { models: listings(200), rejected: [] };
    };
    expect(await syncOnce({ sources: [source], store, clock, signal: abort.signal })).toMatchObject({ outcome: "cancelled" });
    expect(await store.head()).toBeUndefined();
  });

  it("tells what is served and held back also of a run that was cancelled, and nothing where the store does not tell", async () => {
    await run();
    source.tell(changed({ "model-3": listing("model-3", { input: 9, output: 2 }) }));
    await run();
    const cancelled = { sources: [source], clock, signal: AbortSignal.abort() };
    const report = await syncOnce({ ...cancelled, store });
    expect(report).toMatchObject({ outcome: "cancelled", version: 2, models: 200, quarantine: [{ reason: "jump" }] });
    await store.close();
    expect(await syncOnce({ ...cancelled, store })).toMatchObject({ outcome: "cancelled", version: 0, models: 0, quarantine: [] });
  });
});
