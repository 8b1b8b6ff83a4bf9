import { MemoryInvalidationBus, type StoredEntry } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { ManualClock, uniquePrefix, waitUntil } from "@larder/cache-testing";
import { describe, expect, it } from "vitest";
import { createCoherentCache, RedisInvalidationBus } from "../src/index.ts";

describe("closing", () => {
  it("a cache and its bus, in the order of the README, leaves no invalidation behind that was on its way (I23)", async () => {
    const keyPrefix = uniquePrefix();
    const member = () => {
      const bus = new RedisInvalidationBus({ url: process.env.REDIS_URL as string, keyPrefix });
      const l1 = new MemoryCache<StoredEntry<string>>({ maxEntries: 100 });
      return { bus, cache: createCoherentCache<string>({ l1, bus, namespace: "closing", ttlMs: 60_000, backendBudgetMs: 1_000 }) };
    };
    const [a, b] = [member(), member()];
    await Promise.all([a.cache.ready(), b.cache.ready()]);
    const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
    for (const key of keys) await b.cache.get(key, () => "old");
    const answers = keys.map((key) => a.cache.invalidate(key));
    await a.cache.close();
    a.bus.close();
    expect(await Promise.all(answers)).toEqual(keys.map(() => ({ propagated: true, pending: 0 })));
    await waitUntil("b hears of all", () => b.cache.stats().remoteInvalidations === keys.length);
    expect(await Promise.all(keys.map((key) => b.cache.get(key, () => "new")))).toEqual(keys.map(() => "new"));
    await b.cache.close();
    b.bus.close();
  });

  it("a bus in memory under its caches lets them serve nothing for longer than their staleness bound, and say that they are degraded", async () => {
    const clock = new ManualClock();
    const bus = new MemoryInvalidationBus();
    const [a, b] = [1, 2].map(() => {
      const l1 = new MemoryCache<StoredEntry<string>>({ maxEntries: 10, clock });
      return createCoherentCache<string>({ l1, bus, clock, ttlMs: 60_000, maxStalenessMs: 1_000, jitter: 0 });
    });
    if (!a || !b) throw new Error("there are two");
    await b.get("k", () => "old");
    clock.advance(10_000);
    expect([b.get("k"), b.isDegraded]).toEqual(["old", false]);
    bus.close();
    expect(await a.invalidate("k")).toEqual({ propagated: false, pending: 1 });
    clock.advance(1_000);
    expect(b.get("k")).toBe("old");
    clock.advance(1);
    expect(await b.get("k", () => "new")).toBe("new");
    expect(b.isDegraded).toBe(true);
    expect(b.stats().degradedMs).toBeGreaterThan(0);
    await a.close();
    await b.close();
  });

  it("a bus in memory after its cache changes nothing: what is closed serves nothing", async () => {
    const bus = new MemoryInvalidationBus();
    const cache = createCoherentCache<string>({ l1: new MemoryCache({ maxEntries: 10 }), bus });
    await cache.get("k", () => "old");
    await cache.close();
    bus.close();
    expect(() => cache.get("k")).toThrow(/closed/);
    expect(cache.isDegraded).toBe(false);
  });
});
