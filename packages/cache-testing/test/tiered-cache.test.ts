import {
  type GetOrSetOptions,
  type InvalidationBus,
  type InvalidationChannel,
  type InvalidationListener,
  type InvalidationTarget,
  type Loader,
  MemoryInvalidationBus,
  type StoredEntry,
  TieredCache,
  type TieredCacheOptions,
} from "@larder/cache-core";
import { describe, expect, it } from "vitest";
import { ManualClock, settle } from "../src/manual-clock.ts";
import { NaiveCache } from "../src/naive-cache.ts";

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

const defer = <T>(): Deferred<T> => {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
};

const setUp = (options: Partial<TieredCacheOptions<unknown>> = {}) => {
  const clock = new ManualClock();
  const random = { next: () => 0.5, token: () => "token" };
  const cache = new TieredCache<unknown>({
    l1: new NaiveCache<StoredEntry<unknown>>({ clock }),
    clock,
    random,
    jitter: 0,
    ttlMs: 1_000,
    ...options,
  });
  return { clock, cache };
};

/** A loader that the test finishes by hand, and that tells what it was given. */
const manualLoader = () => {
  const calls: Array<Deferred<unknown> & { signal: AbortSignal; stale: unknown; reason: string }> = [];
  const loader: Loader<unknown> = (context) => {
    const call = defer<unknown>();
    calls.push({ ...call, signal: context.signal, stale: context.stale, reason: context.reason });
    return call.promise;
  };
  return { loader, calls };
};

