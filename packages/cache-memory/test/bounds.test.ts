import { ManualClock } from "@larder/cache-testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryCache, type MemoryCacheOptions } from "../src/index.ts";

type Step =
  | { readonly kind: "set"; readonly key: number; readonly size: number; readonly ttlMs: number | undefined }
  | { readonly kind: "get" | "delete" | "has" | "lookup"; readonly key: number }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "clear" | "sweep" };

const key = fc.integer({ min: 0, max: 40 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("set" as const),
      key,
      size: fc.integer({ min: 0, max: 60 }),
      ttlMs: fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom("get" as const, "delete" as const, "has" as const, "lookup" as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("clear" as const, "sweep" as const) }) },
);

interface Held {
  readonly size: number;
  readonly expiresAt: number;
}

const MAX_BYTES = 200;
const bounds: ReadonlyArray<MemoryCacheOptions<number>> = [
  { maxEntries: 8 },
  { maxBytes: MAX_BYTES, sizeOf: (size) => size },
  { maxEntries: 12, maxBytes: MAX_BYTES, sizeOf: (size) => size, keys: "digest" },
];

describe("MemoryCache against a naive model", () => {
  for (const options of bounds) {
    it(`never holds more than its bounds, nor what the model would not (${Object.keys(options).join(", ")})`, () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 400, size: "max" }), (steps) => {
          const clock = new ManualClock();
          const removed = new Map<string, number>();
          const cache = new MemoryCache<number>({
            ...options,
            clock,
            onRemoved: (name) => removed.set(name, (removed.get(name) ?? 0) + 1),
          });
          // The model holds everything that was set and not dropped: the cache may hold less, never more and never another value.
          const model = new Map<string, Held>();
          const { maxEntries = Number.POSITIVE_INFINITY, maxBytes = Number.POSITIVE_INFINITY } = options;
          let reads = 0;
          let stored = 0;
          for (const action of steps) {
            const name = "key" in action ? `key:${action.key.toString(16).padStart(16, "0")}` : "";
            const held = model.get(name);
            const isLive = held !== undefined && held.expiresAt > clock.now();
            if (action.kind === "set") {
              const isStored = cache.set(name, action.size, action.ttlMs === undefined ? {} : { ttlMs: action.ttlMs });
              expect(isStored).toBe(true);
              stored += 1;
              expect(cache.has(name)).toBe(true);
              model.set(name, { size: action.size, expiresAt: clock.now() + (action.ttlMs ?? Number.POSITIVE_INFINITY) });
            } else if (action.kind === "get" || action.kind === "lookup") {
              reads += 1;
              const found = action.kind === "get" ? cache.get(name) : cache.lookup(name);
              const value = typeof found === "object" ? (found.status === "miss" ? undefined : found.value) : found;
              if (value !== undefined) expect({ isLive, value }).toEqual({ isLive: true, value: held?.size });
            } else if (action.kind === "has") {
              if (cache.has(name)) expect(isLive).toBe(true);
            } else if (action.kind === "delete") {
              if (cache.delete(name)) expect(isLive).toBe(true);
              model.delete(name);
              expect(cache.has(name)).toBe(false);
            } else if (action.kind === "advance") clock.advance(action.ms);
            else if (action.kind === "clear") {
              cache.clear();
              model.clear();
              expect(cache.size()).toBe(0);
            } else {
              cache.removeExpired();
              expect(cache.size()).toBe([...cache.keys()].length);
            }
            const entries = [...cache.entries()];
            expect(cache.size()).toBeLessThanOrEqual(maxEntries);
            expect(entries.length).toBeLessThanOrEqual(cache.size());
            const { bytes } = cache.stats();
            if (bytes !== undefined) {
              expect(bytes).toBeLessThanOrEqual(maxBytes);
              expect(bytes).toBeGreaterThanOrEqual(entries.reduce((sum, [, size]) => sum + size, 0));
            }
          }
          const stats = cache.stats();
          expect(stats.hits + stats.misses).toBe(reads);
          expect(stats.sets).toBe(stored);
          cache.close();
          // Every value that was stored has been told as removed once.
          expect([...removed.values()].reduce((sum, count) => sum + count, 0)).toBe(stored);
        }),
        { numRuns: 150 },
      );
    });
  }

  it("keeps its bytes exact to the last one: after everything is gone there are none", () => {
    const cache = new MemoryCache<unknown>({ maxBytes: 100_000 });
    for (let index = 0; index < 5_000; index += 1) cache.set(`key:${index % 700}`, { index, text: "x".repeat(index % 300) });
    for (const name of [...cache.keys()]) cache.delete(name);
    expect(cache.stats()).toMatchObject({ entries: 0, bytes: 0 });
  });

  it("is as empty as before when sizes are fractions, as of a cost: their sums leave no rest", () => {
    const cache = new MemoryCache<number>({ maxBytes: 2, sizeOf: (value) => value });
    const sizes = [0.36, 0.72, 0.11, 0.47];
    for (const size of sizes) cache.set(`key:${size}`, size);
    for (const size of sizes) cache.delete(`key:${size}`);
    expect(cache.stats()).toMatchObject({ entries: 0, bytes: 0 });
    expect(cache.set("all", 2)).toBe(true);
    expect(cache.get("all")).toBe(2);
  });

  it("refuses a value larger than the bound, counts it, and drops the former value", () => {
    const cache = new MemoryCache<string>({ maxBytes: 1_000 });
    expect(cache.set("key", "small")).toBe(true);
    expect(cache.set("key", "x".repeat(2_000))).toBe(false);
    expect(cache.get("key")).toBe(undefined);
    expect(cache.stats()).toMatchObject({ rejectedSets: 1, entries: 0, bytes: 0 });
  });

  it("holds large arrays of strings to its bytes", () => {
    const cache = new MemoryCache<string[]>();
    const array = Array.from({ length: 100_000 }, () => "x".repeat(1_024));
    expect(cache.set("key", array)).toBe(false);
    expect(cache.stats()).toMatchObject({ rejectedSets: 1, entries: 0, bytes: 0 });
  });

  it("counts what a blob holds, which is outside of the heap", () => {
    const cache = new MemoryCache<{ readonly image: Blob }>({ maxBytes: 10_000 });
    expect(cache.set("image", { image: new Blob([new Uint8Array(20_000)]) })).toBe(false);
    expect(cache.set("image", { image: new Blob([new Uint8Array(5_000)]) })).toBe(true);
    expect(cache.stats().bytes).toBeGreaterThan(5_000);
  });

  it("stores nothing whose size is Infinity, also without a bound on bytes", () => {
    const cache = new MemoryCache<number>({ maxEntries: 10, sizeOf: (value) => value });
    cache.set("key", 5);
    expect(cache.set("key", Number.POSITIVE_INFINITY)).toBe(false);
    expect(cache.get("key")).toBe(undefined);
    expect(cache.stats()).toMatchObject({ rejectedSets: 1, entries: 0, bytes: 0 });
  });

  it("keeps one entry per key when sizeOf itself sets, drops or clears it", () => {
    const ways: ReadonlyArray<(cache: MemoryCache<number>) => unknown> = [
      (cache) => cache.set("key", 1),
      (cache) => cache.delete("key"),
      (cache) => cache.clear(),
    ];
    for (const way of ways) {
      let isInside = false;
      const cache: MemoryCache<number> = new MemoryCache<number>({
        maxEntries: 10,
        sizeOf: (value) => {
          if (value === 2 && !isInside) {
            isInside = true;
            way(cache);
          }
          return 1;
        },
      });
      cache.set("key", 0);
      cache.set("key", 2);
      expect([...cache.entries()]).toEqual([["key", 2]]);
      expect(cache.stats()).toMatchObject({ entries: 1, bytes: 1 });
    }
  });

  it("makes room by itself when a value grows in place", () => {
    const cache = new MemoryCache<string>({ maxBytes: 100, sizeOf: (value) => value.length });
    for (const name of ["a", "b", "c", "d"]) cache.set(name, "x".repeat(25));
    expect(cache.set("a", "x".repeat(60))).toBe(true);
    expect(cache.get("a")).toHaveLength(60);
    expect(cache.stats().bytes).toBeLessThanOrEqual(100);
  });

  it("does not grow under churn of keys, deletes and expirations", () => {
    const clock = new ManualClock();
    const cache = new MemoryCache<number>({ maxEntries: 100, clock });
    for (let index = 0; index < 50_000; index += 1) {
      cache.set(`key:${index}`, index, index % 3 === 0 ? { ttlMs: 5 } : {});
      if (index % 2 === 0) cache.delete(`key:${index - 1}`);
      if (index % 10 === 0) clock.advance(1);
      if (cache.size() > 100) throw new Error(`${cache.size()} entries`);
    }
    expect(cache.dump().entries.length).toBeLessThanOrEqual(100);
  });
});
