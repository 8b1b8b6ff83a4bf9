import {
  type GetOrSetOptions,
  type InvalidationBus,
  MemoryInvalidationBus,
  type StoredEntry,
  TieredCache,
  type TieredCacheOptions,
} from "@larder/cache-core";
import { describe, expect, it } from "vitest";
import { ManualClock, settle } from "../src/manual-clock.ts";
import { NaiveCache } from "../src/naive-cache.ts";
import { NaiveStore, type NaiveStoreOptions } from "../src/naive-store.ts";

/** A first tier that takes only what is short. */
class SmallCache<V> extends NaiveCache<StoredEntry<V>> {
  override set(key: string, entry: StoredEntry<V>, options?: { readonly ttlMs?: number }): boolean {
    return String(entry.value).length <= 10 && super.set(key, entry, options);
  }
}

/** Two processes over one second tier and one bus. */
const setUp = (options: Partial<TieredCacheOptions<unknown>> = {}, storeOptions: Partial<NaiveStoreOptions> = {}) => {
  const clock = new ManualClock();
  const bus = new MemoryInvalidationBus();
  const l2 = new NaiveStore<unknown>({ clock, maxValueLength: 100, ...storeOptions });
  const make = (store: NaiveStore<unknown>): TieredCache<unknown> =>
    new TieredCache<unknown>({ l1: new NaiveCache({ clock }), l2: store, bus, clock, jitter: 0, ttlMs: 1_000, ...options });
  return { clock, l2, a: make(l2), b: make(new NaiveStore<unknown>({ clock, ...storeOptions }, l2)) };
};

describe("set tells the truth about every tier", () => {
  it("answers true when both tiers have the value, and other processes read it", async () => {
    const { a, b } = setUp();
    expect(await a.set("key", "value")).toBe(true);
    expect(await b.get("key")).toBe("value");
    expect(a.stats()).toMatchObject({ sets: 1, rejectedSets: 0 });
  });

  it("answers false when it is too large for the second tier, where the former value is gone", async () => {
    const { a, b, l2 } = setUp();
    await a.set("key", "former");
    expect(await b.get("key")).toBe("former");
    expect(await a.set("key", "x".repeat(200))).toBe(false);
    expect(await l2.has("key")).toBe(false);
    expect(await b.get("key")).toBe(undefined);
    expect(await a.get("key")).toHaveLength(200);
  });

  it("answers false when the first tier does not take it, and has dropped the former value", async () => {
    const clock = new ManualClock();
    const { a, l2 } = setUp({ l1: new SmallCache({ clock }), clock }, { clock });
    await a.set("key", "former");
    expect(await a.set("key", "longer than that")).toBe(false);
    expect(await l2.get("key")).toBe("longer than that");
    expect(await a.get("key")).toBe("longer than that");
    expect(a.stats()).toMatchObject({ sets: 1, rejectedSets: 1 });
  });

  it("throws ERR_CACHE_CODEC for what the second tier cannot encode: nothing is queued, nobody is told, the former value stays", async () => {
    const { a, b } = setUp();
    await a.set("key", "former");
    await b.get("key");
    await expect((async () => a.set("key", 5n))()).rejects.toMatchObject({ code: "ERR_CACHE_CODEC" });
    expect(await a.invalidate("other")).toEqual({ propagated: true, pending: 0 });
    expect(await a.get("key")).toBe("former");
    expect(await b.get("key")).toBe("former");
    expect(b.stats().remoteInvalidations).toBe(2);
    expect(a.stats()).toMatchObject({ errors: 0, sets: 1 });
  });

  it("answers false while the backend is away, and serves the value here", async () => {
    const { a } = setUp({}, { travel: () => Promise.reject(new Error("away")) });
    expect(await a.set("key", "value")).toBe(false);
    expect(await a.get("key")).toBe("value");
    expect(a.stats().errors).toBe(1);
  });
});

