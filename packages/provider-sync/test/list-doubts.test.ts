import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import {
  acceptQuarantined,
  defaultGuardPolicy,
  type GuardVerdict,
  guardLayer,
  type ModelListing,
  mergeModels,
  type ProviderRecord,
  rollBack,
} from "../src/index.ts";
import { type GuardRig, startGuardRig } from "./support/guard-rig.ts";
import { listing, listings } from "./support/listings.ts";

// A list that was refused as a whole is believed for what was looked at, and for nothing else (I11).

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let { clock, store, source, run, elapse } = {} as GuardRig;
beforeEach(async () => {
  ({ clock, store, source, run, elapse } = await startGuardRig(1000));
});

async function served(): Promise<{ readonly models: number; readonly vanished: number }> {
  const models = (await store.state()).content.layers.flatMap((layer) => layer.models);
  return { models: models.length, vanished: models.filter((model) => model.vanishedAt !== undefined).length };
}

/** Listings `from` up to and without `to`. */
const slice = (from: number, to: number): ModelListing[] => listings(to).slice(from);

describe("the time that makes a shorter list believable", () => {
  it("begins anew with a list that misses much more, so that an offer of a day does not speak for one never offered before", async () => {
    await run();
    source.tell(listings(790));
    await run();
    clock.advance(DAY_MS);
    source.tell(listings(100));
    const report = await run();
    expect(report).toMatchObject({ isComplete: false, quarantine: [{ reason: "dropped-too-many", offered: 100, since: clock.wallNow() }] });
    expect(await served()).toEqual({ models: 1000, vanished: 0 });
  });

  it("begins anew with a list of the same length that misses others", async () => {
    await run();
    source.tell(listings(700));
    await run();
    clock.advance(DAY_MS);
    source.tell(slice(300, 1000));
    expect(await run()).toMatchObject({ isComplete: false, quarantine: [{ since: clock.wallNow() }] });
    await elapse(DAY_MS);
    expect(await run()).toMatchObject({ isComplete: true });
  });

  it("goes on over the small changes that any list has, and cannot be led down in small steps", async () => {
    await run();
    source.tell(listings(790));
    const { quarantine } = await run();
    for (let hours = 0; hours < 24; hours += 6) {
      clock.advance(6 * HOUR_MS);
      source.tell([...listings(790 - hours), listing(`new-${hours}`)]);
      await run();
    }
    expect(await served()).toEqual({ models: 1001, vanished: 228 });
    expect((await run()).quarantine).toMatchObject([{ since: quarantine[0]?.since }]);

    const steps: number[] = [];
    for (let left = 700; left >= 100; left -= 100) {
      clock.advance(6 * HOUR_MS);
      source.tell(listings(left));
      if ((await run()).isComplete) steps.push(left);
    }
    // What is within the policy's share of the list that was believed passes; what is beyond waits for its own day.
    expect(steps).toEqual([700]);
  });

  it("marks what the list misses and serves it as long as other vanished models: a great loss is not forgotten sooner than a small one", async () => {
    const policy = { vanishedRuns: 0 };
    await run(policy);
    source.tell(listings(750));
    await run(policy);
    await elapse(DAY_MS, policy);
    expect(await run(policy)).toMatchObject({ isComplete: true });
    expect(await served()).toEqual({ models: 1000, vanished: 250 });
    await elapse(2 * DAY_MS, policy);
    expect(await run(policy)).toMatchObject({ isComplete: true, quarantine: [{ reason: "dropped-too-many" }] });
    expect(await served()).toEqual({ models: 1000, vanished: 250 });
    clock.advance(DAY_MS);
    expect(await run(policy)).toMatchObject({ isComplete: true, quarantine: [] });
    expect(await served()).toEqual({ models: 750, vanished: 0 });
  });

  it("shows a whole provider that left as one incident then, and holds it as long as a smaller one", async () => {
    const group = Array.from({ length: 250 }, (_, index) => listing(`g-${index}`, { input: 1 }, { provider: "lambda" }));
    source.tell([...listings(750), ...group]);
    await run({ vanishedRuns: 0 });
    source.tell(listings(750));
    await run({ vanishedRuns: 0 });
    await elapse(DAY_MS, { vanishedRuns: 0 });
    const report = await run({ vanishedRuns: 0 });
    expect(report.quarantine.map(({ key, kept, offered }) => [key, kept, offered])).toEqual([
      ["script#group:lambda", 250, 0],
      ["script#models", 1000, 750],
    ]);
    await elapse(7 * DAY_MS - 60_000, { vanishedRuns: 0 });
    expect(await served()).toEqual({ models: 1000, vanished: 250 });
    expect((await run({ vanishedRuns: 0 })).quarantine).toEqual([]);
    expect(await served()).toEqual({ models: 750, vanished: 0 });
  });

  it("passes over no more recent models than any list may miss, whatever is offered in whatever order", () => {
    const offer = fc.record({ from: fc.integer({ min: 0, max: 60 }), to: fc.integer({ min: 60, max: 200 }) });
    fc.assert(
      fc.property(fc.array(offer, { minLength: 1, maxLength: 40 }), (offers) => {
        let [layer, quarantine, doubted, missedRuns] = [undefined, [], new Map(), new Map()] as [
          GuardVerdict["layer"] | undefined,
          ...[GuardVerdict["quarantine"], GuardVerdict["doubted"], GuardVerdict["missedRuns"]],
        ];
        const offeredAt = new Map<string, number>();
        const policy = { ...defaultGuardPolicy, minModels: 1, vanishedRuns: 0, vanishedMs: 0 };
        for (const [index, { from, to }] of [{ from: 0, to: 200 }, ...offers].entries()) {
          const now = 1_700_000_000_000 + index * 5 * HOUR_MS;
          const models = slice(from, to);
          const reading = { models, rejected: [] };
          const before = layer?.models ?? [];
          const known = { believed: layer, quarantine, doubted, missedRuns, acceptances: [], otherPrices: () => [] };
          const verdict = guardLayer({ source: "s", reading, policy, now, ...known });
          for (const { model } of models) offeredAt.set(model, now);
          const recent = before.filter(({ listing: { model } }) => now - (offeredAt.get(model) ?? 0) < DAY_MS);
          const dropped = recent.filter(({ listing: { model } }) => offeredAt.get(model) !== now);
          if (!verdict.refused) expect(dropped.length).toBeLessThanOrEqual(Math.max(5, 0.2 * before.length));
          else expect(verdict.layer.models).toEqual(before);
          ({ layer, quarantine, doubted, missedRuns } = verdict);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("an acceptance by hand of a list", () => {
  it("is of that list: one that misses more is judged anew, and the accepted one is taken when it comes again", async () => {
    await run();
    source.tell(listings(790));
    await run();
    await acceptQuarantined(["script#models"], { store, clock });
    source.tell(listings(1));
    expect(await run()).toMatchObject({ outcome: "failed", sources: [{ reason: "too-few" }] });
    source.tell(listings(700));
    expect(await run()).toMatchObject({ outcome: "failed", sources: [{ reason: "dropped-too-many" }] });
    source.tell(slice(210, 1000));
    expect(await run()).toMatchObject({ outcome: "failed" });
    expect(await served()).toEqual({ models: 1000, vanished: 0 });
    source.tell(listings(790));
    expect(await run()).toMatchObject({ isComplete: true, models: 790, quarantine: [] });
    source.tell(listings(500));
    expect(await run()).toMatchObject({ outcome: "failed", models: 790 });
  });

  it("of a list below the floor holds for as long as just that list is offered", async () => {
    await run();
    source.tell(listings(20));
    await run();
    await acceptQuarantined(["script#models"], { store, clock });
    for (let runs = 0; runs < 3; runs += 1) expect(await run()).toMatchObject({ isComplete: true, models: 20, quarantine: [] });
    source.tell(listings(19));
    expect(await run()).toMatchObject({ outcome: "failed", models: 20, sources: [{ reason: "too-few" }] });
    source.tell(listings(150));
    expect(await run()).toMatchObject({ isComplete: true, models: 150 });
    expect((await store.state()).content.acceptances).toEqual([]);
  });

  it("is none of a negative price, which is no price", async () => {
    await run();
    source.tell([listing("model-0", { input: -3, output: 2 }), ...listings(1000).slice(1)]);
    await run();
    await expect(acceptQuarantined(["script#acme/model-0#input"], { store, clock })).rejects.toMatchObject({
      code: "ERR_CACHE_INVALID_REQUEST",
    });
  });

  it("of prices that moved together is of these prices", async () => {
    await run();
    source.tell(listings(1000, { input: 10, output: 20 }));
    await run();
    await acceptQuarantined(["script#models"], { store, clock });
    source.tell(listings(1000, { input: 400, output: 450 }));
    expect(await run()).toMatchObject({ outcome: "failed", sources: [{ reason: "mass-jump" }] });
    source.tell(listings(1000, { input: 10, output: 20 }));
    expect(await run()).toMatchObject({ isComplete: true, quarantine: [] });
    expect((await store.state()).content.layers[0]?.models[0]?.listing.usdPerMillion).toEqual({ input: 10, output: 20 });
  });

  it("of providers is of these providers, and an empty list is none", async () => {
    const providers = (count: number): ProviderRecord[] => Array.from({ length: count }, (_, index) => ({ id: `p-${index}`, name: "P" }));
    const tell = (count: number): void => {
      source.answer = () => ({ models: listings(1000), providers: providers(count), rejected: [] });
    };
    tell(40);
    await run();
    tell(9);
    await run();
    await acceptQuarantined(["script#providers"], { store, clock });
    tell(0);
    await run();
    expect((await store.state()).content.layers[0]?.providers).toHaveLength(40);
    tell(9);
    await run();
    await acceptQuarantined(["script#providers"], { store, clock });
    await run();
    expect((await store.state()).content.layers[0]?.providers).toHaveLength(9);
  });

  it("of a group that vanished is of as many models, and lets no more go", async () => {
    const group = (count: number): ModelListing[] =>
      Array.from({ length: count }, (_, index) => listing(`g-${index}`, { input: 1 }, { provider: "lambda" }));
    source.tell([...listings(200), ...group(20)]);
    await run();
    source.tell([...listings(200), ...group(4)]);
    await run();
    await acceptQuarantined(["script#group:lambda"], { store, clock });
    source.tell(listings(200));
    expect((await run()).quarantine).toMatchObject([{ key: "script#group:lambda", kept: 20, offered: 0 }]);
    expect(await served()).toEqual({ models: 220, vanished: 20 });
  });

  it("is gone after a rollback, and what was held waits its whole time again", async () => {
    await run();
    source.tell(listings(790));
    await run();
    const { version } = await acceptQuarantined(["script#models"], { store, clock });
    expect(await run()).toMatchObject({ isComplete: true, models: 790 });
    clock.advance(30 * DAY_MS);
    await rollBack(version, { store, clock });
    expect(await run()).toMatchObject({ outcome: "failed", models: 1000, quarantine: [{ reason: "dropped-too-many" }] });
    clock.advance(HOUR_MS);
    expect(await run()).toMatchObject({ outcome: "failed", models: 1000 });
  });
});

describe("the growth of a list", () => {
  it("is refused when it more than doubles, until it was offered for a day", async () => {
    await run();
    source.tell(listings(2500));
    expect(await run()).toMatchObject({
      outcome: "failed",
      models: 1000,
      quarantine: [{ reason: "grew-too-much", kept: 1000, offered: 2500 }],
    });
    clock.advance(DAY_MS);
    source.tell(listings(4000));
    expect(await run()).toMatchObject({ outcome: "failed", models: 1000 });
    await elapse(DAY_MS);
    expect(await run()).toMatchObject({ isComplete: true, models: 4000, quarantine: [] });
  });

  it("is no matter for a short list, nor below twice the length", async () => {
    source.tell(listings(100));
    await run();
    source.tell(listings(400));
    expect(await run()).toMatchObject({ isComplete: true, models: 400 });
    source.tell(listings(800));
    expect(await run()).toMatchObject({ isComplete: true, models: 800 });
  });

  it("ends at the policy's ceiling, for the first list too, and not even by hand above it", async () => {
    source.tell(listings(1001));
    expect(await run({ maxModels: 1000 })).toMatchObject({ outcome: "failed", models: 0, sources: [{ reason: "too-many" }] });
    source.tell(listings(1000));
    expect(await run({ maxModels: 1000 })).toMatchObject({ isComplete: true, models: 1000 });
    source.tell(listings(1001));
    await run({ maxModels: 1000 });
    await expect(acceptQuarantined(["script#models"], { store, clock })).rejects.toMatchObject({ code: "ERR_CACHE_INVALID_REQUEST" });
  });
});

describe("a list most of whose items do not validate", () => {
  const unreadable = (count: number): { id: string; problem: string }[] =>
    Array.from({ length: count }, (_, index) => ({ id: `bad-${index}`, problem: "invalid" }));

  it("is refused however long it is, and the report tells the first two hundred of them", async () => {
    source.answer = () => ({ models: listings(300), rejected: unreadable(5000) });
    const report = await run();
    expect(report).toMatchObject({ outcome: "failed", models: 0, sources: [{ reason: "mostly-invalid" }] });
    expect(report.sources[0]?.rejected).toHaveLength(201);
    expect(report.sources[0]?.rejected.at(-1)).toEqual({ id: "…", problem: "4800 more" });
  });

  it("does not make served models vanish that are listed and cannot be read, hundreds of them", async () => {
    source.tell(listings(1500));
    await run();
    source.answer = () => ({ models: slice(450, 1500), rejected: listings(450).map(({ model }) => ({ id: model, problem: "invalid" })) });
    expect(await run()).toMatchObject({ isComplete: true, models: 1500, sources: [{ vanished: 0 }] });
  });

  it("serves of two items with one id the one that it knows, in whatever order they come", async () => {
    const { source, store, run } = await startGuardRig(200);
    const twin = listing("MODEL-0", { input: 2, output: 2 });
    const served = async (): Promise<unknown> => {
      const report = await run();
      const [model] = mergeModels((await store.state()).content);
      return [report.sources[0]?.duplicates, model?.model, model?.usdPerMillion.input];
    };
    source.tell([...listings(200), twin]);
    expect(await served()).toEqual([["acme/model-0"], "model-0", 1]);
    source.tell([twin, ...listings(200)]);
    expect(await served()).toEqual([["acme/model-0"], "model-0", 1]);
    source.tell([twin, ...listings(200).slice(1)]);
    expect(await served()).toEqual([[], "MODEL-0", 2]);
    source.tell([...listings(200), twin]);
    expect(await served()).toEqual([["acme/model-0"], "MODEL-0", 2]);
  });

  it("tells no more than two hundred of the ids that it lists twice", async () => {
    source.tell([...listings(1000), ...listings(1000)]);
    const [report] = (await run()).sources;
    expect(report?.duplicates).toHaveLength(201);
    expect(report?.duplicates.at(-1)).toBe("… 800 more");
  });
});
