import { ManualClock } from "@larder/cache-testing";
import { beforeEach, describe, expect, it } from "vitest";
import { type ModelListing, type RunReport, SourceError, syncOnce } from "../src/index.ts";
import { type GuardRig, startGuardRig } from "./support/guard-rig.ts";
import { listing, listings, ScriptedSource } from "./support/listings.ts";

/** The guards wait for days, by wall clocks that jump: a machine that boots in 1970, one of a fleet that is set to next month. */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let { clock, store, source, run } = {} as GuardRig;
beforeEach(async () => {
  ({ clock, store, source, run } = await startGuardRig(200));
});

/** A run on a machine whose clock is `offsetMs` away from the others'. */
function runAt(offsetMs: number, sources: readonly ScriptedSource[] = [source]): Promise<RunReport> {
  return syncOnce({ sources, store, clock: new ManualClock(1_000, clock.wallNow() + offsetMs) });
}

const without = (model: string): ModelListing[] => listings(200).filter((found) => found.model !== model);
const withFirst = (input: number): ModelListing[] => [listing("model-0", { input, output: 2 }), ...listings(200).slice(1)];
const served = async (): Promise<number> => (await store.state()).content.layers.flatMap(({ models }) => models).length;
const vanished = async (): Promise<number> =>
  (await store.state()).content.layers.flatMap(({ models }) => models).filter(({ vanishedAt }) => vanishedAt !== undefined).length;
const inputPrice = async (): Promise<number | undefined> =>
  (await store.state()).content.layers[0]?.models.find(({ listing: { model } }) => model === "model-0")?.listing.usdPerMillion.input;

/** What the guards hold back by time, and whether it still is. */
const waits: ReadonlyArray<readonly [string, () => readonly ModelListing[], () => Promise<boolean>]> = [
  ["a price that jumped", () => withFirst(9), async () => (await inputPrice()) === 1],
  ["a shorter list", () => listings(120), async () => (await served()) === 200 && (await vanished()) === 0],
  ["a model that vanished", () => without("model-7"), async () => (await served()) === 200],
];

describe.each(waits)("%s", (_name, offer, isHeld) => {
  beforeEach(async () => {
    await run({});
    source.tell(offer());
    for (let runs = 0; runs < 15; runs += 1) await run();
    expect(await isHeld()).toBe(true);
  });

  it("is not believed for one run under a clock that is far ahead, nor for the runs after it", async () => {
    await runAt(400 * DAY_MS);
    expect(await isHeld()).toBe(true);
    for (let runs = 0; runs < 5; runs += 1) await run();
    expect(await isHeld()).toBe(true);
  });

  it("is not believed because a clock was in 1970 meanwhile", async () => {
    for (let runs = 0; runs < 3; runs += 1) await runAt(runs - clock.wallNow());
    for (let runs = 0; runs < 5; runs += 1) await run();
    expect(await isHeld()).toBe(true);
  });

  it("is not believed by a fleet in which one machine in two is a month ahead", async () => {
    for (let runs = 0; runs < 30; runs += 1) await (runs % 2 === 0 ? runAt(30 * DAY_MS) : run());
    expect(await isHeld()).toBe(true);
  });

  it("is believed after its time although the clock was set back by a year, and by a few seconds now and then", async () => {
    const behind = new ManualClock(1_000, clock.wallNow() - 365 * DAY_MS);
    for (let runs = 0; runs < 24 * 8; runs += 1) {
      behind.advance(HOUR_MS);
      if (runs % 5 === 0) behind.jumpWall(-3_000);
      await syncOnce({ sources: [source], store, clock: behind });
    }
    expect(await isHeld()).toBe(false);
  });
});

describe("a time that was counted", () => {
  it("is not longer by a pause in which nobody looked than by half of it", async () => {
    await run();
    source.tell(withFirst(9));
    await run();
    clock.advance(300 * DAY_MS);
    await run();
    expect(await inputPrice()).toBe(1);
    clock.advance(4 * DAY_MS);
    await run();
    expect(await inputPrice()).toBe(9);
  });

  it("makes no version of a usual step", async () => {
    await run();
    source.tell(withFirst(9));
    await run();
    clock.advance(HOUR_MS);
    expect((await run()).outcome).toBe("unchanged");
  });

  it("is counted once, when runs fail in between of which nothing is kept", async () => {
    const helper = new ScriptedSource([], "helper", "ancillary");
    const both = [source, helper];
    await run({}, both);
    source.tell(withFirst(9));
    helper.answer = () => ({ endpoints: new Map(), rejected: [] });
    await run({}, both);
    source.fail(new SourceError("network", "away"));
    for (let days = 0; days < 30; days += 1) {
      clock.advance(DAY_MS);
      expect((await run({}, both)).outcome).toBe("failed");
    }
    source.tell(withFirst(9));
    await run({}, both);
    expect(await inputPrice()).toBe(1);
  });

  it("does not forget a source that is configured no longer for one run under a clock that is far ahead", async () => {
    const other = new ScriptedSource(
      listings(120).map((found) => ({ ...found, provider: "other" })),
      "other",
    );
    await run({}, [source, other]);
    await run({}, [source]);
    await runAt(400 * DAY_MS);
    await run({}, [source]);
    expect(await served()).toBe(320);
  });
});
