import { type BackendCall, type StoreEntry, TieredCache, type TieredCacheOptions } from "@larder/cache-core";
import { describe, expect, it } from "vitest";
import { ManualClock, settle } from "../src/manual-clock.ts";
import { NaiveCache } from "../src/naive-cache.ts";
import { NaiveStore } from "../src/naive-store.ts";

/** A second tier whose reads take their time, or fail. */
class SlowStore extends NaiveStore<unknown> {
  clock = new ManualClock();
  readMs = 0;
  isReadable = true;

  override async read(key: string, call: BackendCall): Promise<StoreEntry<unknown> | undefined> {
    if (this.readMs > 0) await new Promise<void>((resolve) => this.clock.setTimer(resolve, this.readMs));
    return this.isReadable ? super.read(key, call) : undefined;
  }
}

/** A process that has begun anew, over a second tier in which another one has stored `"old"`; its time is over after a second. */
async function setUp(options: Partial<TieredCacheOptions<unknown>> = {}) {
  const clock = new ManualClock();
  const store = new NaiveStore<unknown>({ clock });
  const own = { clock, jitter: 0, ttlMs: 1_000, staleIfErrorMs: 60_000, ...options };
  const other = new TieredCache<unknown>({ l1: new NaiveCache({ clock }), l2: store, ...own });
  await other.getOrSet("key", () => "old");
  await settle();
  const l2 = new SlowStore({ clock }, store);
  l2.clock = clock;
  return { clock, l2, cache: new TieredCache<unknown>({ l1: new NaiveCache({ clock }), l2, ...own }) };
}

const fails = (): Promise<never> => Promise.reject(new Error("down"));
const never = (): Promise<never> => new Promise(() => {});

describe("a soft timeout that is over before the second tier has answered", () => {
  it("gives the stale value when that comes, and not only when the load has ended", async () => {
    const { cache, clock, l2 } = await setUp({ softTimeoutMs: 10 });
    clock.advance(2_000);
    l2.readMs = 25;
    const told: unknown[] = [];
    void Promise.resolve(cache.getOrSet("key", never)).then((value) => told.push(value));
    await clock.advanceAsync(20);
    expect(told).toEqual([]);
    await clock.advanceAsync(10);
    expect(told).toEqual(["old"]);
    expect(cache.stats()).toMatchObject({ misses: 1, staleHits: 1 });
  });

  it("asks no more once it is known that there is none", async () => {
    const { cache, clock, l2 } = await setUp({ softTimeoutMs: 10 });
    l2.readMs = 25;
    void Promise.resolve(cache.getOrSet("another key", never));
    await clock.advanceAsync(29);
    expect(clock.pendingTimers).toBe(1);
    await clock.advanceAsync(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it("leaves nothing behind when the second tier has what is live", async () => {
    const { cache, clock, l2 } = await setUp({ softTimeoutMs: 10 });
    l2.readMs = 25;
    const found = Promise.resolve(cache.getOrSet("key", never));
    await clock.advanceAsync(25);
    expect(await found).toBe("old");
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("a forced load in a process that has nothing of the key yet", () => {
  it("gives what the second tier has, live or stale, when it fails, to who asked for staleIfErrorMs", async () => {
    for (const afterMs of [0, 2_000]) {
      const { cache, clock } = await setUp();
      clock.advance(afterMs);
      expect(await cache.getOrSet("key", fails, { forceRefresh: true })).toBe("old");
      expect(cache.stats()).toMatchObject({ hits: 0, misses: 1, staleHits: 1, loads: 1 });
    }
  });

  it("fails for who did not, and past the window", async () => {
    const { cache, clock } = await setUp();
    await expect(cache.getOrSet("key", fails, { forceRefresh: true, staleIfErrorMs: 0 })).rejects.toThrow("down");
    clock.advance(61_000);
    await expect(cache.getOrSet("key", fails, { forceRefresh: true })).rejects.toThrow("down");
  });

  it("leaves alone what this process has live, when the second tier has something older", async () => {
    const { cache, l2 } = await setUp();
    l2.fill = async () => "failed";
    expect(await cache.getOrSet("key", () => "new", { forceRefresh: true })).toBe("new");
    await settle();
    expect(await l2.get("key")).toBe("old");
    expect(await cache.getOrSet("key", fails, { forceRefresh: true })).toBe("new");
    expect(await cache.get("key")).toBe("new");
  });

  it("is told the value that it replaces, and replaces it", async () => {
    const { cache, l2 } = await setUp();
    expect(await cache.getOrSet("key", ({ stale, reason }) => [stale, reason], { forceRefresh: true })).toEqual(["old", "forced"]);
    await settle();
    expect(await cache.get("key")).toEqual(["old", "forced"]);
    expect(await l2.get("key")).toEqual(["old", "forced"]);
  });
});

describe("a second tier whose read has failed, and that answers again", () => {
  it("has its stale value served when the load fails", async () => {
    const { cache, clock, l2 } = await setUp();
    clock.advance(2_000);
    l2.isReadable = false;
    expect(await cache.getOrSet("key", fails)).toBe("old");
  });

  it("has it served at once where that was asked for, with one load behind it", async () => {
    const { cache, clock, l2 } = await setUp({ staleWhileRevalidateMs: 60_000 });
    clock.advance(2_000);
    l2.isReadable = false;
    expect(await cache.getOrSet("key", () => "new")).toBe("old");
    await settle();
    expect(cache.get("key")).toBe("new");
    expect(cache.stats()).toMatchObject({ hits: 2, misses: 0, staleHits: 1, loads: 1 });
  });
});

it("a load that refreshes early is made though the second tier has the live value", async () => {
  const { cache, clock } = await setUp({ earlyRefresh: 1, random: { next: () => 0.999_999, token: () => "token" } });
  await cache.invalidate("key");
  const load = cache.getOrSet("key", () => new Promise((resolve) => clock.setTimer(() => resolve("first"), 100)));
  await clock.advanceAsync(100);
  expect(await load).toBe("first");
  await clock.advanceAsync(10);
  expect(cache.getOrSet("key", () => "second")).toBe("first");
  await settle();
  expect(cache.get("key")).toBe("second");
});

it("an entry that came from the second tier is not refreshed early: how long its load took is not known here", async () => {
  const { cache, clock } = await setUp({ earlyRefresh: 1, random: { next: () => 0.999_999, token: () => "token" } });
  expect(await cache.get("key")).toBe("old");
  await clock.advanceAsync(999);
  expect(cache.getOrSet("key", () => "new")).toBe("old");
  await settle();
  expect(cache.stats().loads).toBe(0);
});
