import {
  type BackendCall,
  Budget,
  CacheError,
  decodeBody,
  type InvalidationBus,
  type InvalidationChannel,
  type InvalidationTarget,
  type MaybePromise,
  systemClock,
} from "@larder/cache-core";
import { BusRecorder } from "./bus-recorder.ts";
import { resolveTestApi, type TestApi } from "./test-api.ts";
import { uniquePrefix } from "./unique-key.ts";

/** Two ends of one bus, made for one test. */
export interface BusPair {
  readonly a: InvalidationBus;
  /** Reaches `a`; may be the same object where one object serves all caches. */
  readonly b: InvalidationBus;
  /** Cuts `b` off from everyone. */
  cut?(): MaybePromise<void>;
  /** Ends the cut. */
  heal?(): MaybePromise<void>;
  /** Loses whatever the backend keeps, as a server that restarts empty. */
  forget?(): MaybePromise<void>;
  /** Releases everything; the buses are closed already. */
  dispose?(): MaybePromise<void>;
}

/** What a bus cannot show. Declared with a reason, so that nothing is skipped in silence. */
export interface MissingBusCapability {
  readonly capability: "cut" | "forget";
  /** Why: stands in the title of the skipped test. */
  readonly reason: string;
}

/** How the suite gets at an implementation. */
export interface DescribeBusOptions {
  /** Two ends of one new bus, as two processes would have them, that nothing else is told on. */
  readonly create: () => MaybePromise<BusPair>;
  /** What the bus cannot show in a test. @default nothing */
  readonly lacks?: readonly MissingBusCapability[];
  /** Time for one invalidation in milliseconds. @default 2000 */
  readonly callMs?: number;
  /** The test functions, where vitest's own are not wanted. @default vitest's */
  readonly testApi?: TestApi;
}

/** Keys that a careless wire format mixes up or mangles. */
const KEYS = ["a", "", "a:b c", "*", "__proto__", "constructor", "\u0000", "\ud800", "e\u0301", "é", '"]', "{tag}", "x".repeat(2_000)];
/** More than a socket read, and than one turn of the event loop may handle. */
const BURST = 3_000;

const key = (name: string): InvalidationTarget => ({ kind: "key", key: name });

interface World extends BusPair {
  readonly namespace: string;
  readonly heardByA: BusRecorder;
  readonly heardByB: BusRecorder;
  readonly channelA: InvalidationChannel;
  readonly channelB: InvalidationChannel;
}

/**
 * The conformance suite of the `InvalidationBus` contract: call it in a test file, once per implementation or combination. What it
 * holds a bus to is the order of a lane, and that a proof is never given for what was not told.
 */