describe("a second tier that is away below a bus within the process", () => {
  it.each<[string, (cache: TieredCache<unknown>) => unknown]>([
    ["invalidate", (cache) => cache.invalidate("key")],
    ["invalidateTag", (cache) => cache.invalidateTag("tag")],
    ["invalidateAll", (cache) => cache.invalidateAll()],
    ["set", (cache) => cache.set("key", "new")],
    ["clear", (cache) => cache.clear()],
  ])("keeps %s from nobody on the bus, which cannot lose it and so bounds no staleness", async (_, drop) => {
    let isAway = false;
    const { a, b, clock, l2 } = setUp({}, { travel: async () => (isAway ? Promise.reject(new Error("away")) : undefined) });
    await b.getOrSet("key", () => "old", { tags: ["tag"] });
    await settle();
    isAway = true;
    await drop(a);
    expect(await b.getOrSet("key", () => "younger")).toBe("younger");
    isAway = false;
    await clock.advanceAsync(100);
    expect(await l2.get("key")).not.toBe("old");
  });
});

describe("what the second tier has past its time", () => {
  it("is the answer of who asked for that alone, at whatever moment another one comes", async () => {
    for (let turns = 0; turns < 40; turns += 1) {
      const { a, b, clock } = setUp();
      await a.getOrSet("key", () => "old", { staleWhileRevalidateMs: 5_000 });
      await settle();
      clock.advance(1_500);
      const patient = b.getOrSet("key", () => "new", { staleWhileRevalidateMs: 5_000 });
      for (let turn = 0; turn < turns; turn += 1) await null;
      const impatient = b.getOrSet("key", () => "new");
      expect(await impatient).toBe("new");
      expect(["old", "new"]).toContain(await patient);
      await b.close();
    }
  });

  it("is asked for before a load behind a stale value: another process may have loaded it meanwhile", async () => {
    const { a, b, clock } = setUp({ staleWhileRevalidateMs: 5_000 });
    await a.getOrSet("key", () => "old");
    await settle();
    expect(await b.getOrSet("key", () => "not loaded")).toBe("old");
    clock.advance(1_500);
    expect(a.getOrSet("key", () => "new")).toBe("old");
    await settle();
    expect(b.getOrSet("key", () => "not loaded")).toBe("old");
    await settle();
    expect(b.get("key")).toBe("new");
    expect(b.stats().loads).toBe(0);
  });
});

describe("a constructor that refuses", () => {
  it.each([
    ["maxPendingInvalidations", 0],
    ["maxStalenessMs", -1],
    ["backendBudgetMs", Number.NaN],
    ["ttlMs", "10 seconds"],
    ["namespace", ""],
    ["l1", undefined],
  ])("names %s = %j, and has not joined the bus", (name, value) => {
    const joined: string[] = [];
    const bus = { originId: "spy", join: (namespace: string) => joined.push(namespace), close: () => {} } as unknown as InvalidationBus;
    expect(() => setUp({ bus, [name]: value })).toThrow(new RegExp(`ERR_CACHE_INVALID_OPTION\\] ${name}`));
    expect(joined).toEqual([]);
  });
});

describe("delete and clear beside other processes", () => {
  it("delete leaves the first tiers of others alone; clear over a second tier empties them", async () => {
    const { a, b } = setUp();
    await a.set("key", "value");
    await b.get("key");
    await a.delete("key");
    expect(b.get("key")).toBe("value");
    expect(b.stats().remoteInvalidations).toBe(1);
    await a.clear();
    expect(await b.get("key")).toBe(undefined);
    expect(b.stats().remoteInvalidations).toBe(2);
  });

  it("delete of what is past its time answers as has does", async () => {
    const clock = new ManualClock();
    const cache = new TieredCache<unknown>({ l1: new NaiveCache({ clock }), clock, jitter: 0, ttlMs: 10, staleIfErrorMs: 1_000 });
    await cache.getOrSet("key", () => "value");
    clock.advance(10);
    expect(await cache.lookup("key")).toMatchObject({ status: "stale" });
    expect([await cache.has("key"), await cache.delete("key")]).toEqual([false, false]);
  });
});

