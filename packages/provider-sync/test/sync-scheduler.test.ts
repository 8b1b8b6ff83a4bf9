import { ManualClock, SeededRandom, settle } from "@larder/cache-testing";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import {
  createSyncScheduler,
  type Mirror,
  type RunnerLock,
  type RunReport,
  type SnapshotStore,
  SourceError,
  type StaleAlert,
  type SyncEvent,
  type SyncScheduler,
  type SyncSchedulerOptions,
  syncOnce,
} from "../src/index.ts";
import { createSqliteStore } from "../src/sqlite.ts";
import { listings, ScriptedSource } from "./support/listings.ts";
import { poll } from "./support/poll.ts";

const MINUTE_MS = 60_000;

let clock: ManualClock;
let store: SnapshotStore;
let source: ScriptedSource;
let events: SyncEvent[];
beforeEach(async () => {
  clock = new ManualClock();
  store = await createSqliteStore({ path: ":memory:", clock });
  source = new ScriptedSource(listings(100));
  events = [];
  onTestFinished(() => store.close());
});

function open(options: Partial<SyncSchedulerOptions> = {}): SyncScheduler {
  const own = { sources: [source], store, clock, random: new SeededRandom(1), onEvent: (event: SyncEvent) => events.push(event) };
  const scheduler = createSyncScheduler({ ...own, ...options });
  onTestFinished(() => scheduler.close());
  return scheduler;
}

/** Waits for the run under way: its compression works in threads, which no manual clock drives. */
async function untilIdle(scheduler: SyncScheduler): Promise<void> {
  await poll(() => scheduler.status().isRunning).toBe(false);
  await poll(() => scheduler.status().nextRunAt !== undefined).toBe(true);
  await settle();
}

const never = (): Promise<never> => new Promise(() => {});
const count = (type: SyncEvent["type"]): number => events.filter((event) => event.type === type).length;

