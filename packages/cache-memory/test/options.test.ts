import type { Clock } from "@larder/cache-core";
import { describe, expect, it } from "vitest";
import { MemoryCache, type MemoryCacheOptions } from "../src/index.ts";

describe("options", () => {
  it("are refused when they are none: a bare number, as the bound of other caches, would count for nothing", () => {
    for (const options of [500, "500", null] as unknown[])
      expect(() => new MemoryCache(options as MemoryCacheOptions<unknown>)).toThrow("options must be an object such as");
  });

  it("are refused by names that there are not: max and ttl, as of other caches, would leave a cache of another size without a time to live", () => {
    for (const name of ["max", "ttl", "maxSize", "max_entries"])
      expect(() => new MemoryCache({ [name]: 500 })).toThrow(
        `the name of an option must be one of maxEntries, maxBytes, sizeOf, ttlMs, values, keys, onRemoved, name, clock, got the string "${name}"`,
      );
  });

  it("bound a cache made without any: 1000 entries and 64 MiB", () => {
    const cache = new MemoryCache<unknown>();
    for (let index = 0; index < 1_500; index += 1) cache.set(`key:${index}`, index);
    expect(cache.size()).toBe(1_000);
    expect(cache.set("large", Buffer.alloc(67_108_864))).toBe(false);
    expect(cache.set("smaller", Buffer.alloc(67_108_864 - 1_000))).toBe(true);
    expect(cache.stats().bytes).toBeLessThanOrEqual(67_108_864);
  });

  it("lift the default of the bound that is not named", () => {
    const byEntries = new MemoryCache<unknown>({ maxEntries: 2 });
    expect(byEntries.set("large", Buffer.alloc(67_108_864))).toBe(true);
    expect(byEntries.stats().bytes).toBe(undefined);
    const byBytes = new MemoryCache<number>({ maxBytes: 2_000_000 });
    for (let index = 0; index < 1_500; index += 1) byBytes.set(`key:${index}`, index);
    expect(byBytes.size()).toBe(1_500);
  });

  it("count bytes without a bound on them when sizeOf is given", () => {
    const cache = new MemoryCache<string>({ maxEntries: 10, sizeOf: (value, key) => value.length + key.length });
    cache.set("key", "value");
    expect(cache.stats().bytes).toBe(8);
  });

  const refused: ReadonlyArray<readonly [string, MemoryCacheOptions<number>]> = [
    ["maxEntries", { maxEntries: 0 }],
    ["maxEntries", { maxEntries: 1.5 }],
    ["maxEntries", { maxEntries: "10" as unknown as number }],
    ["maxBytes", { maxBytes: -1 }],
    ["maxBytes", { maxBytes: Number.NaN }],
    ["maxEntries or maxBytes", { maxEntries: Number.POSITIVE_INFINITY }],
    ["values", { values: "copied" as "cloned" }],
    ["keys", { keys: "hash" as "digest" }],
    ["sizeOf", { maxEntries: 1, sizeOf: 1 as unknown as () => number }],
    ["onRemoved", { onRemoved: {} as () => void }],
    ["name", { name: "" }],
    ["clock", { clock: Date as unknown as Clock }],
    ["clock", { clock: null as unknown as Clock }],
  ];
  for (const [name, options] of refused) {
    it(`are refused by name: ${name} in ${JSON.stringify(options)}`, () => {
      expect(() => new MemoryCache<number>(options)).toThrow(`[ERR_CACHE_INVALID_OPTION] ${name}`);
    });
  }

  it("take a bound on entries beyond all memory, where bytes bound the cache", () => {
    const cache = new MemoryCache<number>({ maxEntries: Number.MAX_SAFE_INTEGER, maxBytes: 1_000_000 });
    cache.set("key", 1);
    expect(cache.get("key")).toBe(1);
  });

  const kinds: ReadonlyArray<MemoryCacheOptions<number>> = [{}, { maxEntries: 150_000 }, { keys: "digest" }];
  it.each(kinds)("refuse keys that are no strings, by name and in every method, in a cache of %j", (options) => {
    const cache = new MemoryCache<number>(options);
    const calls: ReadonlyArray<(key: string) => unknown> = [
      (key) => cache.get(key),
      (key) => cache.lookup(key),
      (key) => cache.set(key, 1),
      (key) => cache.has(key),
      (key) => cache.delete(key),
      (key) => cache.getMany([key]),
      (key) => cache.setMany([[key, 1]]),
      (key) => cache.deleteMany([key]),
    ];
    for (const key of [1, undefined, null, {}, Symbol("key")] as unknown[]) {
      for (const call of calls) expect(() => call(key as string)).toThrow("[ERR_CACHE_INVALID_OPTION] key must be a string, got ");
    }
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 0, sets: 0 });
  });

  it("refuse sizes that are no numbers", () => {
    const cache = new MemoryCache<number>({ maxEntries: 10, sizeOf: () => Number.NaN });
    expect(() => cache.set("key", 1)).toThrow("what sizeOf returns must be a number of bytes >= 0, got NaN");
    expect(cache.size()).toBe(0);
  });
});

describe("digest keys", () => {
  const digest = (index: number): string => `chat:model:${index.toString(16).padStart(64, "0")}`;

  it("are found, replaced and dropped like any other", () => {
    const cache = new MemoryCache<number>({ maxEntries: 500, keys: "digest" });
    for (let index = 0; index < 2_000; index += 1) {
      cache.set(digest(index), index);
      if (index % 3 === 0) cache.delete(digest(index - 7));
    }
    expect(cache.size()).toBeLessThanOrEqual(500);
    for (const [key, value] of cache.entries()) {
      expect(cache.get(key)).toBe(value);
      expect(key).toBe(digest(value));
    }
  });

  it("refuse what does not end in a digest, and answer a read of it with a miss", () => {
    const cache = new MemoryCache<number>({ keys: "digest" });
    expect(() => cache.set("user:1", 1)).toThrow(/ERR_CACHE_INVALID_OPTION.*16 hexadecimal digits/);
    expect(() => cache.set("", 1)).toThrow(/ERR_CACHE_INVALID_OPTION/);
    expect(cache.get("user:1")).toBe(undefined);
    expect(cache.get("")).toBe(undefined);
    expect(cache.has("short")).toBe(false);
  });

  it("are told apart when they differ in their beginning alone", () => {
    const cache = new MemoryCache<string>({ keys: "digest" });
    const end = "f".repeat(32);
    cache.set(`chat:${end}`, "chat");
    cache.set(`image:${end}`, "image");
    expect([cache.get(`chat:${end}`), cache.get(`image:${end}`), cache.get(`embedding:${end}`)]).toEqual(["chat", "image", undefined]);
  });
});
