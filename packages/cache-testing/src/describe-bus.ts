import { decodeBody, type InvalidationTarget, systemClock } from "@larder/cache-core";
import { BusRecorder } from "./bus-recorder.ts";
import { BusSuite, keyTarget } from "./bus-suite.ts";
import { describeBusFaults } from "./describe-bus-faults.ts";
import type { DescribeBusOptions } from "./describe-bus-options.ts";

/** Names that a careless wire format mixes up or mangles. */
const NAMES = ["a", "", "a:b c", "*", "__proto__", "constructor", "\u0000", "\ud800", "e\u0301", "é", '"]', "{tag}", "x".repeat(2_000)];
/** More than a socket read, and than one turn of the event loop may handle. */
const BURST = 3_000;

/** Who is told what. */
function describeDelivery({ it, expect, withWorld, call }: BusSuite): void {
  it("tells every kind of invalidation to the others, in order, and not to the one who sent it", () =>
    withWorld(async ({ channelA, heardByA, heardByB }) => {
      const targets: InvalidationTarget[] = [
        keyTarget("k"),
        { kind: "tag", tag: "t" },
        { kind: "pattern", pattern: "p*" },
        { kind: "all" },
      ];
      for (const target of targets) await channelA.invalidate(target, call());
      await heardByB.until("four invalidations", () => heardByB.heard.length >= targets.length);
      expect(heardByB.targets).toEqual(targets);
      await heardByA.proofOf(systemClock.now());
      expect(heardByA.heard).toEqual([]);
    }));

  it("tells two caches that joined through one bus of each other", () =>
    withWorld(async ({ b, namespace, heardByB, channelB }) => {
      const neighbour = new BusRecorder();
      const channel = b.join(namespace, neighbour);
      await channel.ready();
      await channel.invalidate(keyTarget("from the neighbour"), call());
      await heardByB.until("the neighbour's", () => heardByB.heard.length === 1);
      await channelB.invalidate(keyTarget("from b"), call());
      await neighbour.until("b's", () => neighbour.heard.length === 1);
      expect(neighbour.targets).toEqual([keyTarget("from b")]);
    }));

  it("tells nothing to caches of another name", () =>
    withWorld(async ({ b, namespace, channelA, heardByB }) => {
      const stranger = new BusRecorder();
      const channel = b.join(`${namespace}x`, stranger);
      await channel.ready();
      await channelA.invalidate(keyTarget("k"), call());
      await heardByB.until("the invalidation", () => heardByB.heard.length === 1);
      await stranger.proofOf(systemClock.now());
      expect(stranger.heard).toEqual([]);
    }));

  it("carries keys, tags and patterns as they are, whatever they contain", () =>
    withWorld(async ({ channelA, heardByB }) => {
      const targets = NAMES.flatMap((name): InvalidationTarget[] =>
        name === "" ? [keyTarget(name)] : [keyTarget(name), { kind: "tag", tag: name }, { kind: "pattern", pattern: name }],
      );
      for (const target of targets) await channelA.invalidate(target, call());
      await heardByB.until("all of them", () => heardByB.heard.length >= targets.length);
      expect(heardByB.targets).toEqual(targets);
    }));
}

/** What a place in the order and a proof say. */
function describeOrderAndProof({ it, expect, withWorld, call }: BusSuite): void {
  it("gives each invalidation its place: one epoch, and a seq that counts up by one", () =>
    withWorld(async ({ channelA, channelB, heardByA, heardByB }) => {
      const first = await channelA.invalidate(keyTarget("k"), call());
      const second = await channelB.invalidate(keyTarget("k"), call());
      expect(second).toEqual({ epoch: first.epoch, seq: first.seq + 1 });
      await heardByB.until("a's", () => heardByB.heard.length === 1);
      await heardByA.until("b's", () => heardByA.heard.length === 1);
      expect(heardByB.heard[0]).toMatchObject(first);
      expect(heardByA.heard[0]).toMatchObject(second);
      await heardByA.proofOf(systemClock.now());
      expect(channelA.version(0)).toMatchObject(second);
    }));

  it("has a version that judges what was stored before an invalidation, here as there", () =>
    withWorld(async ({ channelA, channelB, heardByA, heardByB }) => {
      const targets: InvalidationTarget[] = [{ kind: "tag", tag: "t" }, { kind: "pattern", pattern: "k*" }, { kind: "all" }];
      for (const target of targets) {
        const { epoch, seq } = await channelA.invalidate({ kind: "tag", tag: "another" }, call());
        await channelA.invalidate(target, call());
        const now = systemClock.now();
        await Promise.all([heardByA.proofOf(now), heardByB.proofOf(now)]);
        for (const [name, channel] of [["a", channelA] as const, ["b", channelB] as const]) {
          const version = channel.version(0);
          // A second tier gives what is valid, and asks about what is unknown.
          const judged = [version?.judge({ epoch, seq }, "key", ["t"]), version && version.judge(version, "key", ["t"]) !== "invalid"];
          expect([name, target.kind, judged[0] === "valid", judged[1]]).toEqual([name, target.kind, false, true]);
        }
      }
    }));

  it("gives proof that never claims more than has been told", () =>
    withWorld(async ({ channelA, channelB, heardByB }) => {
      for (let round = 1; round <= 5; round += 1) {
        await channelA.invalidate(keyTarget(`${round}`), call());
        await heardByB.proofOf(systemClock.now());
        expect(heardByB.heard).toHaveLength(round);
        expect(channelB.lastProofAt).toBe(heardByB.proofs.at(-1));
      }
    }));

  it("names the sender in the bodies that a second tier publishes, and its own bus in them", () =>
    withWorld(async ({ a, channelA, channelB, heardByB }) => {
      const body = decodeBody(channelA.encodeBody(keyTarget("k")));
      expect(body).toMatchObject({ target: keyTarget("k") });
      await channelA.invalidate(keyTarget("k"), call());
      await heardByB.until("the invalidation", () => heardByB.heard.length === 1);
      expect(heardByB.heard[0]?.origin).toBe(body?.origin);
      expect(body?.origin.startsWith(a.originId)).toBe(true);
      expect(decodeBody(channelB.encodeBody(keyTarget("k")))?.origin).not.toBe(body?.origin);
    }));
}

