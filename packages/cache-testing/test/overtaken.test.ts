// What comes late, leaves early or overtakes: each of these was seen to be noticed by no test when its line was left out.
import {
  type BackendCall,
  type Reservation,
  type StoredEntry,
  type StoreEntry,
  TieredCache,
  type TieredCacheOptions,
} from "@larder/cache-core";
import { describe, expect, it } from "vitest";
import { ManualClock, settle } from "../src/manual-clock.ts";
import { NaiveCache } from "../src/naive-cache.ts";
import { NaiveStore } from "../src/naive-store.ts";

/** A second tier whose answers can be held back when it has made them. */
class HeldStore extends NaiveStore<unknown> {
  readonly #gates: Map<string, Promise<void>> = new Map();
  isReadable = true;

  /** Holds back the answer of a method's next call. @returns lets it go */
  hold(method: "read" | "reserve"): () => Promise<void> {
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#gates.set(method, gate);
    return async () => {
      open();
      await settle();
    };
  }

  override async read(key: string, call: BackendCall): Promise<StoreEntry<unknown> | undefined> {
    const gate = this.#enter("read");
    const found = await super.read(key, call);
    await gate;
    return this.isReadable ? found : undefined;
  }

  override async reserve(key: string, lease: boolean, call: BackendCall): Promise<Reservation<unknown> | undefined> {
    const gate = this.#enter("reserve");
    const reservation = await super.reserve(key, lease, call);
    await gate;
    return reservation;
  }

  #enter(method: "read" | "reserve"): Promise<void> | undefined {
    const gate = this.#gates.get(method);
    this.#gates.delete(method);
    return gate;
  }
}

/** Two processes over one second tier. */
function setUp(options: Partial<TieredCacheOptions<unknown>> = {}) {
  const clock = new ManualClock();
  const store = new NaiveStore<unknown>({ clock });
  const l2 = new HeldStore({ clock }, store);
  const make = (tier: NaiveStore<unknown>): TieredCache<unknown> =>
    new TieredCache<unknown>({ l1: new NaiveCache({ clock }), l2: tier, clock, jitter: 0, ttlMs: 1_000, ...options });
  return { clock, l2, cache: make(l2), other: make(store) };
}

const fails = (): Promise<never> => Promise.reject(new Error("down"));

describe("timeouts of loads that end in time", () => {
  it("leave no timer behind, whether they were waited for or ran behind a stale value", async () => {
    const { cache, clock } = setUp({ timeoutMs: 60_000, staleWhileRevalidateMs: 5_000 });
    await cache.getOrSet("key", () => "old");
    expect(clock.pendingTimers).toBe(0);
    clock.advance(1_500);
    expect(cache.getOrSet("key", () => "new")).toBe("old");
    await settle();
    expect(cache.get("key")).toBe("new");
    expect(clock.pendingTimers).toBe(0);
    await expect((async () => cache.getOrSet("another key", fails))()).rejects.toThrow("down");
    expect(clock.pendingTimers).toBe(0);
  });
});

it("a caller whose signal its own loader aborts at once is freed, and not first when the load ends", async () => {
  const clock = new ManualClock();
  const cache = new TieredCache<unknown>({ l1: new NaiveCache({ clock }), clock });
  const caller = new AbortController();
  const load = async () =>
    cache.getOrSet(
      "key",
      () => {
        caller.abort();
        return new Promise(() => {});
      },
      { signal: caller.signal },
    );
  await expect(Promise.race([load(), settle()])).rejects.toMatchObject({ code: "ERR_CACHE_ABORTED" });
});

describe("a stale value of the second tier, for which one caller asked and another did not", () => {
  it.each([
    ["first", 5_000, undefined],
    ["second", undefined, 5_000],
  ])("is given to none of them while they share a read, whoever came %s", async (_, first, second) => {
    const { cache, other, clock, l2 } = setUp();
    await other.getOrSet("key", () => "old", { staleWhileRevalidateMs: 5_000 });
    await settle();
    clock.advance(1_500);
    const release = l2.hold("read");
    const asked = [first, second].map((windowMs) =>
      cache.getOrSet("key", () => "new", windowMs === undefined ? {} : { staleWhileRevalidateMs: windowMs }),
    );
    await release();
    expect(await Promise.all(asked)).toEqual(["new", "new"]);
  });
});

describe("what the second tier answers to a read that something overtook", () => {
  it("does not take the place of what a forced load has stored meanwhile", async () => {
    const { cache, other, l2 } = setUp();
    await other.getOrSet("key", () => "old");
    await settle();
    const release = l2.hold("read");
    const read = cache.get("key");
    expect(await cache.getOrSet("key", () => "new", { forceRefresh: true })).toBe("new");
    await release();
    expect(await read).toBe("old");
    expect(await cache.get("key")).toBe("new");
  });

  it("is no stale value for a load that fails, after an invalidation", async () => {
    const { cache, other, clock, l2 } = setUp({ staleIfErrorMs: 60_000 });
    await other.getOrSet("key", () => "dropped");
    await settle();
    clock.advance(1_500);
    const release = l2.hold("read");
    let stale: unknown;
    const load = (async () =>
      cache.getOrSet("key", (context) => {
        stale = context.stale;
        return fails();
      }))();
    load.catch(() => {});
    await settle();
    await cache.invalidate("key");
    await release();
    await expect(load).rejects.toThrow("down");
    expect(stale).toBe(undefined);
  });

  it("is not what a load behind it is told, whenever the invalidation comes", async () => {
    for (let turns = 0; turns < 40; turns += 1) {
      const { cache, other, clock } = setUp({ staleWhileRevalidateMs: 60_000 });
      await other.getOrSet("key", () => "dropped");
      await settle();
      clock.advance(1_500);
      let isInvalidated = false;
      const told: unknown[] = [];
      void cache.getOrSet("key", ({ stale }) => {
        if (isInvalidated) told.push(stale);
        return "new";
      });
      for (let turn = 0; turn < turns; turn += 1) await null;
      isInvalidated = true;
      await cache.invalidate("key");
      await settle();
      expect(told.filter((stale) => stale !== undefined)).toEqual([]);
    }
  });
});

