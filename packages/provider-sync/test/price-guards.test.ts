import { ManualClock } from "@larder/cache-testing";
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import {
  acceptQuarantined,
  type GuardVerdict,
  guardLayer,
  guardPolicy,
  type ModelEndpoint,
  type ModelListing,
  mergeModels,
  SourceError,
  syncOnce,
  type TokenPrices,
} from "../src/index.ts";
import { type GuardRig, startGuardRig } from "./support/guard-rig.ts";
import { listing, listings, ScriptedSource } from "./support/listings.ts";

const DAY_MS = 86_400_000;

let { clock, store, source, run, elapse } = {} as GuardRig;
beforeEach(async () => {
  ({ clock, store, source, run, elapse } = await startGuardRig(200));
});

async function model(id: string): Promise<ReturnType<typeof mergeModels>[number] | undefined> {
  return mergeModels((await store.state()).content).find((found) => found.id === id);
}

/** The list with its first model as given. */
const withFirst = (prices: TokenPrices, rest: Partial<ModelListing> = {}): ModelListing[] => [
  listing("model-0", prices, rest),
  ...listings(200).slice(1),
];

describe("a price that takes another way into the catalog", () => {
  it("is judged against what was told before it was left out for a while", async () => {
    source.tell(withFirst({ input: 1, output: 2, cacheRead: 0.1 }));
    await run();
    source.tell(withFirst({ input: 1, output: 2 }));
    await run();
    expect((await model("acme/model-0"))?.usdPerMillion).toEqual({ input: 1, output: 2 });
    source.tell(withFirst({ input: 1, output: 2, cacheRead: 100 }));
    expect((await run()).quarantine).toMatchObject([{ path: "cacheRead", reason: "jump", kept: 0.1, offered: 100 }]);
    expect((await model("acme/model-0"))?.usdPerMillion.cacheRead).toBe(0.1);
    source.tell(withFirst({ input: 1, output: 2, cacheRead: 0.12 }));
    expect((await run()).quarantine).toEqual([]);
  });

  it("is held as free when it is the input price of a paid model that was left out, and believed when it is a minor one", async () => {
    source.tell(withFirst({ input: 1, output: 2, cacheRead: 0.1 }));
    await run();
    source.tell(withFirst({ output: 2 }));
    await run();
    await acceptQuarantined(["script#acme/model-0#input"], { store, clock });
    await run();
    expect((await model("acme/model-0"))?.usdPerMillion).toEqual({ output: 2 });
    source.tell(withFirst({ input: 0, output: 2, cacheRead: 0 }));
    expect((await run()).quarantine).toMatchObject([{ path: "input", reason: "dropped-to-zero", kept: 1 }]);
    expect((await model("acme/model-0"))?.usdPerMillion).toEqual({ input: 1, output: 2, cacheRead: 0 });
  });

  it("is forgotten after the time in which a jump would be believed, and makes no version while it is remembered", async () => {
    source.tell(withFirst({ input: 1, output: 2, cacheRead: 0.1 }));
    await run();
    source.tell(withFirst({ input: 1, output: 2 }));
    await run();
    expect((await run()).outcome).toBe("unchanged");
    await elapse(7 * DAY_MS);
    await run();
    source.tell(withFirst({ input: 1, output: 2, cacheRead: 100 }));
    expect((await run()).quarantine).toEqual([]);
  });

  const tiered = (...tiers: ReadonlyArray<readonly [aboveTokens: number, input: number]>): ModelListing[] =>
    withFirst({ input: 3, output: 15 }, { priceTiers: tiers.map(([aboveTokens, input]) => ({ aboveTokens, usdPerMillion: { input } })) });

  it.each([
    ["moved by a token", [[200_001, 600]]],
    [
      "set beside the known one",
      [
        [200_000, 6],
        [200_001, 600],
      ],
    ],
  ] as const)("is held in a tier that was %s", async (_name, tiers) => {
    source.tell(tiered([200_000, 6]));
    await run();
    source.tell(tiered(...tiers));
    expect((await run()).quarantine).toMatchObject([{ path: "above200001.input", reason: "jump", kept: 6, offered: 600 }]);
    expect((await model("acme/model-0"))?.priceTiers?.at(-1)).toEqual({ aboveTokens: 200_001, usdPerMillion: { input: 6 } });
  });

  it("passes in a tier of another length at an ordinary price", async () => {
    source.tell(tiered([200_000, 6]));
    await run();
    source.tell(tiered([128_000, 4], [256_000, 7]));
    expect((await run()).quarantine).toEqual([]);
    expect((await model("acme/model-0"))?.priceTiers).toHaveLength(2);
  });

  it("is held when a free model gets one that hardly any model has", async () => {
    source.tell(withFirst({ input: 0, output: 0 }));
    await run();
    source.tell(withFirst({ input: 30, output: 900 }));
    expect((await run()).quarantine).toMatchObject([{ path: "output", reason: "jump", kept: 0, offered: 900 }]);
    expect((await model("acme/model-0"))?.usdPerMillion).toEqual({ input: 30, output: 0 });
  });

  it("is never more than five times what was served, whichever paths come, go and change their length", () => {
    const tierOf = fc.record({ above: fc.constantFrom(100, 101, 5000), price: fc.constantFrom(1, 4, 50, 900) });
    const offer = fc.record({ tiers: fc.array(tierOf, { maxLength: 3 }), cacheRead: fc.constantFrom(undefined, 0.1, 0.3, 30, 900) });
    fc.assert(
      fc.property(fc.array(offer, { minLength: 1, maxLength: 20 }), (offers) => {
        let verdict: GuardVerdict | undefined;
        const highest = new Map<string, number>();
        for (const [index, { tiers, cacheRead }] of [{ tiers: [{ above: 100, price: 1 }], cacheRead: 0.1 }, ...offers].entries()) {
          const priceTiers = [...new Map(tiers.map((tier) => [tier.above, tier.price]))]
            .sort(([a], [b]) => a - b)
            .map(([aboveTokens, input]) => ({ aboveTokens, usdPerMillion: { input } }));
          const prices = { input: 1, output: 2, ...(cacheRead !== undefined && { cacheRead }) };
          verdict = guardLayer({
            source: "s",
            reading: { models: withFirst(prices, { priceTiers }), rejected: [] },
            believed: verdict?.layer,
            missedRuns: new Map(),
            quarantine: verdict?.quarantine ?? [],
            acceptances: [],
            policy: guardPolicy(),
            now: 1_700_000_000_000 + index * 3_600_000,
            otherPrices: () => [],
          });
          const served = verdict.layer.models.find((found) => found.listing.model === "model-0")?.listing;
          const told = [
            ["cacheRead", served?.usdPerMillion.cacheRead ?? 0] as const,
            ...(served?.priceTiers ?? []).map((tier) => ["tier", tier.usdPerMillion.input ?? 0] as const),
          ];
          for (const [name, price] of told) {
            expect(price).toBeLessThan(5 * (highest.get(name) ?? price));
            highest.set(name, Math.max(price, highest.get(name) ?? 0));
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe("prices that move together", () => {
  it.each([
    ["all rise 4.5 times", () => ({ input: 4.5, output: 2 })],
    ["all rise by a quarter", () => ({ input: 1.25, output: 2 })],
    ["all lose their prices", () => ({})],
    ["all free ones get a price", (index: number) => (index < 150 ? { input: 90, output: 2 } : { input: 1, output: 2 })],
  ] as const)("are one error of the list: %s", async (_name, priceOf) => {
    const before = (index: number): TokenPrices =>
      _name.includes("free") && index < 150 ? { input: 0, output: 2 } : { input: 1, output: 2 };
    const list = (prices: (index: number) => TokenPrices): ModelListing[] =>
      listings(200).map((found, index) => ({ ...found, usdPerMillion: prices(index) }));
    source.tell(list(before));
    await run();
    source.tell(list(priceOf));
    const report = await run();
    expect(report).toMatchObject({ outcome: "failed", sources: [{ reason: "mass-jump" }], quarantine: [{ key: "script#models" }] });
    clock.advance(365 * DAY_MS);
    expect(await run()).toMatchObject({ outcome: "failed" });
    expect((await model("acme/model-0"))?.usdPerMillion).toEqual(before(0));
    await acceptQuarantined(["script#models"], { store, clock });
    expect(await run()).toMatchObject({ isComplete: true, quarantine: [] });
    expect((await model("acme/model-0"))?.usdPerMillion).toEqual(priceOf(0));
  });

  it("pass when they move by less than a fifth, and when few of them move by more", async () => {
    await run();
    source.tell(listings(200, { input: 1.19, output: 2.3 }));
    expect(await run()).toMatchObject({ isComplete: true, quarantine: [] });
    source.tell(
      listings(200, { input: 1.19, output: 2.3 }).map((found, index) =>
        index < 50 ? listing(found.model, { input: 3, output: 5 }) : found,
      ),
    );
    expect(await run()).toMatchObject({ isComplete: true, quarantine: [] });
  });
});

describe("an acceptance of a price", () => {
  it("outlives lists that do not tell the model, and hosts that were not asked for, as long as they are served", async () => {
    const script = new ScriptedSource([], "router", "ancillary");
    const tellHosts = (...ids: readonly string[]): void => {
      const hosts = [{ provider: "host-a", tag: "host-a", usdPerMillion: { input: 3000, output: 15 } }];
      script.answer = () => ({ endpoints: new Map(ids.map((id) => [id, hosts])), rejected: [] });
    };
    source.tell(withFirst({ input: 2000, output: 2 }));
    tellHosts("acme/model-1");
    await run({}, [source, script]);
    await acceptQuarantined(["script#acme/model-0#input", "router#acme/model-1#endpoint[host-a].input"], { store, clock });
    source.tell(listings(200).slice(1));
    tellHosts();
    await run({}, [source, script]);
    source.tell(withFirst({ input: 2000, output: 2 }));
    tellHosts("acme/model-1");
    expect((await run({}, [source, script])).quarantine).toEqual([]);
    source.tell(listings(200).slice(1));
    await run({ vanishedRuns: 0, vanishedMs: 0 }, [source, script]);
    expect((await store.state()).content.acceptances.map(({ key }) => key)).toEqual(["router#acme/model-1#endpoint[host-a].input"]);
  });

  it("ends when the price is no longer offered", async () => {
    await run();
    source.tell(withFirst({ input: 2000, output: 2 }));
    await run();
    await acceptQuarantined(["script#acme/model-0#input"], { store, clock });
    for (let runs = 0; runs < 3; runs += 1) expect((await run()).quarantine).toEqual([]);
    expect((await model("acme/model-0"))?.usdPerMillion.input).toBe(2000);
    source.tell(withFirst({ input: 900, output: 2 }));
    await run();
    expect((await store.state()).content.acceptances).toEqual([]);
    source.tell(withFirst({ input: 2000, output: 2 }));
    expect((await run()).quarantine).toMatchObject([{ reason: "above-bound", offered: 2000 }]);
  });
});

describe("prices of a router's hosts", () => {
  const hosts = (input: number, output: number, tag = "host-a/fp8"): ModelEndpoint[] => [
    { provider: "host-a", tag, usdPerMillion: { input, output } },
    { provider: "host-b", tag: "host-b", usdPerMillion: { input: 3, output: 15 } },
  ];
  const router = (): ScriptedSource => new ScriptedSource([], "router", "ancillary");
  const tell = (script: ScriptedSource, told: ReadonlyArray<readonly [string, readonly ModelEndpoint[]]>): void => {
    script.answer = () => ({ endpoints: new Map(told), rejected: [] });
  };

  it("are held like those of models, keep the former ones, and may be accepted by hand", async () => {
    const script = router();
    tell(script, [["acme/model-0", hosts(3, 15)]]);
    await run({}, [source, script]);
    tell(script, [["acme/model-0", hosts(900, 0)]]);
    const { quarantine } = await run({}, [source, script]);
    expect(quarantine.map(({ key, reason, kept, offered }) => [key, reason, kept, offered])).toEqual([
      ["router#acme/model-0#endpoint[host-a/fp8].input", "jump", 3, 900],
      ["router#acme/model-0#endpoint[host-a/fp8].output", "dropped-to-zero", 15, 0],
    ]);
    expect((await model("acme/model-0"))?.endpoints[0]?.usdPerMillion).toEqual({ input: 3, output: 15 });
    await acceptQuarantined(["router#acme/model-0#endpoint[host-a/fp8].input"], { store, clock });
    expect((await model("acme/model-0"))?.endpoints[0]?.usdPerMillion).toEqual({ input: 900, output: 15 });
    expect(await run({}, [source, script])).toMatchObject({ quarantine: [{ reason: "dropped-to-zero" }] });
    // The model was not told: what is held of its hosts stays held.
    tell(script, [["acme/model-1", hosts(1, 2)]]);
    expect((await run({}, [source, script])).quarantine).toMatchObject([{ reason: "dropped-to-zero" }]);
  });

  it("keep the former ones when they are absurd or gone", async () => {
    const script = router();
    tell(script, [["acme/model-0", hosts(3, 15)]]);
    await run({}, [source, script]);
    tell(script, [["acme/model-0", hosts(-3, 1e9)]]);
    expect((await run({}, [source, script])).quarantine.map(({ reason }) => reason)).toEqual(["negative", "above-bound"]);
    tell(script, [["acme/model-0", [{ provider: "host-a", tag: "host-a/fp8", usdPerMillion: {} }]]]);
    expect((await run({}, [source, script])).quarantine.map(({ reason }) => reason)).toEqual(["price-withdrawn", "price-withdrawn"]);
    expect((await model("acme/model-0"))?.endpoints[0]?.usdPerMillion).toEqual({ input: 3, output: 15 });
  });

  it("are one error of the router when they move together", async () => {
    const script = router();
    const all = (factor: number) => listings(60).map((found) => [`acme/${found.model}`, hosts(3 * factor, 15 * factor)] as const);
    tell(script, all(1));
    await run({}, [source, script]);
    tell(script, all(2));
    const report = await run({}, [source, script]);
    expect(report).toMatchObject({
      isComplete: true,
      quarantine: [{ key: "router#endpoints", reason: "mass-jump", kept: 120, offered: 120 }],
    });
    expect(report.sources[1]).toMatchObject({ outcome: "refused", reason: "mass-jump" });
    expect((await model("acme/model-0"))?.endpoints[0]?.usdPerMillion).toEqual({ input: 3, output: 15 });
    await acceptQuarantined(["router#endpoints"], { store, clock });
    expect(await run({}, [source, script])).toMatchObject({ quarantine: [] });
    expect((await model("acme/model-0"))?.endpoints[0]?.usdPerMillion).toEqual({ input: 6, output: 30 });
  });

  it("are told in the history: a price that moved, hosts that came and went, a price accepted by hand", async () => {
    const script = router();
    const changesOf = async (version: number): Promise<unknown[]> =>
      (await store.changes({ version })).map(({ kind, field, before, after }) => [kind, field, before, after]);
    tell(script, [["acme/model-0", hosts(3, 15)]]);
    await run({}, [source, script]);
    tell(script, [["acme/model-0", hosts(4, 15)]]);
    const moved = await run({}, [source, script]);
    expect(moved.changes).toMatchObject([{ id: "acme/model-0", field: "endpoint[host-a/fp8].input" }]);
    expect(await changesOf(2)).toEqual([["price", "endpoint[host-a/fp8].input", 3, 4]]);
    tell(script, [["acme/model-0", hosts(4, 15, "host-c")]]);
    await run({}, [source, script]);
    expect(await changesOf(3)).toEqual([["changed", "endpoints", '["host-a/fp8","host-b"]', '["host-b","host-c"]']]);
    tell(script, [["acme/model-0", hosts(40, 15, "host-c")]]);
    await run({}, [source, script]);
    const { version } = await acceptQuarantined(["router#acme/model-0#endpoint[host-c].input"], { store, clock });
    expect(await changesOf(version)).toEqual([["price", "endpoint[host-c].input", 4, 40]]);
  });

  it("make no new version when they come in another order, also of hosts that share a name", async () => {
    const script = router();
    const told = [...hosts(3, 15), { provider: "host-b", tag: "host-b", usdPerMillion: { input: 30, output: 150 } }];
    tell(script, [["acme/model-0", told]]);
    await run({}, [source, script]);
    tell(script, [["acme/model-0", told.toReversed()]]);
    expect(await run({}, [source, script])).toMatchObject({ outcome: "unchanged", quarantine: [] });
  });

  it("go with their model", async () => {
    const script = router();
    const policy = { vanishedRuns: 0, vanishedMs: 0 };
    tell(script, [
      ["acme/model-0", hosts(3, 15)],
      ["acme/model-1", hosts(3, 15)],
    ]);
    await run(policy, [source, script]);
    tell(script, [["acme/model-0", hosts(900, 15)]]);
    expect((await run(policy, [source, script])).quarantine).toHaveLength(1);
    tell(script, []);
    source.tell(listings(200).slice(1));
    await run(policy, [source, script]);
    const { layers, quarantine } = (await store.state()).content;
    expect(quarantine).toEqual([]);
    expect(layers[1]?.endpoints.map(([id]) => id)).toEqual(["acme/model-1"]);
  });
});

describe("a source with which a run is not configured", () => {
  const other = (): ScriptedSource =>
    new ScriptedSource(
      listings(120).map((found) => ({ ...found, provider: "other" })),
      "other",
    );

  it("keeps its models, marked, as long as a vanished group, and takes them back with the next run that asks it", async () => {
    const script = other();
    await run({}, [source, script]);
    expect(await run({}, [script])).toMatchObject({ models: 320 });
    expect([(await model("acme/model-0"))?.status, (await model("other/model-0"))?.status]).toEqual(["vanished", "live"]);
    expect((await run({}, [script])).outcome).toBe("unchanged");
    await run({}, [source, script]);
    expect((await model("acme/model-0"))?.status).toBe("live");
    await run({}, [script]);
    await elapse(7 * DAY_MS, {}, [script]);
    expect(await run({}, [script])).toMatchObject({ models: 120 });
    expect((await store.pulse()).sources.map((pulse) => pulse.source)).toEqual(["other"]);
  });

  it("keeps its hosts and what is held of it", async () => {
    const script = other();
    await run({}, [source, script]);
    source.tell(withFirst({ input: 9, output: 2 }));
    await run({}, [source, script]);
    expect((await run({}, [script])).quarantine).toMatchObject([{ key: "script#acme/model-0#input" }]);
  });
});

describe("a clock that was ahead", () => {
  it("does not turn away the lists of the time after it", async () => {
    clock.advance(30 * DAY_MS);
    await run();
    const behind = new ManualClock(1_000, clock.wallNow() - 30 * DAY_MS);
    source.tell(listings(201));
    expect(await syncOnce({ sources: [source], store, clock: behind })).toMatchObject({ outcome: "committed", models: 201 });
    source.fail(new SourceError("network", "away"));
    expect(await syncOnce({ sources: [source], store, clock: behind })).toMatchObject({ outcome: "failed" });
  });
});