describe("getOrSet", () => {
  it("loads a missing key once for all who ask meanwhile, and answers hits synchronously afterwards", async () => {
    const { cache } = setUp();
    const { loader, calls } = manualLoader();
    const waiters = Array.from({ length: 50 }, () => cache.getOrSet("k", loader));
    calls[0]?.resolve("value");
    expect(await Promise.all(waiters)).toEqual(Array(50).fill("value"));
    expect(calls).toHaveLength(1);
    expect(cache.getOrSet("k", loader)).toBe("value");
    expect(cache.stats()).toMatchObject({ loads: 1, coalesced: 49, misses: 50, hits: 1, sets: 1 });
  });

  it("caches null, false, 0 and the empty string, and returns undefined without storing it", async () => {
    const { cache } = setUp();
    for (const value of [null, false, 0, ""]) {
      expect(await cache.getOrSet(`k${value}`, () => value)).toBe(value);
      expect(cache.get(`k${value}`)).toBe(value);
    }
    expect(await cache.getOrSet("none", () => undefined)).toBe(undefined);
    expect(await cache.getOrSet("none", () => "now")).toBe("now");
  });

  it("gives a failed load's own error to every waiter, calls the loader once, and lets the next caller try again", async () => {
    const { cache } = setUp();
    const { loader, calls } = manualLoader();
    const waiters = Array.from({ length: 20 }, () => Promise.resolve(cache.getOrSet("k", loader)));
    const error = new Error("upstream is down");
    calls[0]?.reject(error);
    for (const result of await Promise.allSettled(waiters)) expect(result).toEqual({ status: "rejected", reason: error });
    expect(calls).toHaveLength(1);
    expect(await cache.getOrSet("k", () => "recovered")).toBe("recovered");
    expect(cache.stats()).toMatchObject({ loads: 2, loadErrors: 1 });
  });

  it("passes on what a loader throws at once", async () => {
    const { cache } = setUp();
    const error = new Error("thrown, not rejected");
    await expect(
      cache.getOrSet("k", () => {
        throw error;
      }),
    ).rejects.toBe(error);
  });

  it("holds an error back for errorTtlMs when asked to, until the key is invalidated", async () => {
    const { cache, clock } = setUp({ errorTtlMs: 100 });
    const failing: Loader<unknown> = () => Promise.reject(new Error("down"));
    await expect(cache.getOrSet("k", failing)).rejects.toThrow("down");
    await expect(cache.getOrSet("k", () => "value")).rejects.toThrow("down");
    expect(cache.stats()).toMatchObject({ loads: 1, loadErrors: 1, hits: 0, misses: 2 });
    clock.advance(100);
    expect(await cache.getOrSet("k", () => "value")).toBe("value");
    await expect(cache.getOrSet("other", failing)).rejects.toThrow("down");
    await cache.invalidate("other");
    expect(await cache.getOrSet("other", () => "value")).toBe("value");
  });

  it("forgets the error that it holds back when a forced load gets through", async () => {
    const { cache, clock } = setUp({ errorTtlMs: 100 });
    await expect(cache.getOrSet("k", () => Promise.reject(new Error("down")))).rejects.toThrow("down");
    expect(await cache.getOrSet("k", () => "value", { forceRefresh: true, ttlMs: 10 })).toBe("value");
    clock.advance(10);
    expect(await cache.getOrSet("k", () => "newer")).toBe("newer");
  });

  it.each<[string, (cache: TieredCache<unknown>) => unknown]>([
    ["a tag", (cache) => cache.invalidateTag("tag")],
    ["a pattern", (cache) => cache.invalidateMatching("*")],
    ["all", (cache) => cache.invalidateAll()],
    ["this process's clear", (cache) => cache.clear()],
  ])("holds no error back past an invalidation of %s: what failed before it says nothing of what comes after", async (_, invalidate) => {
    const { cache } = setUp({ errorTtlMs: 100 });
    await expect(cache.getOrSet("k", () => Promise.reject(new Error("down")))).rejects.toThrow("down");
    await invalidate(cache);
    expect(await cache.getOrSet("k", () => "value")).toBe("value");
  });

  it("does not hold back the error of a load that an invalidation has overtaken", async () => {
    const { cache } = setUp({ errorTtlMs: 100 });
    const { loader, calls } = manualLoader();
    const overtaken = cache.getOrSet("k", loader);
    await cache.invalidate("k");
    calls[0]?.reject(new Error("down"));
    await expect(overtaken).rejects.toThrow("down");
    expect(await cache.getOrSet("k", () => "value")).toBe("value");
  });

  it("gives an error that is held back also to who would take a stale value, where there is none", async () => {
    const { cache } = setUp({ errorTtlMs: 100, staleIfErrorMs: 1_000 });
    await expect(cache.getOrSet("k", () => Promise.reject(new Error("down")))).rejects.toThrow("down");
    await expect(cache.getOrSet("k", () => "value")).rejects.toThrow("down");
  });

  it("holds a thousand errors back and no more, the latest", async () => {
    const { cache } = setUp({ errorTtlMs: 100 });
    const keys = Array.from({ length: 1_001 }, (_, index) => `k${index}`);
    for (const key of keys) await expect(cache.getOrSet(key, () => Promise.reject(new Error("down")))).rejects.toThrow("down");
    expect(await cache.getOrSet("k0", () => "value")).toBe("value");
    await expect(cache.getOrSet("k1", () => "value")).rejects.toThrow("down");
    await expect(cache.getOrSet("k1000", () => "value")).rejects.toThrow("down");
  });

  it("starts the time to live when the load is done, not when it began (W1.11)", async () => {
    const { cache, clock } = setUp();
    const { loader, calls } = manualLoader();
    const waiter = cache.getOrSet("k", loader);
    clock.advance(5_000);
    calls[0]?.resolve("slow");
    await waiter;
    clock.advance(999);
    expect(cache.get("k")).toBe("slow");
    clock.advance(1);
    expect(cache.get("k")).toBe(undefined);
  });

  it("stores null for negativeTtlMs, and lets the loader choose time to live and tags, or no storing at all", async () => {
    const { cache, clock } = setUp({ negativeTtlMs: 10 });
    await cache.getOrSet("absent", () => null);
    await cache.getOrSet("long", (context) => {
      context.setOptions({ ttlMs: 10_000, tags: ["chosen"] });
      return "kept";
    });
    await cache.getOrSet("unstored", (context) => {
      context.skipStore();
      return "passing";
    });
    expect(cache.get("unstored")).toBe(undefined);
    clock.advance(10);
    expect(cache.get("absent")).toBe(undefined);
    clock.advance(5_000);
    expect(cache.get("long")).toBe("kept");
    await cache.invalidateTag("chosen");
    expect(cache.get("long")).toBe(undefined);
  });

  it("shortens times to live by up to the jitter's share, and never lengthens them", async () => {
    const { cache, clock } = setUp({ jitter: 0.2 });
    await cache.getOrSet("k", () => "value");
    clock.advance(899);
    expect(cache.get("k")).toBe("value");
    clock.advance(1);
    expect(cache.get("k")).toBe(undefined);
  });

  it("loads anew under forceRefresh, and the load it overtook does not replace the newer value", async () => {
    const { cache } = setUp();
    const { loader, calls } = manualLoader();
    const first = cache.getOrSet("k", loader);
    const forced = cache.getOrSet("k", loader, { forceRefresh: true });
    expect(calls.map((call) => call.reason)).toEqual(["miss", "forced"]);
    calls[1]?.resolve("newer");
    expect(await forced).toBe("newer");
    calls[0]?.resolve("older");
    expect(await first).toBe("older");
    expect(cache.get("k")).toBe("newer");
  });

  it.each([
    ["ttlMs", 0],
    ["ttlMs", -5],
    ["ttlMs", Number.NaN],
    ["ttlMs", "10 seconds"],
    ["staleWhileRevalidateMs", -1],
    ["staleIfErrorMs", Number.NaN],
    ["negativeTtlMs", 0],
    ["jitter", 2],
    ["softTimeoutMs", 0],
    ["timeoutMs", "1s"],
    ["singleFlight", "galaxy"],
  ])("refuses %s = %j by name, in the constructor and in a call", async (name, value) => {
    const options = { [name]: value } as GetOrSetOptions;
    expect(() => setUp(options as Partial<TieredCacheOptions<unknown>>)).toThrow(name);
    const { cache } = setUp();
    await expect((async () => cache.getOrSet("k", () => 1, options))()).rejects.toMatchObject({ code: "ERR_CACHE_INVALID_OPTION" });
  });
});