describe("reads are counted by what answered them", () => {
  const never = (): never => {
    throw new Error("not to be loaded");
  };

  it("a hit for each getOrSet that the second tier answers, those who share the read included", async () => {
    const { a, b } = setUp();
    await a.set("key", "value");
    expect(await Promise.all([1, 2, 3].map(() => b.getOrSet("key", never)))).toEqual(["value", "value", "value"]);
    expect(b.stats()).toMatchObject({ hits: 3, misses: 0, staleHits: 0, coalesced: 2, loads: 0 });
    expect(b.getOrSet("key", never)).toBe("value");
    expect(b.stats()).toMatchObject({ hits: 4, misses: 0 });
  });

  it("a miss for each that waits for a load, also for another process's", async () => {
    const { a, b } = setUp();
    let finish: ((value: string) => void) | undefined;
    const loading = a.getOrSet("key", () => new Promise((resolve) => (finish = resolve)));
    await settle();
    const waiting = [b.getOrSet("key", never), b.getOrSet("key", never)];
    await settle();
    expect(b.stats()).toMatchObject({ hits: 0, misses: 2 });
    const late = b.getOrSet("key", never);
    finish?.("value");
    expect(await Promise.all([loading, ...waiting, late])).toEqual(Array(4).fill("value"));
    expect(a.stats()).toMatchObject({ hits: 0, misses: 1, loads: 1 });
    expect(b.stats()).toMatchObject({ hits: 0, misses: 3, loads: 0 });
  });

  it("a stale hit for what the second tier answers past its time while a load runs behind it", async () => {
    const { a, b, clock } = setUp({ staleWhileRevalidateMs: 1_000 });
    await a.getOrSet("key", () => "old");
    await settle();
    clock.advance(1_500);
    expect(await b.getOrSet("key", () => "new")).toBe("old");
    await settle();
    expect(b.stats()).toMatchObject({ hits: 1, misses: 0, staleHits: 1, loads: 1 });
    expect(await b.get("key")).toBe("new");
  });

  it("a stale hit for a lookup of what is past its time, in either tier, and a miss for a get of it", async () => {
    const { a, b, clock } = setUp({ staleIfErrorMs: 1_000 });
    await a.getOrSet("key", () => "old");
    await settle();
    clock.advance(1_500);
    for (const cache of [a, b]) {
      const before = cache.stats();
      expect(await cache.lookup("key")).toMatchObject({ status: "stale", value: "old" });
      expect(await cache.get("key")).toBe(undefined);
      const { hits, misses, staleHits } = cache.stats();
      expect([hits - before.hits, misses - before.misses, staleHits - before.staleHits]).toEqual([1, 1, 1]);
    }
  });

  it("a miss for one who comes with an aborted signal, and for one whose load is cancelled before it began", async () => {
    let arrive: (() => void) | undefined;
    const { a } = setUp({}, { travel: () => new Promise((resolve) => (arrive = resolve)) });
    const controller = new AbortController();
    const left = Promise.resolve(a.getOrSet("key", () => "value", { signal: controller.signal }));
    controller.abort();
    await expect(left).rejects.toMatchObject({ code: "ERR_CACHE_ABORTED" });
    await expect(a.getOrSet("key", () => "value", { signal: controller.signal })).rejects.toMatchObject({ code: "ERR_CACHE_ABORTED" });
    for (let leg = 0; leg < 4; leg += 1) {
      arrive?.();
      await settle();
    }
    expect(a.stats()).toMatchObject({ hits: 0, misses: 2 });
  });

  it("a rejected set for a load that the first tier does not take, and the first tier's own evictions and expirations", async () => {
    const clock = new ManualClock();
    const cache = new TieredCache<unknown>({ l1: new SmallCache({ clock }), clock });
    expect(await cache.getOrSet("key", () => "longer than that")).toBe("longer than that");
    expect(cache.stats()).toMatchObject({ sets: 0, rejectedSets: 1 });
    const l1 = new NaiveCache<StoredEntry<unknown>>({ clock });
    const stats = { ...l1.stats(), evictions: 20, expirations: 3 };
    l1.stats = () => stats;
    expect(new TieredCache<unknown>({ l1, clock }).stats()).toMatchObject({ evictions: 20, expirations: 3 });
  });
});