/** Floods, and listeners with bugs. */
function describeBursts({ it, expect, withWorld, call }: BusSuite): void {
  it("loses nothing in a burst, or says that it did", () =>
    withWorld(async ({ channelA, heardByA, heardByB }) => {
      const resets = heardByB.resets.length;
      const burst = (size: number): Promise<unknown[]> =>
        Promise.all(Array.from({ length: size }, (_, index) => channelA.invalidate(keyTarget(`${index}`), call()).catch(() => undefined)));
      let isDone = await burst(BURST);
      // On a busy machine none of so many may be done in time, which would prove nothing: half as many, when the connection is well again.
      for (let size = BURST / 2; size > 1 && !isDone.some(Boolean); size /= 2) {
        await heardByA.proofOf(systemClock.now());
        isDone = await burst(Math.ceil(size));
      }
      await heardByB.proofOf(systemClock.now());
      const heard = new Set(heardByB.targets.map((target) => (target.kind === "key" ? target.key : "")));
      const lost = isDone.filter((version, index) => version && !heard.has(`${index}`));
      if (heardByB.resets.length === resets) expect(lost).toEqual([]);
      expect(isDone.some(Boolean)).toBe(true);
    }));

  it("goes on after a listener has thrown", () =>
    withWorld(async ({ b, namespace, channelA, heardByB }) => {
      const clumsy = b.join(namespace, {
        onInvalidation: () => {
          throw new Error("a bug in the listener");
        },
        onReset: () => {},
        onProof: () => {},
      });
      await clumsy.ready();
      await channelA.invalidate(keyTarget("1"), call());
      await channelA.invalidate(keyTarget("2"), call());
      await heardByB.until("both", () => heardByB.heard.length === 2);
    }));
}

/** Channels that are left, and buses that are closed. */
function describeLeaving({ it, expect, withWorld, call }: BusSuite): void {
  it("tells nothing after leave, and refuses what is asked of a channel that was left", () =>
    withWorld(async ({ channelA, channelB, heardByA, heardByB }) => {
      channelB.leave();
      channelB.leave();
      await channelA.invalidate(keyTarget("k"), call());
      await heardByA.proofOf(systemClock.now());
      expect(heardByB.heard).toEqual([]);
      expect(channelB.lastProofAt).toBe(-Infinity);
      await expect(channelB.ready()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
      await expect(channelB.invalidate(keyTarget("k"), call())).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    }));

  it("leaves every channel when it is closed, once or twice, and takes no new one", () =>
    withWorld(async ({ b, channelB, namespace, heardByB }) => {
      await b.close();
      await b.close();
      await expect(channelB.ready()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
      await expect(channelB.invalidate(keyTarget("k"), call())).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
      // One that ages need not be taken back.
      const isEndless = heardByB.proofs.at(-1) === Infinity;
      expect(heardByB.proofsLost).toBeGreaterThanOrEqual(isEndless ? 1 : 0);
      expect(() => b.join(namespace, new BusRecorder())).toThrow(expect.objectContaining({ code: "ERR_CACHE_CLOSED" }));
    }));
}

/**
 * The conformance suite of the `InvalidationBus` contract: call it in a test file, once per implementation or combination. What it
 * holds a bus to is the order of a lane, and that a proof is never given for what was not told.
 */
export function describeBus(name: string, options: DescribeBusOptions): void {
  const suite = new BusSuite(options);
  suite.describe(`${name} keeps the contract of an invalidation bus`, () => {
    describeDelivery(suite);
    describeOrderAndProof(suite);
    describeBursts(suite);
    describeLeaving(suite);
    describeBusFaults(suite);
  });
}