describe("a key whose invalidation the second tier has not taken yet", () => {
  it("is a miss for every kind of read here, though the tier answers them and has the old value", async () => {
    const { cache, other, l2 } = setUp();
    await other.getOrSet("key", () => "dropped");
    await settle();
    l2.invalidate = () => Promise.reject(new Error("away"));
    expect(await cache.invalidate("key")).toEqual({ propagated: false, pending: 1 });
    expect(await l2.get("key")).toBe("dropped");
    expect([await cache.get("key"), await cache.has("key"), await cache.lookup("key"), await cache.getMany(["key"])]).toEqual([
      undefined,
      false,
      { status: "miss" },
      [undefined],
    ]);
    expect(await cache.getOrSet("key", () => "new")).toBe("new");
    await cache.close();
  });
});

it("of two values that are set at one time the one that the second tier holds in the end is served here", async () => {
  const { cache, l2 } = setUp();
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const { replace } = l2;
  l2.replace = async (...terms) => {
    l2.replace = replace;
    await gate;
    return replace.apply(l2, terms);
  };
  const first = cache.set("key", "first");
  expect(await cache.set("key", "second")).toBe(true);
  open();
  await first;
  expect(await l2.get("key")).toBe("first");
  expect(await cache.get("key")).toBe("first");
});

it("an entry that another tag's invalidation has left alone still ends in time, and leaves the first tier", async () => {
  const clock = new ManualClock();
  const l1 = new NaiveCache<StoredEntry<unknown>>({ clock });
  const cache = new TieredCache<unknown>({ l1, clock, jitter: 0, ttlMs: 1_000 });
  await cache.set("key", "value", { tags: ["tag"] });
  await cache.invalidateTag("another tag");
  expect(cache.get("key")).toBe("value");
  clock.advance(1_000);
  expect(l1.size()).toBe(0);
});

it("what a loader sets in several steps is set together", async () => {
  const clock = new ManualClock();
  const cache = new TieredCache<unknown>({ l1: new NaiveCache({ clock }), clock, jitter: 0 });
  await cache.getOrSet("key", ({ setOptions }) => {
    setOptions({ ttlMs: 100 });
    setOptions({ tags: ["tag"] });
    return "value";
  });
  expect(cache.lookup("key")).toMatchObject({ remainingMs: 100 });
  await cache.invalidateTag("tag");
  expect(cache.get("key")).toBe(undefined);
});

describe("a lease", () => {
  it("is given back where the reservation has brought a live value along", async () => {
    const { cache, other, clock, l2 } = setUp();
    await other.getOrSet("key", () => "old");
    await settle();
    l2.isReadable = false;
    expect(await cache.getOrSet("key", () => "not loaded")).toBe("old");
    await settle();
    clock.advance(2_000);
    const next = Promise.resolve(other.getOrSet("key", () => "new"));
    let told: unknown;
    void next.then((value) => {
      told = value;
    });
    await settle();
    expect(told).toBe("new");
  });

  it("is given back at once by a load that an invalidation overtook before it knew that it had it", async () => {
    const { cache, other, l2 } = setUp();
    const release = l2.hold("reserve");
    void Promise.resolve(cache.getOrSet("key", () => new Promise(() => {})));
    await settle();
    void cache.invalidateTag("tag");
    await release();
    let told: unknown;
    void Promise.resolve(other.getOrSet("key", () => "new")).then((value) => {
      told = value;
    });
    await settle();
    expect(told).toBe("new");
  });

  it("of another process's load is not waited for by one that is forced", async () => {
    const { cache, other } = setUp();
    void Promise.resolve(other.getOrSet("key", () => new Promise(() => {})));
    await settle();
    const forced = cache.getOrSet("key", () => "forced", { forceRefresh: true });
    expect(await Promise.race([forced, settle()])).toBe("forced");
  });

  it("is waited for thrice at most, where what was stored under it is gone each time", async () => {
    const { cache, l2 } = setUp();
    let rounds = 0;
    l2.reserve = async (key, lease) => {
      if (rounds > 10) throw new Error("it goes on and on");
      rounds += 1;
      return { key, version: { epoch: "epoch", seq: 0 }, fence: `${rounds}`, lease: lease ? "held" : "none", entry: undefined };
    };
    l2.awaitFill = async () => "stored";
    expect(await cache.getOrSet("key", () => "own")).toBe("own");
    expect(rounds).toBe(4);
  });
});
