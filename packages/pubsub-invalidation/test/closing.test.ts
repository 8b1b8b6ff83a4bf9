import { MemoryInvalidationBus, type StoredEntry } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { ManualClock } from "@larder/cache-testing";
import { describe, expect, it } from "vitest";
import { createCoherentCache } from "../src/index.ts";

describe("closing", () => {
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