describe("aborts and timeouts", () => {
  it("frees only the waiter whose signal was aborted", async () => {
    const { cache } = setUp();
    const { loader, calls } = manualLoader();
    const leaver = new AbortController();
    const left = cache.getOrSet("k", loader, { signal: leaver.signal });
    const staying = cache.getOrSet("k", loader, { signal: new AbortController().signal });
    leaver.abort(new Error("gone"));
    await expect(left).rejects.toMatchObject({ code: "ERR_CACHE_ABORTED", cause: leaver.signal.reason });
    expect(calls[0]?.signal.aborted).toBe(false);
    calls[0]?.resolve("value");
    expect(await staying).toBe("value");
  });

  it("cancels the load when the last waiter has left, and the next caller starts a new one", async () => {
    const { cache } = setUp();
    const { loader, calls } = manualLoader();
    const controllers = [new AbortController(), new AbortController()];
    const waiters = controllers.map((controller) => Promise.resolve(cache.getOrSet("k", loader, { signal: controller.signal })));
    controllers[0]?.abort();
    expect(calls[0]?.signal.aborted).toBe(false);
    controllers[1]?.abort();
    expect(calls[0]?.signal.aborted).toBe(true);
    for (const result of await Promise.allSettled(waiters))
      expect(result).toMatchObject({ status: "rejected", reason: { code: "ERR_CACHE_ABORTED" } });
    const next = cache.getOrSet("k", loader);
    calls[0]?.resolve("late, and nobody's");
    calls[1]?.resolve("value");
    expect(await next).toBe("value");
    expect(cache.get("k")).toBe("value");
  });

  it("never cancels a load that someone without a signal waits for", async () => {
    const { cache } = setUp();
    const { loader, calls } = manualLoader();
    const controller = new AbortController();
    const staying = cache.getOrSet("k", loader);
    const left = cache.getOrSet("k", loader, { signal: controller.signal });
    controller.abort();
    await expect(left).rejects.toMatchObject({ code: "ERR_CACHE_ABORTED" });
    calls[0]?.resolve("value");
    expect(await staying).toBe("value");
  });

  it("does not load for a caller whose signal was aborted before the call", async () => {
    const { cache } = setUp();
    const { loader, calls } = manualLoader();
    await expect(cache.getOrSet("k", loader, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ERR_CACHE_ABORTED" });
    expect(calls).toHaveLength(0);
  });

  it("fails a load that passes timeoutMs, aborts it, and keeps nothing that it makes later (F13)", async () => {
    const { cache, clock } = setUp({ timeoutMs: 100 });
    const { loader, calls } = manualLoader();
    const waiter = Promise.resolve(cache.getOrSet("k", loader));
    clock.advance(100);
    await expect(waiter).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT", retryable: true });
    expect(calls[0]?.signal.aborted).toBe(true);
    calls[0]?.resolve("too late");
    await settle();
    expect(cache.get("k")).toBe(undefined);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("each caller's own patience", () => {
  it("frees a caller after its timeoutMs, however long the others wait, whose load goes on", async () => {
    const { cache, clock } = setUp();
    const { loader, calls } = manualLoader();
    const patient = cache.getOrSet("k", loader);
    const hasty = cache.getOrSet("k", loader, { timeoutMs: 200 });
    clock.advance(200);
    await expect(hasty).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    expect(calls[0]?.signal.aborted).toBe(false);
    calls[0]?.resolve("value");
    expect(await patient).toBe("value");
  });

  it("aborts the load for the reason of the last who left", async () => {
    const { cache, clock } = setUp();
    const { loader, calls } = manualLoader();
    const waiters = [100, 300].map((timeoutMs) => cache.getOrSet("k", loader, { timeoutMs }));
    clock.advance(300);
    for (const waiter of waiters) await expect(waiter).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    expect(calls[0]?.signal.reason).toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
  });

  it("gives the stale value when timeoutMs is over and staleIfErrorMs allows it, and aborts the load", async () => {
    const { cache, clock } = setUp();
    const { loader, calls } = manualLoader();
    const patience = { staleIfErrorMs: 5_000, softTimeoutMs: 50, timeoutMs: 200 };
    await cache.getOrSet("k", () => "old", patience);
    clock.advance(1_100);
    const soft = cache.getOrSet("k", loader, patience);
    const hard = cache.getOrSet("k", loader, { ...patience, softTimeoutMs: 1_000 });
    clock.advance(50);
    expect(await soft).toBe("old");
    expect(calls[0]?.signal.aborted).toBe(false);
    clock.advance(150);
    expect(await hard).toBe("old");
    expect(calls[0]?.signal.aborted).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it("aborts a load that nobody waits for after its timeoutMs", async () => {
    const { cache, clock } = setUp();
    const { loader, calls } = manualLoader();
    const behind = { staleWhileRevalidateMs: 500, timeoutMs: 200 };
    await cache.getOrSet("k", () => "old", behind);
    clock.advance(1_100);
    expect(cache.getOrSet("k", loader, behind)).toBe("old");
    clock.advance(200);
    expect(calls[0]?.signal.reason).toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
  });

  it("does not hold an abort back as an error: the next caller loads", async () => {
    const { cache } = setUp({ errorTtlMs: 2_000 });
    const { loader } = manualLoader();
    const leaver = new AbortController();
    const left = cache.getOrSet("k", loader, { signal: leaver.signal });
    leaver.abort();
    await expect(left).rejects.toMatchObject({ code: "ERR_CACHE_ABORTED" });
    await settle();
    expect(await cache.getOrSet("k", () => "value")).toBe("value");
  });
});

describe("stale policies", () => {
  const stale: GetOrSetOptions = { staleWhileRevalidateMs: 500, staleIfErrorMs: 2_000 };

  it("serves the old value at once inside the stale-while-revalidate window, and loads once behind it", async () => {
    const { cache, clock } = setUp();
    const { loader, calls } = manualLoader();
    await cache.getOrSet("k", () => "old", stale);
    clock.advance(1_200);
    expect(cache.getOrSet("k", loader, stale)).toBe("old");
    expect(cache.getOrSet("k", loader, stale)).toBe("old");
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject({ reason: "stale", stale: "old" });
    calls[0]?.resolve("new");
    await settle();
    expect(cache.getOrSet("k", loader, stale)).toBe("new");
    expect(cache.stats()).toMatchObject({ staleHits: 2, loads: 2 });
  });

  it("waits for the load past the window", async () => {
    const { cache, clock } = setUp();
    await cache.getOrSet("k", () => "old", stale);
    clock.advance(1_500);
    expect(await cache.getOrSet("k", () => "new", stale)).toBe("new");
  });

  it("serves the old value when the load fails inside the stale-if-error window, and the error past it", async () => {
    const { cache, clock } = setUp();
    await cache.getOrSet("k", () => "old", stale);
    clock.advance(2_000);
    const failing: Loader<unknown> = () => Promise.reject(new Error("down"));
    expect(await cache.getOrSet("k", failing, stale)).toBe("old");
    clock.advance(1_000);
    await expect(cache.getOrSet("k", failing, stale)).rejects.toThrow("down");
  });

  it("gives the error when the stale-if-error window is over by the time at which the load fails", async () => {
    const { cache, clock } = setUp();
    const { loader, calls } = manualLoader();
    await cache.getOrSet("k", () => "old", { ttlMs: 100, staleIfErrorMs: 1_000 });
    clock.advance(200);
    // Longer than the value was stored for, which is what counts.
    const patient = cache.getOrSet("k", loader, { staleIfErrorMs: 60_000 });
    expect(calls[0]?.stale).toBe("old");
    clock.advance(900);
    calls[0]?.reject(new Error("down"));
    await expect(patient).rejects.toThrow("down");
  });

  it("goes on with a load behind a stale value though who joins it meanwhile leaves", async () => {
    const { cache, clock } = setUp();
    const { loader, calls } = manualLoader();
    await cache.getOrSet("k", () => "old", { ttlMs: 100, staleWhileRevalidateMs: 500 });
    clock.advance(200);
    expect(cache.getOrSet("k", loader, { staleWhileRevalidateMs: 500 })).toBe("old");
    const leaving = cache.getOrSet("k", loader, { timeoutMs: 10 });
    clock.advance(10);
    await expect(leaving).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    expect(calls[0]?.signal.aborted).toBe(false);
    calls[0]?.resolve("new");
    await settle();
    expect(cache.get("k")).toBe("new");
    expect(calls).toHaveLength(1);
  });

  it("serves the old value also while the load's error is held back", async () => {
    const { cache, clock } = setUp({ errorTtlMs: 1_000 });
    await cache.getOrSet("k", () => "old", stale);
    clock.advance(1_600);
    const fail = () => Promise.reject(new Error("origin down"));
    expect(await cache.getOrSet("k", fail, stale)).toBe("old");
    expect(await cache.getOrSet("k", fail, stale)).toBe("old");
    await expect(cache.getOrSet("k", fail)).rejects.toThrow("origin down");
    expect(cache.stats()).toMatchObject({ loads: 2, staleHits: 2 });
  });

  it("gives a stale value to a caller whose soft timeout is over, while the load goes on", async () => {
    const { cache, clock } = setUp();
    const { loader, calls } = manualLoader();
    const soft = { staleIfErrorMs: 2_000, softTimeoutMs: 50 };
    await cache.getOrSet("k", () => "old", soft);
    clock.advance(1_100);
    const waiter = cache.getOrSet("k", loader, soft);
    clock.advance(50);
    expect(await waiter).toBe("old");
    expect(calls[0]?.signal.aborted).toBe(false);
    calls[0]?.resolve("new");
    await settle();
    expect(cache.get("k")).toBe("new");
  });

  it("tells a stale entry from a hit in lookup, and serves it neither from get nor from has", async () => {
    const { cache, clock } = setUp();
    await cache.getOrSet("k", () => "old", stale);
    clock.advance(1_200);
    expect(cache.lookup("k")).toMatchObject({ status: "stale", value: "old", ageMs: 1_200, remainingMs: -200 });
    expect(cache.get("k")).toBe(undefined);
    expect(cache.has("k")).toBe(false);
  });

  it.each([
    ["its key", (cache: TieredCache<unknown>) => cache.invalidate("k")],
    ["its tag", (cache: TieredCache<unknown>) => cache.invalidateTag("t")],
    ["a pattern", (cache: TieredCache<unknown>) => cache.invalidateMatching("k*")],
    ["all", (cache: TieredCache<unknown>) => cache.invalidateAll()],
    ["delete", (cache: TieredCache<unknown>) => cache.delete("k")],
    ["clear", (cache: TieredCache<unknown>) => cache.clear()],
  ])("gives a value dropped by %s back neither as stale nor as loader.stale, not even to a load that was under way", async (_, drop) => {
    const { cache, clock } = setUp();
    const { loader, calls } = manualLoader();
    const options = { staleIfErrorMs: 10_000, tags: ["t"] };
    await cache.getOrSet("k", () => "old", options);
    clock.advance(1_100);
    const underWay = Promise.resolve(cache.getOrSet("k", loader, options));
    await drop(cache);
    calls[0]?.reject(new Error("down"));
    await expect(underWay).rejects.toThrow("down");
    const later = Promise.resolve(cache.getOrSet("k", loader, options));
    expect(calls[1]).toMatchObject({ reason: "miss", stale: undefined });
    calls[1]?.reject(new Error("still down"));
    await expect(later).rejects.toThrow("still down");
  });

  it("refreshes early, the likelier the nearer the end (XFetch), and serves the live value meanwhile", async () => {
    const { cache, clock } = setUp();
    const { loader, calls } = manualLoader();
    const first = cache.getOrSet("k", loader, { earlyRefresh: 1 });
    clock.advance(100);
    calls[0]?.resolve("one");
    await first;
    clock.advance(900);
    // A load of 100 ms and a dice of 0.5: due from 1000 - 100 x ln 2 = 930.7 ms on.
    expect(cache.getOrSet("k", loader, { earlyRefresh: 1 })).toBe("one");
    expect(calls).toHaveLength(1);
    clock.advance(40);
    expect(cache.getOrSet("k", loader, { earlyRefresh: 1 })).toBe("one");
    expect(calls[1]).toMatchObject({ reason: "early", stale: "one" });
    calls[1]?.resolve("two");
    await settle();
    expect(cache.get("k")).toBe("two");
  });
});

describe("invalidation against loads in flight", () => {
  const ways: ReadonlyArray<readonly [string, (cache: TieredCache<unknown>) => unknown]> = [
    ["invalidate", (cache) => cache.invalidate("k")],
    ["invalidateTag", (cache) => cache.invalidateTag("t")],
    ["invalidateMatching", (cache) => cache.invalidateMatching("k?*")],
    ["invalidateAll", (cache) => cache.invalidateAll()],
    ["delete", (cache) => cache.delete("k1")],
    ["clear", (cache) => cache.clear()],
  ];
  it.each(ways)("never stores a load that began before %s, and later callers do not join it (F1, F4)", async (name, drop) => {
    const { cache } = setUp();
    const { loader, calls } = manualLoader();
    const key = name === "invalidate" ? "k" : "k1";
    const before = cache.getOrSet(key, loader, { tags: ["t"] });
    await drop(cache);
    const after = cache.getOrSet(key, loader, { tags: ["t"] });
    expect(calls).toHaveLength(2);
    calls[1]?.resolve("new");
    expect(await after).toBe("new");
    calls[0]?.resolve("old");
    expect(await before).toBe("old");
    expect(cache.get(key)).toBe("new");
    expect(cache.stats().rejectedFills).toBe(1);
  });

  it("keeps a value that was set while a load ran", async () => {
    const { cache } = setUp();
    const { loader, calls } = manualLoader();
    const load = cache.getOrSet("k", loader);
    await cache.set("k", "set");
    calls[0]?.resolve("loaded");
    await load;
    expect(cache.get("k")).toBe("set");
  });

  it("leaves entries without the tag, and with another key, alone", async () => {
    const { cache } = setUp();
    await cache.set("a1", 1, { tags: ["red"] });
    await cache.set("a2", 2, { tags: ["blue"] });
    await cache.set("b1", 3);
    await cache.invalidateTag("red");
    expect(cache.getMany(["a1", "a2", "b1"])).toEqual([undefined, 2, 3]);
    await cache.invalidateMatching("a*");
    expect(cache.getMany(["a1", "a2", "b1"])).toEqual([undefined, undefined, 3]);
    await cache.set("a1", 4, { tags: ["red"] });
    expect(cache.get("a1")).toBe(4);
  });

  it("unites the tags of all who joined a load, so that the entry falls with each of them", async () => {
    const { cache } = setUp();
    const { loader, calls } = manualLoader();
    const waiters = [cache.getOrSet("k", loader, { tags: ["a"] }), cache.getOrSet("k", loader, { tags: ["b"] })];
    calls[0]?.resolve("value");
    await Promise.all(waiters);
    await cache.invalidateTag("b");
    expect(cache.get("k")).toBe(undefined);
  });
});

describe("caches on one bus", () => {
  const pair = () => {
    const clock = new ManualClock();
    const bus = new MemoryInvalidationBus();
    const make = () =>
      new TieredCache<unknown>({ l1: new NaiveCache<StoredEntry<unknown>>({ clock }), clock, bus, jitter: 0, ttlMs: 60_000 });
    return { clock, a: make(), b: make() };
  };

  it("drops at the peer what is invalidated or set here, and counts it there and not here", async () => {
    const { a, b } = pair();
    await b.getOrSet("k", () => "old");
    await a.invalidate("k");
    expect(b.get("k")).toBe(undefined);
    await b.getOrSet("k", () => "old");
    await a.set("k", "new");
    expect(b.get("k")).toBe(undefined);
    expect(a.get("k")).toBe("new");
    expect(a.stats()).toMatchObject({ invalidations: 1, remoteInvalidations: 0 });
    expect(b.stats()).toMatchObject({ invalidations: 0, remoteInvalidations: 2 });
  });

  it("does not store at the peer what it began to load before (F2)", async () => {
    const { a, b } = pair();
    const { loader, calls } = manualLoader();
    const load = b.getOrSet("k", loader);
    await a.invalidate("k");
    calls[0]?.resolve("old");
    await load;
    expect(b.get("k")).toBe(undefined);
  });

  it("keeps all that is set at one time, and of two values of one key the later", async () => {
    const { a } = pair();
    // More of them under way than there are stripes of generations to keep them apart.
    const entries = Array.from({ length: 2_000 }, (_, index) => [`k${index}`, index] as const);
    expect(new Set(await a.setMany(entries))).toEqual(new Set([true]));
    expect(a.getMany(entries.map(([key]) => key))).toEqual(entries.map(([, value]) => value));
    expect(await Promise.all([a.set("k", "former"), a.set("k", "later")])).toEqual([true, true]);
    expect(a.get("k")).toBe("later");
  });

  it("does not broadcast delete and clear", async () => {
    const { a, b } = pair();
    await b.getOrSet("k", () => "kept");
    await a.delete("k");
    await a.clear();
    expect(b.get("k")).toBe("kept");
  });
});

/** A bus whose messages, proofs and failures the test makes. */
class ScriptedBus implements InvalidationBus {
  readonly originId = "scripted";
  readonly sent: InvalidationTarget[] = [];
  listener!: InvalidationListener;
  isBroken = false;
  answer: (() => Promise<void>) | undefined;
  proven: Promise<void> = Promise.resolve();
  left = 0;

  join(_: string, listener: InvalidationListener): InvalidationChannel {
    this.listener = listener;
    return {
      lastProofAt: Number.NEGATIVE_INFINITY,
      version: () => undefined,
      encodeBody: () => "",
      ready: () => this.proven,
      leave: () => {
        this.left += 1;
      },
      invalidate: async (target) => {
        await this.answer?.();
        if (this.isBroken) throw new Error("unreachable");
        this.sent.push(target);
        return { epoch: "e", seq: this.sent.length };
      },
    };
  }

  close(): void {}
}

describe("a cache on a bus alone", () => {
  it("is ready when the bus has proven itself", async () => {
    const bus = new ScriptedBus();
    const proven = defer<void>();
    bus.proven = proven.promise;
    const { cache } = setUp({ bus });
    let isReady = false;
    const ready = cache.ready().then(() => {
      isReady = true;
    });
    await settle();
    expect(isReady).toBe(false);
    proven.resolve();
    await ready;
  });

  it("answers a set by whether it has the value and the others were told", async () => {
    const bus = new ScriptedBus();
    const { cache } = setUp({ bus });
    expect(await cache.set("k", "value")).toBe(true);
    bus.isBroken = true;
    expect(await cache.set("k", "newer")).toBe(false);
    expect(cache.stats()).toMatchObject({ sets: 2, errors: 1 });
  });
});

describe("proof and staleness", () => {
  const setUpProof = (maxStalenessMs = 1_000) => {
    const bus = new ScriptedBus();
    return { bus, ...setUp({ bus, maxStalenessMs, ttlMs: 60_000 }) };
  };

  it("serves an entry for maxStalenessMs after it was captured when the bus has never proven itself", async () => {
    const { cache, clock } = setUpProof();
    await cache.getOrSet("k", () => "value");
    clock.advance(1_000);
    expect(cache.get("k")).toBe("value");
    clock.advance(1);
    expect(cache.get("k")).toBe(undefined);
  });

  it("serves for maxStalenessMs past the last proof, and again once there is a new one", async () => {
    const { cache, clock, bus } = setUpProof();
    await cache.getOrSet("k", () => "value");
    clock.advance(5_000);
    bus.listener.onProof(clock.now());
    expect(cache.get("k")).toBe("value");
    clock.advance(1_001);
    expect(cache.get("k")).toBe(undefined);
    expect(cache.isDegraded).toBe(true);
    bus.listener.onProof(clock.now());
    expect(cache.get("k")).toBe("value");
    expect(cache.isDegraded).toBe(false);
  });

  it("goes by the newest proof, in whatever order they come", async () => {
    const { cache, clock, bus } = setUpProof();
    await cache.getOrSet("k", () => "value");
    clock.advance(5_000);
    bus.listener.onProof(clock.now());
    bus.listener.onProof(clock.now() - 900);
    clock.advance(999);
    expect(cache.get("k")).toBe("value");
    expect(cache.isDegraded).toBe(false);
  });

  it("is not degraded any more by a proof of what stood long ago", async () => {
    const { cache, clock, bus } = setUpProof();
    bus.listener.onProof(clock.now());
    clock.advance(10_000);
    bus.listener.onProof(clock.now() - 5_000);
    clock.advance(1);
    expect(cache.stats()).toMatchObject({ isDegraded: true, degradedMs: 9_001 });
    bus.listener.onProof(clock.now() - 999);
    expect(cache.isDegraded).toBe(false);
  });

  it("counts how long it was degraded: from its start to the first proof, and in each outage from a second after the last one", async () => {
    const { cache, clock, bus } = setUpProof();
    clock.advance(300);
    expect(cache.stats().degradedMs).toBe(300);
    bus.listener.onProof(clock.now());
    clock.advance(900);
    expect(cache.stats().degradedMs).toBe(300);
    clock.advance(2_100);
    bus.listener.onProof(clock.now());
    expect(cache.stats()).toMatchObject({ degradedMs: 2_300, isDegraded: false });
    clock.advance(1_500);
    expect(cache.stats()).toMatchObject({ degradedMs: 2_800, isDegraded: true });
  });

  it("takes a proof that reached beyond now back to now, and never prolongs one", async () => {
    const { cache, clock, bus } = setUpProof();
    bus.listener.onProof(Number.POSITIVE_INFINITY);
    await cache.getOrSet("k", () => "value");
    clock.advance(5_000);
    bus.listener.onProofLost?.();
    clock.advance(900);
    bus.listener.onProofLost?.();
    clock.advance(100);
    expect(cache.get("k")).toBe("value");
    clock.advance(1);
    expect(cache.get("k")).toBe(undefined);
    expect(cache.isDegraded).toBe(true);
  });

  it.each([
    ["when the load fails", { staleIfErrorMs: 60_000 }],
    ["when the soft timeout is over", { staleWhileRevalidateMs: 1, staleIfErrorMs: 60_000, softTimeoutMs: 1_500 }],
  ])("serves nothing older than maxStalenessMs by a stale policy, %s", async (_, policy) => {
    const { cache, clock, bus } = setUpProof();
    const { loader, calls } = manualLoader();
    bus.listener.onProof(clock.now());
    await cache.getOrSet("k", () => "revoked", { ...policy, ttlMs: 100 });
    clock.advance(200);
    const load = cache.getOrSet("k", loader, policy);
    expect(calls[0]?.stale).toBe("revoked");
    clock.advance(1_600);
    calls[0]?.reject(new Error("origin down"));
    await expect(load).rejects.toThrow("origin down");
  });

  it("counts how old data is from before its load began", async () => {
    const { cache, clock } = setUpProof();
    const { loader, calls } = manualLoader();
    const load = cache.getOrSet("k", loader);
    clock.advance(900);
    calls[0]?.resolve("value");
    await load;
    clock.advance(200);
    expect(cache.get("k")).toBe(undefined);
  });

  it("goes on serving until the time to live where maxStalenessMs is Infinity, and says that it is degraded", async () => {
    const { cache, clock, bus } = setUpProof(Number.POSITIVE_INFINITY);
    bus.listener.onProof(clock.now());
    await cache.getOrSet("k", () => "value");
    clock.advance(30_000);
    expect(cache.get("k")).toBe("value");
    expect(cache.stats()).toMatchObject({ isDegraded: true, degradedMs: 29_000 });
  });

  it("drops everything when messages may have been missed, loads in flight included", async () => {
    const { cache, clock, bus } = setUpProof();
    const { loader, calls } = manualLoader();
    bus.listener.onProof(clock.now());
    await cache.getOrSet("k", () => "value");
    const load = cache.getOrSet("loading", loader);
    bus.listener.onReset("log-lost");
    calls[0]?.resolve("old");
    await load;
    expect(cache.getMany(["k", "loading"])).toEqual([undefined, undefined]);
  });
});

describe("invalidations that the backend does not take", () => {
  it("tells so, retries until it does, and counts the error", async () => {
    const bus = new ScriptedBus();
    const { cache, clock } = setUp({ bus });
    bus.isBroken = true;
    expect(await cache.invalidate("k")).toEqual({ propagated: false, pending: 1 });
    expect(await cache.invalidate("k")).toEqual({ propagated: false, pending: 1 });
    await clock.advanceAsync(100);
    bus.isBroken = false;
    await clock.advanceAsync(1_000);
    expect(bus.sent).toEqual([{ kind: "key", key: "k" }]);
    expect(cache.stats()).toMatchObject({ errors: 2, invalidations: 2 });
    expect(await cache.invalidate("k")).toEqual({ propagated: true, pending: 0 });
  });

  it("sends one invalidation of all when too many wait", async () => {
    const bus = new ScriptedBus();
    const { cache, clock } = setUp({ bus, maxPendingInvalidations: 3 });
    bus.isBroken = true;
    for (const key of ["a", "b", "c", "d"]) await cache.invalidate(key);
    expect((await cache.invalidate("d")).pending).toBeLessThanOrEqual(3);
    bus.isBroken = false;
    await clock.advanceAsync(10_000);
    expect(bus.sent[0]).toEqual({ kind: "all" });
  });

  it("tells all kinds of them apart, and sends each again", async () => {
    const bus = new ScriptedBus();
    const { cache, clock } = setUp({ bus });
    const targets: InvalidationTarget[] = [
      { kind: "key", key: "a" },
      { kind: "key", key: "b" },
      { kind: "tag", tag: "a" },
      { kind: "tag", tag: "b" },
      { kind: "pattern", pattern: "a" },
      { kind: "pattern", pattern: "b" },
      { kind: "all" },
    ];
    bus.isBroken = true;
    for (const name of ["a", "b"]) {
      await Promise.all([cache.invalidate(name), cache.invalidateTag(name), cache.invalidateMatching(name)]);
    }
    expect(await cache.invalidateAll()).toEqual({ propagated: false, pending: targets.length });
    bus.isBroken = false;
    await clock.advanceAsync(10_000);
    expect(bus.sent).toHaveLength(targets.length);
    expect(bus.sent).toEqual(expect.arrayContaining(targets));
  });

  it("need not be sent again when a later one of the same name was acknowledged", async () => {
    const bus = new ScriptedBus();
    const { cache, clock } = setUp({ bus });
    bus.isBroken = true;
    expect(await cache.invalidate("k")).toEqual({ propagated: false, pending: 1 });
    bus.isBroken = false;
    expect(await cache.invalidate("k")).toEqual({ propagated: true, pending: 0 });
    await clock.advanceAsync(10_000);
    expect(bus.sent).toHaveLength(1);
  });

  it("sends what waits as soon as the bus proves itself again", async () => {
    const bus = new ScriptedBus();
    const { cache, clock } = setUp({ bus });
    bus.isBroken = true;
    await cache.invalidateTag("t");
    clock.advance(50);
    bus.isBroken = false;
    bus.listener.onProof(clock.now());
    await settle();
    expect(bus.sent).toEqual([{ kind: "tag", tag: "t" }]);
  });

  it("keeps no value of a set that another process overtook while it was acknowledged", async () => {
    const bus = new ScriptedBus();
    const { cache } = setUp({ bus });
    const acknowledged = defer<void>();
    bus.answer = () => acknowledged.promise;
    const set = cache.set("k", "ours");
    bus.listener.onInvalidation({ epoch: "e", seq: 2, origin: "other", target: { kind: "key", key: "k" } });
    acknowledged.resolve();
    await set;
    expect(cache.get("k")).toBe(undefined);
  });
});

describe("close", () => {
  it("fails loads in flight clearly, leaves no timer, and refuses work", async () => {
    const { cache, clock } = setUp({ timeoutMs: 1_000 });
    const { loader } = manualLoader();
    const load = Promise.resolve(cache.getOrSet("k", loader));
    await cache.close();
    await expect(load).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    await expect(cache.invalidate("k")).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    await expect((async () => cache.getOrSet("k", loader))()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    expect(clock.pendingTimers).toBe(0);
  });

  it("sends what waits once more, and leaves no retry behind when that fails, too", async () => {
    const bus = new ScriptedBus();
    const { cache, clock } = setUp({ bus });
    bus.isBroken = true;
    await cache.invalidate("k");
    const tries: string[] = [];
    bus.answer = async () => void tries.push("once");
    await cache.close();
    expect(clock.pendingTimers).toBe(0);
    await clock.advanceAsync(60_000);
    expect(tries).toEqual(["once"]);
  });

  it("leaves the bus, once, when what was on its way has been told", async () => {
    const bus = new ScriptedBus();
    const { cache } = setUp({ bus });
    const acknowledged = defer<void>();
    bus.answer = () => acknowledged.promise;
    const invalidated = cache.invalidate("k");
    const closed = cache.close();
    await settle();
    expect(bus.left).toBe(0);
    acknowledged.resolve();
    await Promise.all([closed, cache.close()]);
    expect(bus.left).toBe(1);
    expect(await invalidated).toEqual({ propagated: true, pending: 0 });
  });

  it("serves nothing from its call on, though the bus proves itself while it closes", async () => {
    const bus = new ScriptedBus();
    const { cache, clock } = setUp({ bus });
    bus.listener.onProof(clock.now());
    await cache.getOrSet("k", () => "value");
    const closed = cache.close();
    expect(() => cache.get("k")).toThrow("ERR_CACHE_CLOSED");
    bus.listener.onProof(clock.now() + 1);
    expect(() => cache.get("k")).toThrow("ERR_CACHE_CLOSED");
    bus.listener.onProofLost?.();
    expect(() => cache.get("k")).toThrow("ERR_CACHE_CLOSED");
    expect(() => cache.getOrSet("k", () => "value")).toThrow("ERR_CACHE_CLOSED");
    await closed;
    expect(clock.pendingTimers).toBe(0);
  });
});
