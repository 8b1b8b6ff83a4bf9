import { describe, expect, it } from "vitest";
import { MemoryCache, type MemoryCacheOptions } from "../src/index.ts";

describe("options", () => {
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
  ];
  for (const [name, options] of refused) {
    it(`are refused by name: ${name} in ${JSON.stringify(options)}`, () => {
      expect(() => new MemoryCache<number>(options)).toThrow(`[ERR_CACHE_INVALID_OPTION] ${name}`);
    });
  }

  it("refuse keys that are no strings, and sizes that are no numbers", () => {
    const cache = new MemoryCache<number>({ maxEntries: 10, sizeOf: () => Number.NaN });
    expect(() => cache.set(1 as unknown as string, 1)).toThrow("key must be a string");
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