describe("a load that an invalidation overtook, and that does not end", () => {
  const endings: ReadonlyArray<readonly [string, (cache: TieredCache<unknown>) => unknown, string]> = [
    ["its key", (cache) => cache.invalidate("key"), "new"],
    ["its tag", (cache) => cache.invalidateTag("tag"), "new"],
    ["a pattern", (cache) => cache.invalidateMatching("k*"), "new"],
    ["all", (cache) => cache.invalidateAll(), "new"],
    ["clear", (cache) => cache.clear(), "new"],
    ["delete", (cache) => cache.delete("key"), "new"],
    ["a forced load", (cache) => cache.getOrSet("key", () => "forced", { forceRefresh: true }), "forced"],
  ];
  const never = (): Promise<unknown> => new Promise(() => {});

  for (const [what, end, answer] of endings) {
    it(`holds up nobody who asks after it, after an invalidation of ${what}`, async () => {
      const { a, b } = setUp();
      void Promise.resolve(a.getOrSet("key", never, { tags: ["tag"] })).catch(() => {});
      await settle();
      await end(a);
      await settle();
      // The lease under which it runs says that this process will store: it never will.
      expect(await Promise.race([a.getOrSet("key", () => "new"), settle()])).toBe(answer);
      expect(await b.get("key")).toBe(answer);
      await a.close();
    });
  }

  it("lets the other processes load that waited for it", async () => {
    const { a, b } = setUp();
    void Promise.resolve(a.getOrSet("key", never, { tags: ["tag"] })).catch(() => {});
    await settle();
    const waiting = b.getOrSet("key", () => "theirs");
    await settle();
    await a.invalidateTag("tag");
    await settle();
    expect(await Promise.race([waiting, settle()])).toBe("theirs");
    await a.close();
  });
});

describe("the naive store", () => {
  it("gives a lease back whose load made what it cannot keep, and does not reject", async () => {
    const { a, b } = setUp();
    for (const value of [10n, () => "no JSON"]) {
      expect(await a.getOrSet("key", () => value)).toBe(value);
      await settle();
      expect(await Promise.race([b.getOrSet("key", () => "kept"), settle()])).toBe("kept");
      await a.invalidate("key");
    }
    await expect(a.set("key", () => "no JSON")).rejects.toMatchObject({ code: "ERR_CACHE_CODEC" });
  });
});

describe("arguments of another kind", () => {
  it("are refused by name before a loader runs", async () => {
    const { a } = setUp();
    let loads = 0;
    const loader = (): number => (loads += 1);
    const refused: ReadonlyArray<readonly [string, () => unknown]> = [
      ["key must be a string, got 123", () => a.getOrSet(123 as unknown as string, loader)],
      ["key must be a string, got undefined", () => a.invalidate(undefined as unknown as string)],
      ["loader must be a function, got undefined", () => a.getOrSet("key", undefined as unknown as () => number)],
      ["tags must be an array of strings", () => a.getOrSet("key", loader, { tags: "abc" } as unknown as GetOrSetOptions)],
      ["signal.addEventListener must be a function", () => a.getOrSet("key", loader, { signal: {} } as unknown as GetOrSetOptions)],
    ];
    for (const [message, call] of refused) {
      await expect((async () => call())()).rejects.toMatchObject({
        code: "ERR_CACHE_INVALID_OPTION",
        message: expect.stringContaining(message),
      });
    }
    expect(loads).toBe(0);
  });
});

describe("closing a cache", () => {
  it("waits for the fills that are on their way to the second tier", async () => {
    const legs: Array<() => void> = [];
    let isHeld = false;
    const { a, b } = setUp({}, { travel: () => (isHeld ? new Promise((resolve) => legs.push(resolve)) : Promise.resolve()) });
    await a.getOrSet("key", () => {
      isHeld = true;
      return "value";
    });
    let isClosed = false;
    const closed = a.close().then(() => {
      isClosed = true;
    });
    await settle();
    expect(isClosed).toBe(false);
    isHeld = false;
    for (const leg of legs) leg();
    await closed;
    expect(await b.get("key")).toBe("value");
  });
});

describe("a closed cache", () => {
  it("is not ready, counts nothing more, and still tells its counters", async () => {
    const { a } = setUp();
    await a.get("key");
    await a.close();
    await expect(a.ready()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    expect(() => a.size()).toThrow("ERR_CACHE_CLOSED");
    expect(a.stats()).toMatchObject({ hits: 0, misses: 1 });
  });
});

describe("callers who leave while the second tier is asked", () => {
  it("have their read counted, and no load: the loader was not called", async () => {
    const { a } = setUp();
    const controller = new AbortController();
    let calls = 0;
    const read = a.getOrSet("key", () => ++calls, { signal: controller.signal });
    controller.abort();
    await expect(read).rejects.toMatchObject({ code: "ERR_CACHE_ABORTED" });
    await settle();
    expect([calls, a.stats()]).toMatchObject([0, { hits: 0, misses: 1, loads: 0, loadErrors: 0 }]);
  });
});