export function describeBus(name: string, options: DescribeBusOptions): void {
  const { describe, it, expect } = resolveTestApi(options.testApi);
  const call = (): BackendCall => ({ budget: new Budget(options.callMs ?? 2_000, systemClock) });

  const withWorld = async (run: (world: World) => Promise<void>): Promise<void> => {
    const pair = await options.create();
    const namespace = uniquePrefix("bus");
    const [heardByA, heardByB] = [new BusRecorder(), new BusRecorder()];
    const channelA = pair.a.join(namespace, heardByA);
    const channelB = pair.b.join(namespace, heardByB);
    try {
      await Promise.all([channelA.ready(), channelB.ready()]);
      const { cut, heal, forget } = pair;
      await run({
        ...pair,
        ...(cut && { cut }),
        ...(heal && { heal }),
        ...(forget && { forget }),
        namespace,
        heardByA,
        heardByB,
        channelA,
        channelB,
      });
    } finally {
      await pair.a.close();
      await pair.b.close();
      await pair.dispose?.();
    }
  };
  const when = (capability: MissingBusCapability["capability"], title: string, run: (world: World) => Promise<void>): void => {
    const missing = options.lacks?.find((lack) => lack.capability === capability);
    if (missing) it.skip(`${title} (lacks ${capability}: ${missing.reason})`, () => {});
    else it(title, () => withWorld(run));
  };

  describe(`${name} keeps the contract of an invalidation bus`, () => {
    it("tells every kind of invalidation to the others, in order, and not to the one who sent it", () =>
      withWorld(async ({ channelA, heardByA, heardByB }) => {
        const targets: InvalidationTarget[] = [key("k"), { kind: "tag", tag: "t" }, { kind: "pattern", pattern: "p*" }, { kind: "all" }];
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
        await channel.invalidate(key("from the neighbour"), call());
        await heardByB.until("the neighbour's", () => heardByB.heard.length === 1);
        await channelB.invalidate(key("from b"), call());
        await neighbour.until("b's", () => neighbour.heard.length === 1);
        expect(neighbour.targets).toEqual([key("from b")]);
      }));

    it("tells nothing to caches of another name", () =>
      withWorld(async ({ b, namespace, channelA, heardByB }) => {
        const stranger = new BusRecorder();
        const channel = b.join(`${namespace}x`, stranger);
        await channel.ready();
        await channelA.invalidate(key("k"), call());
        await heardByB.until("the invalidation", () => heardByB.heard.length === 1);
        await stranger.proofOf(systemClock.now());
        expect(stranger.heard).toEqual([]);
      }));

    it("carries keys as they are, whatever they contain", () =>
      withWorld(async ({ channelA, heardByB }) => {
        for (const name of KEYS) await channelA.invalidate(key(name), call());
        await heardByB.until("all keys", () => heardByB.heard.length >= KEYS.length);
        expect(heardByB.targets).toEqual(KEYS.map(key));
      }));

    it("gives each invalidation its place: one epoch, and a seq that counts up by one", () =>
      withWorld(async ({ channelA, channelB, heardByA, heardByB }) => {
        const first = await channelA.invalidate(key("k"), call());
        const second = await channelB.invalidate(key("k"), call());
        expect(second).toEqual({ epoch: first.epoch, seq: first.seq + 1 });
        await heardByB.until("a's", () => heardByB.heard.length === 1);
        await heardByA.until("b's", () => heardByA.heard.length === 1);
        expect(heardByB.heard[0]).toMatchObject(first);
        expect(heardByA.heard[0]).toMatchObject(second);
        await heardByA.proofOf(systemClock.now());
        expect(channelA.version(0)).toMatchObject(second);
      }));

    it("gives proof that never claims more than has been told", () =>
      withWorld(async ({ channelA, channelB, heardByB }) => {
        for (let round = 1; round <= 5; round += 1) {
          await channelA.invalidate(key(`${round}`), call());
          await heardByB.proofOf(systemClock.now());
          expect(heardByB.heard).toHaveLength(round);
          expect(channelB.lastProofAt).toBe(heardByB.proofs.at(-1));
        }
      }));

    it("names the sender in the bodies that a second tier publishes, and its own bus in them", () =>
      withWorld(async ({ a, channelA, channelB, heardByB }) => {
        const body = decodeBody(channelA.encodeBody(key("k")));
        expect(body).toMatchObject({ target: key("k") });
        await channelA.invalidate(key("k"), call());
        await heardByB.until("the invalidation", () => heardByB.heard.length === 1);
        expect(heardByB.heard[0]?.origin).toBe(body?.origin);
        expect(body?.origin.startsWith(a.originId)).toBe(true);
        expect(decodeBody(channelB.encodeBody(key("k")))?.origin).not.toBe(body?.origin);
      }));

    it("loses nothing in a burst, or says that it did", () =>
      withWorld(async ({ channelA, heardByA, heardByB }) => {
        const resets = heardByB.resets.length;
        const burst = (): Promise<unknown[]> =>
          Promise.all(Array.from({ length: BURST }, (_, index) => channelA.invalidate(key(`${index}`), call()).catch(() => undefined)));
        let isDone = await burst();
        // On a busy machine none of so many may be done in time, which would prove nothing: once more, when the connection is well again.
        for (let again = 0; again < 4 && !isDone.some(Boolean); again += 1) {
          await heardByA.proofOf(systemClock.now());
          isDone = await burst();
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
        await channelA.invalidate(key("1"), call());
        await channelA.invalidate(key("2"), call());
        await heardByB.until("both", () => heardByB.heard.length === 2);
      }));

    it("tells nothing after leave, and refuses what is asked of a channel that was left", () =>
      withWorld(async ({ channelA, channelB, heardByA, heardByB }) => {
        channelB.leave();
        channelB.leave();
        await channelA.invalidate(key("k"), call());
        await heardByA.proofOf(systemClock.now());
        expect(heardByB.heard).toEqual([]);
        expect(channelB.lastProofAt).toBe(-Infinity);
        await expect(channelB.ready()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
        await expect(channelB.invalidate(key("k"), call())).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
      }));

    it("leaves every channel when it is closed, once or twice, and takes no new one", () =>
      withWorld(async ({ b, channelB, namespace }) => {
        await b.close();
        await b.close();
        await expect(channelB.ready()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
        expect(() => b.join(namespace, new BusRecorder())).toThrow(expect.objectContaining({ code: "ERR_CACHE_CLOSED" }));
      }));

    when("cut", "lets the proof age while cut off, and afterwards tells what was missed before it proves anything", async (world) => {
      const { channelA, channelB, heardByA, heardByB } = world;
      await channelA.invalidate(key("before"), call());
      await heardByB.until("the one before", () => heardByB.heard.length === 1);
      await world.cut?.();
      const cutAt = systemClock.now();
      await channelA.invalidate(key("missed"), call());
      const acknowledgedAt = systemClock.now();
      // A's own proof passes: time enough for B to have had one, were it not cut off.
      await heardByA.proofOf(acknowledgedAt);
      expect(channelB.lastProofAt).toBeLessThan(acknowledgedAt);
      expect(channelB.lastProofAt).toBeLessThanOrEqual(cutAt + 1);
      const resets = heardByB.resets.length;
      let knewInTime = true;
      await world.heal?.();
      await heardByB.until("a proof after the cut", () => {
        const isProven = (heardByB.proofs.at(-1) ?? -Infinity) > acknowledgedAt;
        const isTold = heardByB.targets.some((target) => target.kind === "key" && target.key === "missed");
        if (isProven && !isTold && heardByB.resets.length === resets) knewInTime = false;
        return isProven;
      });
      expect(knewInTime).toBe(true);
    });

    when("cut", "refuses an invalidation while cut off, within the caller's budget", async (world) => {
      await world.cut?.();
      const startedAt = systemClock.now();
      const refusal = await world.channelB.invalidate(key("k"), { budget: new Budget(50, systemClock) }).catch((error: unknown) => error);
      expect(CacheError.is(refusal) && refusal.retryable).toBe(true);
      expect(systemClock.now() - startedAt).toBeLessThan(1_000);
      await world.heal?.();
    });

    when("forget", "drops everything when the order was lost, and starts a new epoch", async (world) => {
      const { channelA, heardByA, heardByB } = world;
      const before = await channelA.invalidate(key("k"), call());
      const [resetsA, resetsB] = [heardByA.resets.length, heardByB.resets.length];
      await world.forget?.();
      await heardByA.until("a reset at a", () => heardByA.resets.length > resetsA);
      await heardByB.until("a reset at b", () => heardByB.resets.length > resetsB);
      await heardByA.proofOf(systemClock.now());
      const after = await channelA.invalidate(key("k"), call());
      expect(after.epoch).not.toBe(before.epoch);
      await heardByB.until("the new one", () => heardByB.heard.some(({ epoch }) => epoch === after.epoch));
    });
  });
}