describe("SyncScheduler", () => {
  it("runs at once, and then at the interval within the jitter", async () => {
    const scheduler = open({ intervalMs: 10 * MINUTE_MS, jitter: 0.1 });
    scheduler.start();
    scheduler.start();
    await untilIdle(scheduler);
    const waits: number[] = [];
    for (let runs = 1; runs < 5; runs += 1) {
      expect(source.reads).toBe(runs);
      const waitMs = (scheduler.status().nextRunAt ?? 0) - clock.wallNow();
      waits.push(waitMs);
      clock.advance(waitMs - 1);
      await settle();
      expect(source.reads).toBe(runs);
      clock.advance(2);
      await poll(() => source.reads).toBe(runs + 1);
      await untilIdle(scheduler);
    }
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(9 * MINUTE_MS);
    expect(Math.max(...waits)).toBeLessThanOrEqual(11 * MINUTE_MS);
    expect(new Set(waits).size).toBeGreaterThan(1);
  });

  it("tells what a run does, in order", async () => {
    const scheduler = open();
    const report = await scheduler.runNow();
    expect(report).toMatchObject({ outcome: "committed" });
    expect(events.map((event) => event.type)).toEqual([
      "run-started",
      "source-read",
      "source-finished",
      "snapshot-committed",
      "run-finished",
    ]);
    expect(scheduler.status()).toMatchObject({ isRunning: false, lastReport: { outcome: "committed" } });
    expect((await store.runs())[0]).toMatchObject({ outcome: "committed" });
  });

  it("gives those who ask while it runs the same run", async () => {
    const scheduler = open();
    const [first, second] = await Promise.all([scheduler.runNow(), scheduler.runNow()]);
    expect(first).toBe(second);
    expect(source.reads).toBe(1);
  });

  it("runs for who asks while the planned run finds that the fleet has run lately", async () => {
    await syncOnce({ sources: [source], store, clock });
    const scheduler = open();
    scheduler.start();
    expect(await scheduler.runNow()).toMatchObject({ outcome: "unchanged" });
    expect(source.reads).toBe(2);
    expect(count("run-skipped")).toBe(1);
  });

  it("lets one process of a fleet run at a time, and the others skip their turn when one has run lately", async () => {
    let release = (): void => {};
    source.answer = () => new Promise((resolve) => (release = () => resolve({ models: listings(100), rejected: [] })));
    const [one, two] = [open(), open()];
    one.start();
    await poll(() => source.reads).toBe(1);
    expect(await two.runNow()).toBe("held");
    release();
    await untilIdle(one);
    two.start();
    await untilIdle(two);
    expect(source.reads).toBe(1);
    expect(events.filter((event) => event.type === "run-skipped")).toMatchObject([{ reason: "held" }, { reason: "recent" }]);
    const byHand = two.runNow();
    await poll(() => source.reads).toBe(2);
    release();
    expect(await byHand).toMatchObject({ outcome: "unchanged" });
  });

  it("runs a minute later where the lock was held: the holder may have been killed, and the plan's next turn is far", async () => {
    let isHeld = true;
    const lock: RunnerLock = { withLock: async (_name, work) => (isHeld ? "held" : work(new AbortController().signal)) };
    const scheduler = open({ lock, jitter: 0 });
    scheduler.start();
    await untilIdle(scheduler);
    expect(events.filter(({ type }) => type === "run-skipped")).toMatchObject([{ reason: "held" }]);
    isHeld = false;
    clock.advance(MINUTE_MS);
    await poll(() => source.reads).toBe(1);
    await untilIdle(scheduler);
    await poll(() => (scheduler.status().nextRunAt ?? 0) - clock.wallNow()).toBe(10 * MINUTE_MS);
  });

  it("runs a minute later while there is no catalog at all: a network that was not up yet would cost a day of it", async () => {
    source.answer = () => Promise.reject(new SourceError("network", "cannot reach it"));
    const [one, two] = [open({ intervalMs: 1440 * MINUTE_MS, jitter: 0 }), open({ intervalMs: 1440 * MINUTE_MS, jitter: 0 })];
    // Of two that run at one time one finds the lock held, and looks again after a minute.
    const longestWaitMs = (): number => Math.max(...[one, two].map((each) => (each.status().nextRunAt ?? 0) - clock.wallNow()));
    one.start();
    await untilIdle(one);
    expect([source.reads, (one.status().nextRunAt ?? 0) - clock.wallNow()]).toEqual([1, MINUTE_MS]);
    // One of a fleet at a time, here as elsewhere.
    two.start();
    await untilIdle(two);
    expect([source.reads, (two.status().nextRunAt ?? 0) - clock.wallNow()]).toEqual([1, MINUTE_MS]);
    clock.advance(MINUTE_MS);
    await poll(() => source.reads).toBe(2);
    await poll(longestWaitMs).toBe(2 * MINUTE_MS);
    source.answer = async () => ({ models: listings(100), rejected: [] });
    clock.advance(2 * MINUTE_MS);
    await poll(() => store.head().then((head) => head?.version)).toBe(1);
    await untilIdle(one);
    await untilIdle(two);
    expect(source.reads).toBe(3);
    await poll(longestWaitMs).toBe(1440 * MINUTE_MS);
    // With a catalog, one that fails waits for its turn.
    source.answer = () => Promise.reject(new SourceError("network", "cannot reach it"));
    clock.advance(1440 * MINUTE_MS);
    await poll(() => source.reads).toBe(4);
    await untilIdle(one);
    await poll(longestWaitMs).toBe(1440 * MINUTE_MS);
  });

  it("does not take a run of other sources for its own: after one by hand of a single list it would not have run before its next turn", async () => {
    const other = new ScriptedSource(listings(100), "other");
    await syncOnce({ sources: [other], store, clock });
    clock.advance(MINUTE_MS);
    const scheduler = open({ sources: [source, other] });
    scheduler.start();
    await untilIdle(scheduler);
    expect(source.reads).toBe(1);
    // One of more than its own sources is as good.
    const part = open({ sources: [source] });
    part.start();
    await untilIdle(part);
    expect(source.reads).toBe(1);
  });

  it("runs though nobody knows who holds the lock: the commit keeps two runs apart", async () => {
    const lock: RunnerLock = { withLock: () => Promise.reject(new Error("away")) };
    expect(await open({ lock }).runNow()).toMatchObject({ outcome: "committed" });
  });

  it("cancels the run under way without changing anything, and goes on with its plan", async () => {
    source.answer = (context) =>
      new Promise((_resolve, reject) => context.signal.addEventListener("abort", () => reject(new Error("aborted"))));
    const scheduler = open();
    scheduler.start();
    await poll(() => source.reads).toBe(1);
    scheduler.cancel();
    await untilIdle(scheduler);
    expect(scheduler.status().lastReport).toMatchObject({ outcome: "cancelled" });
    expect(await store.head()).toBeUndefined();
    source.tell(listings(100));
    clock.advance(20 * MINUTE_MS);
    await poll(() => source.reads).toBe(2);
    await untilIdle(scheduler);
    expect(scheduler.status().lastReport).toMatchObject({ outcome: "committed" });
  });

  it("calls it stale once though several processes find it so while the first one still sends the alert", async () => {
    source.fail(new SourceError("network", "away"));
    let sent = 0;
    let deliver = (): void => {};
    const postStaleAlert = (): Promise<boolean> => {
      sent += 1;
      return new Promise((resolve) => {
        deliver = () => resolve(true);
      });
    };
    const fleet = [open({ postStaleAlert }), open({ postStaleAlert }), open({ postStaleAlert })];
    for (const scheduler of fleet) scheduler.start();
    const planned = (): number => fleet.filter((scheduler) => scheduler.status().nextRunAt !== undefined).length;
    await poll(planned).toBe(2);
    deliver();
    await poll(planned).toBe(3);
    expect([sent, count("catalog-stale")]).toEqual([1, 1]);
  });

  it("calls the catalog stale once an episode, and again after it was complete in between", async () => {
    const scheduler = open({ intervalMs: 10 * MINUTE_MS, jitter: 0, staleAfterMs: 60 * MINUTE_MS });
    const turn = async (): Promise<void> => {
      const { reads } = source;
      clock.advance(10 * MINUTE_MS);
      await poll(() => source.reads).toBe(reads + 1);
      await untilIdle(scheduler);
    };
    scheduler.start();
    await untilIdle(scheduler);
    source.fail(new SourceError("network", "away"));
    for (let turns = 0; turns < 5; turns += 1) await turn();
    expect(count("catalog-stale")).toBe(0);
    for (let turns = 0; turns < 4; turns += 1) await turn();
    expect(count("catalog-stale")).toBe(1);
    source.tell(listings(100));
    await turn();
    source.fail(new SourceError("network", "away"));
    for (let turns = 0; turns < 7; turns += 1) await turn();
    expect(count("catalog-stale")).toBe(2);
  });

  it("tells of each source when it has been read, and of what the guards made of it once, whatever conflicts the commit met", async () => {
    let release = (): void => {};
    const slow = new ScriptedSource(listings(100), "slow");
    slow.answer = () => new Promise((resolve) => (release = () => resolve({ models: listings(100), rejected: [] })));
    let conflicts = 0;
    const contended = Object.create(store, {
      commit: {
        value: (input: Parameters<SnapshotStore["commit"]>[0]) => {
          conflicts += 1;
          return conflicts <= 2 ? Promise.resolve({ outcome: "conflict" }) : store.commit(input);
        },
      },
      state: { value: () => store.state() },
      recordRun: { value: (report: RunReport) => store.recordRun(report) },
      lastBody: { value: () => Promise.resolve(undefined) },
      withLock: { value: (_name: string, work: () => Promise<unknown>) => work() },
    }) as SnapshotStore;
    const run = open({ sources: [source, slow], store: contended }).runNow();
    await poll(() => count("source-read")).toBe(1);
    expect(events.at(-1)).toMatchObject({ type: "source-read", source: "script", outcome: "read" });
    release();
    expect(await run).toMatchObject({ outcome: "committed" });
    expect(conflicts).toBe(3);
    expect([count("source-read"), count("source-finished")]).toEqual([2, 2]);
  });

  it("runs again, and tells the stale catalog, after one run under a clock that was a month ahead", async () => {
    const monthMs = 30 * 24 * 60 * MINUTE_MS;
    clock.jumpWall(monthMs);
    await open().runNow();
    clock.jumpWall(-monthMs);
    source.fail(new SourceError("network", "away"));
    const random = new SeededRandom(2);
    const scheduler = open({ random, intervalMs: 10 * MINUTE_MS, jitter: 0, staleAfterMs: 60 * MINUTE_MS });
    scheduler.start();
    await untilIdle(scheduler);
    expect(source.reads).toBe(2);
    expect(events.filter((event) => event.type === "catalog-stale")).toMatchObject([{ ageMs: Number.POSITIVE_INFINITY }]);
    expect(await store.runs()).toMatchObject([{ outcome: "failed" }, { outcome: "committed" }]);
    clock.advance(10 * MINUTE_MS);
    await poll(() => source.reads).toBe(3);
    await untilIdle(scheduler);
    expect(count("catalog-stale")).toBe(1);
  });

  describe("when the store is away", () => {
    /** The store, as a process sees it that cannot reach it: failing at once, or never answering. */
    function away(how: "fails" | "hangs"): { store: SnapshotStore; isAway: boolean } {
      const self = { isAway: false } as { store: SnapshotStore; isAway: boolean };
      self.store = new Proxy(store, {
        get:
          (target, name) =>
          (...values: unknown[]) => {
            if (self.isAway && how === "hangs") return new Promise(() => {});
            if (self.isAway) return Promise.reject(new Error("away"));
            return (target[name as keyof SnapshotStore] as unknown as (...given: unknown[]) => unknown).apply(target, values);
          },
      });
      return self;
    }
    const staleness = (): unknown[] => events.filter((event) => event.type === "catalog-stale");

    it("tells that the catalog is stale from what the process knows, once, and not again when the store is back", async () => {
      const seen = away("fails");
      const alerts: StaleAlert[] = [];
      const post = async (alert: StaleAlert): Promise<boolean> => alerts.push(alert) > 0;
      const scheduler = open({
        store: seen.store,
        intervalMs: 10 * MINUTE_MS,
        jitter: 0,
        staleAfterMs: 60 * MINUTE_MS,
        postStaleAlert: post,
      });
      const turn = async (): Promise<void> => {
        const { nextRunAt } = scheduler.status();
        clock.advance(10 * MINUTE_MS);
        await poll(() => scheduler.status().nextRunAt !== nextRunAt && !scheduler.status().isRunning).toBe(true);
        await settle();
      };
      scheduler.start();
      await untilIdle(scheduler);
      const completedAt = (await store.pulse()).completedAt;
      seen.isAway = true;
      for (let turns = 0; turns < 5; turns += 1) await turn();
      expect(staleness()).toEqual([]);
      for (let turns = 0; turns < 10; turns += 1) await turn();
      expect(staleness()).toMatchObject([{ completedAt, isStoreAway: true }]);
      expect(alerts).toMatchObject([{ message: expect.stringContaining("does not answer") }]);
      seen.isAway = false;
      source.fail(new SourceError("network", "away"));
      await turn();
      expect(staleness()).toHaveLength(1);
      source.tell(listings(100));
      await turn();
      source.fail(new SourceError("network", "away"));
      for (let turns = 0; turns < 7; turns += 1) await turn();
      expect(staleness()).toMatchObject([{ isStoreAway: true }, { isStoreAway: false }]);
    });

    it("does not call stale what it could never ask for, before it has waited for that long itself", async () => {
      const seen = away("fails");
      seen.isAway = true;
      const scheduler = open({ store: seen.store, intervalMs: 10 * MINUTE_MS, jitter: 0, staleAfterMs: 15 * MINUTE_MS });
      scheduler.start();
      await untilIdle(scheduler);
      expect(staleness()).toEqual([]);
      for (let turns = 0; turns < 2; turns += 1) {
        const { nextRunAt } = scheduler.status();
        clock.advance(10 * MINUTE_MS);
        await poll(() => scheduler.status().nextRunAt).not.toBe(nextRunAt);
      }
      expect(staleness()).toMatchObject([{ completedAt: undefined, isStoreAway: true }]);
    });

    it("tells it also when the store hangs, gives the run up, runs again when it answers, and closes in between", async () => {
      const seen = away("hangs");
      const options = { store: seen.store, intervalMs: 10 * MINUTE_MS, jitter: 0, staleAfterMs: 5 * MINUTE_MS, runTimeoutMs: MINUTE_MS };
      const scheduler = open(options);
      scheduler.start();
      await untilIdle(scheduler);
      seen.isAway = true;
      clock.advance(10 * MINUTE_MS);
      for (let steps = 0; steps < 5; steps += 1) await clock.advanceAsync(4_000);
      await poll(staleness).toMatchObject([{ isStoreAway: true }]);
      expect(scheduler.status().isRunning).toBe(true);
      for (let steps = 0; steps < 60; steps += 1) await clock.advanceAsync(4_000);
      await untilIdle(scheduler);
      seen.isAway = false;
      clock.advance(10 * MINUTE_MS);
      await poll(() => source.reads).toBe(2);
      await untilIdle(scheduler);
      expect(scheduler.status().lastReport).toMatchObject({ isComplete: true });
      seen.isAway = true;
      void scheduler.runNow().catch(() => {});
      let isClosed = false;
      const closing = scheduler.close().then(() => (isClosed = true));
      for (let steps = 0; steps < 6 && !isClosed; steps += 1) await clock.advanceAsync(2_000);
      await closing;
      expect(staleness()).toHaveLength(1);
    });
  });

  it("frees the lock of a run that it gives up: its fleet would find each later run held for as long as what hangs", async () => {
    const mirror: Mirror = { name: "hangs", head: never, latest: never, write: never, close: async () => {} };
    const scheduler = open({ mirror, runTimeoutMs: MINUTE_MS });
    const other = open();
    const hanging = scheduler.runNow().catch((error: unknown) => error);
    await poll(() => count("snapshot-committed")).toBe(1);
    expect(await other.runNow()).toBe("held");
    for (let steps = 0; steps < 60; steps += 1) await clock.advanceAsync(4_000);
    expect(await other.runNow()).toMatchObject({ outcome: "unchanged" });
    expect(await hanging).toMatchObject({ code: "ERR_CACHE_TIMEOUT", retryable: true });
    expect(scheduler.status().isRunning).toBe(false);
  });

  it.each<readonly [string, Partial<SyncSchedulerOptions>]>([
    ["sources", { sources: [] }],
    ["sources", { sources: [new ScriptedSource([]), new ScriptedSource([])] }],
    ["maxDropShare", { policy: { maxDropShare: 7 } }],
    ["runTimeoutMs", { runTimeoutMs: 0 }],
    ["maxSourceBytes", { maxSourceBytes: 0 }],
    ["timeoutMs", { fetch: { timeoutMs: -1 } }],
  ])("refuses what no run could use when it is made, naming %s", async (name, options) => {
    const refusal = new RegExp(`ERR_CACHE_INVALID_OPTION.*${name}`);
    expect(() => createSyncScheduler({ sources: [source], store, ...options })).toThrow(refusal);
    await expect(syncOnce({ sources: [source], store, ...options })).rejects.toThrow(refusal);
  });

  it("goes on when a listener throws or the store is away", async () => {
    const scheduler = open({
      onEvent: () => {
        throw new Error("listener");
      },
    });
    expect(await scheduler.runNow()).toMatchObject({ outcome: "committed" });
    await store.close();
    expect(await scheduler.runNow()).toMatchObject({ outcome: "failed", error: expect.stringContaining("closed") });
  });

  it.each([
    ["", undefined],
    [", with another class in the place of Promise, as zone.js and bluebird put it", class OtherPromise<T> extends Promise<T> {}],
  ])("goes on when a listener is an async function that fails, and so does the process%s", async (_, otherPromise) => {
    if (otherPromise) vi.stubGlobal("Promise", otherPromise);
    onTestFinished(() => void vi.unstubAllGlobals());
    const rejections: unknown[] = [];
    const onRejection = (reason: unknown): void => void rejections.push(reason);
    process.on("unhandledRejection", onRejection);
    onTestFinished(() => void process.off("unhandledRejection", onRejection));
    const scheduler = open({
      onEvent: async () => {
        throw new Error("listener");
      },
    });
    expect(await scheduler.runNow()).toMatchObject({ outcome: "committed" });
    await new Promise((resolve) => setImmediate(resolve));
    expect(rejections).toEqual([]);
  });

  it("ends the run under way when it is closed, plans nothing more, and says so to who asks", async () => {
    const scheduler = open();
    scheduler.start();
    await scheduler.close();
    await scheduler.close();
    expect(clock.pendingTimers).toBe(0);
    expect(scheduler.status()).toMatchObject({ isRunning: false, nextRunAt: undefined });
    await expect(scheduler.runNow()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
  });

  it.each([
    ["intervalMs", 0],
    ["jitter", 2],
    ["staleAfterMs", -1],
  ] as const)("refuses %s = %d by name", (name, value) => {
    expect(() => createSyncScheduler({ sources: [source], store, [name]: value })).toThrow(new RegExp(`ERR_CACHE_INVALID_OPTION.*${name}`));
  });
});
