import type { LookupHit } from "@larder/cache-core";
import { ManualClock } from "@larder/cache-testing";
import { describe, expect, it } from "vitest";
import { type CacheDump, MemoryCache } from "../src/index.ts";

describe("dump and restore", () => {
  it("tell ages from before the cache was made, also where its own fill the range in which they are kept", () => {
    const clock = new ManualClock(0, 10_000_000);
    const cache = new MemoryCache<string>({ clock });
    cache.set("first", "value");
    // Ages are kept in 16 bits.
    clock.advance(2 ** 16 - 1);
    cache.set("latest", "value");
    const entries = [{ key: "old", value: "value", ageMs: 1_000_000, uses: 0 }];
    expect(cache.restore({ format: 1, dumpedAt: clock.wallNow(), entries })).toBe(1);
    const ageOf = (key: string): number => (cache.lookup(key) as LookupHit<string>).ageMs;
    // To a 32,768th of the cache's age, which reaches back twice as far as it had to.
    for (const [key, ageMs] of [
      ["old", 1_000_000],
      ["first", 2 ** 16 - 1],
      ["latest", 0],
    ] as const) {
      expect(ageOf(key)).toBeGreaterThanOrEqual(ageMs);
      expect(ageOf(key)).toBeLessThan(ageMs + 100);
    }
  });

  it("carry entries over to another cache through JSON, with ages and remaining times", () => {
    const before = new ManualClock();
    const first = new MemoryCache<unknown>({ clock: before });
    first.set("null", null);
    first.set("short", "s", { ttlMs: 100 });
    first.set("long", { deep: [1] }, { ttlMs: 10_000 });
    before.advance(50);
    const dump = JSON.parse(JSON.stringify(first.dump())) as CacheDump<unknown>;

    // Another process: its monotonic clock starts anew, the wall clock has gone on by 60 ms.
    const after = new ManualClock(5, before.wallNow() + 60);
    const second = new MemoryCache<unknown>({ clock: after });
    expect(second.restore(dump)).toBe(2);
    expect(second.get("null")).toBe(null);
    expect(second.get("short")).toBe(undefined);
    expect(second.lookup("long")).toMatchObject({ status: "hit", value: { deep: [1] }, remainingMs: 10_000 - 110, ageMs: 110 });
    // Ages were told as those of the cache that they came to: after a restart everything was new.
    expect(second.lookup("null")).toMatchObject({ ageMs: 110 });
    second.set("new", 1);
    after.advance(7);
    expect([second.lookup("new"), second.lookup("null")]).toMatchObject([{ ageMs: 7 }, { ageMs: 117 }]);
  });

  it("tell ages beyond any cache's life, in whatever order they come, and none that cannot be", () => {
    const clock = new ManualClock();
    const cache = new MemoryCache<number>({ clock });
    cache.set("before", 0);
    clock.advance(100);
    const oldestMs = 30 * 86_400_000;
    const ages = [0, 5_000, 86_400_000, 3, oldestMs, 60_000, 1e300, Infinity];
    const entries = ages.map((ageMs, value) => ({ key: String(ageMs), value, ageMs, uses: value }));
    expect(cache.restore({ format: 1, dumpedAt: clock.wallNow(), entries })).toBe(ages.length - 2);
    for (const [key, ageMs] of [["before", 100] as const, ...ages.slice(0, -2).map((age) => [String(age), age] as const)]) {
      const lateMs = (cache.lookup(key) as { readonly ageMs: number }).ageMs - ageMs;
      expect(lateMs, key).toBeGreaterThanOrEqual(0);
      expect(lateMs, key).toBeLessThan((4 * oldestMs) / 32_768);
    }
  });

  it("are not prolonged by a wall clock that was set back", () => {
    const clock = new ManualClock();
    const cache = new MemoryCache<number>({ clock });
    cache.set("key", 1, { ttlMs: 100 });
    const dump = cache.dump();
    clock.jumpWall(-3_600_000);
    cache.clear();
    cache.restore(dump);
    clock.advance(100);
    expect(cache.get("key")).toBe(undefined);
  });

  it("keep what was asked for most when not all fit", () => {
    const large = new MemoryCache<number>({ maxEntries: 100 });
    for (let index = 0; index < 100; index += 1) large.set(`key:${index}`, index);
    for (let index = 0; index < 5; index += 1) for (let round = 0; round < 8; round += 1) large.get(`key:${index}`);
    const small = new MemoryCache<number>({ maxEntries: 10 });
    small.restore(large.dump());
    for (let index = 0; index < 5; index += 1) expect(small.get(`key:${index}`)).toBe(index);
  });

  it("leave damaged entries out and refuse what is no dump", () => {
    const cache = new MemoryCache<number>({ clock: new ManualClock(5, 160) });
    const good = { key: "good", value: 1, remainingMs: 5_000, ageMs: 0, uses: 0 };
    const damaged: unknown[] = [
      { ...good, key: 7 },
      { ...good, key: "of no value", value: undefined },
      { ...good, key: "for ever", remainingMs: "5000" },
      { ...good, key: "of no age", ageMs: "0" },
      { ...good, key: "from before the clock", ageMs: 101 },
      { key: "bare" },
      null,
      "text",
    ];
    const dump = { format: 1, dumpedAt: 100, entries: [...damaged, good] };
    expect(cache.restore(dump as unknown as CacheDump<number>)).toBe(1);
    expect([...cache.keys()]).toEqual(["good"]);
    expect(cache.get("good")).toBe(1);
    const unaged = { format: 1, dumpedAt: 0, entries: [{ key: "from the future", value: 2, ageMs: -1e300, uses: 0 }] };
    expect(cache.restore(unaged as unknown as CacheDump<number>)).toBe(0);
    const whole = { format: 1, dumpedAt: 0, entries: [] };
    for (const bad of [
      null,
      undefined,
      {},
      { ...whole, format: 2 },
      { ...whole, dumpedAt: Number.NaN },
      { ...whole, entries: {} },
      "text",
    ]) {
      expect(() => cache.restore(bad as unknown as CacheDump<number>)).toThrow(/ERR_CACHE_CODEC/);
    }
  });
});
