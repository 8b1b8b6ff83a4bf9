import { ManualClock } from "@larder/cache-testing";
import { describe, expect, it } from "vitest";
import { MemoryCache } from "../src/index.ts";

describe("time to live", () => {
  it("ends at the millisecond, and not one later", () => {
    const clock = new ManualClock();
    const cache = new MemoryCache<string>({ clock, ttlMs: 100 });
    cache.set("key", "value");
    clock.advance(99);
    expect(cache.get("key")).toBe("value");
    clock.advance(1);
    expect(cache.get("key")).toBe(undefined);
    expect(cache.stats()).toMatchObject({ expirations: 1, evictions: 0, entries: 0 });
  });

  it("ends for every entry by and by while others are written, wherever it was stored", () => {
    for (let place = 0; place < 4; place += 1) {
      const clock = new ManualClock();
      const cache = new MemoryCache<number>({ clock, maxEntries: 4 });
      for (let index = 0; index < 4; index += 1) cache.set(`${index}`, index, index === place ? { ttlMs: 10 } : {});
      clock.advance(10);
      for (let round = 0; round < 4; round += 1) cache.set(`${(place + 1) % 4}`, round);
      expect([place, cache.stats().entries]).toEqual([place, 3]);
    }
  });

  it("is over also where the next value of the key is too large to take its place", () => {
    const clock = new ManualClock();
    const causes: string[] = [];
    const cache = new MemoryCache<number>({
      clock,
      maxBytes: 100,
      sizeOf: (bytes) => bytes,
      onRemoved: (key, _, cause) => causes.push(`${key} ${cause}`),
    });
    cache.set("other", 60);
    cache.set("key", 20, { ttlMs: 10 });
    clock.advance(10);
    cache.set("key", 50);
    expect(causes).toEqual(["key expired", "other size"]);
    expect(cache.stats()).toMatchObject({ expirations: 1, evictions: 1, entries: 1, bytes: 50 });
  });

  it("is not moved by jumps of the wall clock, forwards or back", () => {
    const clock = new ManualClock();
    const cache = new MemoryCache<string>({ clock, ttlMs: 1_000 });
    cache.set("key", "value");
    clock.jumpWall(3_600_000);
    expect(cache.get("key")).toBe("value");
    clock.jumpWall(-7_200_000);
    clock.advance(1_000);
    expect(cache.get("key")).toBe(undefined);
  });

  it("sweeps expired entries out while others are set, so that they do not wait for a read", () => {
    const clock = new ManualClock();
    const cache = new MemoryCache<number>({ clock, maxEntries: 1_000 });
    for (let index = 0; index < 500; index += 1) cache.set(`old:${index}`, index, { ttlMs: 10 });
    clock.advance(10);
    for (let index = 0; index < 400; index += 1) cache.set("new", index);
    expect(cache.size()).toBe(1);
    expect(cache.stats().expirations).toBe(500);
  });

  it("drops all expired entries of an idle cache when it is told to", () => {
    const clock = new ManualClock();
    const cache = new MemoryCache<number>({ clock });
    for (let index = 0; index < 10; index += 1) cache.set(`key:${index}`, index, { ttlMs: index < 4 ? 10 : 100 });
    clock.advance(10);
    expect(cache.removeExpired()).toBe(4);
    expect(cache.size()).toBe(6);
  });

  it("sets no timer, so that nothing keeps the process alive", () => {
    const clock = new ManualClock();
    const cache = new MemoryCache<number>({ clock, ttlMs: 10 });
    cache.set("key", 1);
    expect(clock.pendingTimers).toBe(0);
  });

  it("tells ages right after days, to a 32 768th of the cache's own age", () => {
    const clock = new ManualClock();
    const cache = new MemoryCache<number>({ clock });
    clock.advance(86_400_000);
    cache.set("key", 1);
    clock.advance(60_000);
    const found = cache.lookup("key");
    if (found.status === "miss") throw new Error("expected a hit");
    expect(found.ageMs).toBeGreaterThanOrEqual(60_000);
    expect(found.ageMs).toBeLessThanOrEqual(60_000 + 86_460_000 / 32_768 + 1);
  });

  for (const ttlMs of [0, -1, Number.NaN, "1s"]) {
    it(`refuses a default of ${ttlMs} and names the option`, () => {
      expect(() => new MemoryCache({ ttlMs: ttlMs as number })).toThrow(/ERR_CACHE_INVALID_OPTION.*ttlMs/);
    });
  }
});
