import { describe, expect, it } from "vitest";
import { CoherenceOracle } from "./coherence-oracle.ts";

const MAX_STALENESS_MS = 600;
const TTL_MS = 100;

/** `k0` lies in lane 0, `k1` in lane 1. */
const createOracle = (ttlMs: number = Infinity): CoherenceOracle =>
  new CoherenceOracle({ maxStalenessMs: MAX_STALENESS_MS, ttlMs, laneOf: (key) => key.slice(1) });

/** What an old value of a key is found to be, read at an instant by a process that has heard of one lane's message alone. */
function readAfterMessage(key: string, lane: string | undefined): readonly string[] {
  const oracle = createOracle();
  const message = { channel: `larder:{any.${lane ?? 0}}:bus`, text: "1 epoch 1 body" };
  const old = oracle.read(key, 0);
  const versions = oracle.commit(["k0", "k1"]);
  oracle.onCall("0 all ", versions);
  oracle.onPublish("0 all ", lane, message, 10);
  oracle.onDelivered(1, message.channel, message.text);
  oracle.finishRead(oracle.startRead(1, key, 20), old, 20, "get");
  return oracle.violations;
}

describe("the message of an invalidation of all", () => {
  it("stands for the keys of its lane, and not for those of another one", () => {
    expect(readAfterMessage("k0", "0")).toHaveLength(1);
    expect(readAfterMessage("k1", "0")).toEqual([]);
  });

  it("stands for every key in a design that has no lanes", () => {
    expect(readAfterMessage("k1", undefined)).toHaveLength(1);
  });
});

describe("a message of a bus apart from the second tier", () => {
  /** What an old value is found to be that a process gives which has heard. @param isAway whether the tier is when it does; it always is before */
  function readOld(isAway: boolean, isAbsent = false): readonly string[] {
    let isAwayNow = true;
    const store = { isAbsent, isAway: () => isAwayNow };
    const oracle = new CoherenceOracle({ maxStalenessMs: MAX_STALENESS_MS, ttlMs: Infinity, laneOf: () => "0", store });
    const message = { channel: "larder:{any.0}:bus", text: "1 epoch 1 body" };
    const old = oracle.read("k0", 0);
    oracle.onCall("0 key k0", oracle.commit(["k0"]));
    oracle.onPublish("0 key k0", undefined, message, 10);
    oracle.onDelivered(1, message.channel, message.text);
    isAwayNow = isAway;
    oracle.finishRead(oracle.startRead(1, "k0", 20), old, 20, "get");
    return oracle.violations;
  }

  it("counts while the tier is away, and not when the old value can be read there again", () => {
    expect(readOld(true)).toHaveLength(1);
    expect(readOld(false)).toEqual([]);
  });

  it("counts for good where there is no tier", () => {
    expect(readOld(false, true)).toHaveLength(1);
  });
});

describe("a value that a long load's caller gets", () => {
  /** Invalidated at 10; asked for at 5, given at `now`. @param madeAt when a loader made it */
  function serve(madeAt: number, now: number, ttlMs: number = Infinity): readonly string[] {
    const oracle = createOracle(ttlMs);
    const old = oracle.read("k0", madeAt);
    const ticket = oracle.startRead(1, "k0", 5);
    const versions = oracle.commit(["k0"]);
    oracle.onCall("0 key k0", versions);
    oracle.onPublish("0 key k0", "0", { channel: "larder:{any.0}:bus", text: "1 epoch 1 body" }, 10);
    oracle.finishRead(ticket, old, now, "getOrSet", 2_000);
    return oracle.violations;
  }

  it("may be what its load read from the database before the invalidation, however long that took", () => {
    expect(serve(900, 900)).toEqual([]);
  });

  it("is not an old one that was invalidated longer ago than the staleness bound when it is given", () => {
    expect(serve(0, 600)).toEqual([]);
    expect(serve(0, 900)[0]).toMatch(/^stale .* by then/);
  });

  it("is not past its time to live and the stale window that was asked for", () => {
    expect(serve(0, 500, TTL_MS)).toEqual([]);
    expect(serve(0, 2_300, TTL_MS)[0]).toMatch(/^I16 /);
  });
});
