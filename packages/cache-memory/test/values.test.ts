import { describe, expect, it } from "vitest";
import { bytesOfEntry, MemoryCache } from "../src/index.ts";

interface Answer {
  readonly role: string;
  readonly parts: string[];
}

describe("who may change a value", () => {
  it("shares the very object by default", () => {
    const cache = new MemoryCache<Answer>();
    const value: Answer = { role: "assistant", parts: ["a"] };
    cache.set("key", value);
    expect(cache.get("key")).toBe(value);
  });

  it("clones on the way in and out: neither the setter's nor a reader's changes are seen by others", () => {
    const cache = new MemoryCache<Answer>({ values: "cloned" });
    const value: Answer = { role: "assistant", parts: ["a"] };
    cache.set("key", value);
    value.parts.push("setter");
    cache.get("key")?.parts.push("reader");
    expect(cache.get("key")).toEqual({ role: "assistant", parts: ["a"] });
    for (const [, listed] of cache.entries()) listed.parts.push("iterator");
    cache.dump().entries[0]?.value.parts.push("dump");
    const found = cache.lookup("key");
    if (found.status === "hit") found.value.parts.push("lookup");
    expect(cache.get("key")).toEqual({ role: "assistant", parts: ["a"] });
  });

  it("keeps a copied value without a time to live when the first one with a time comes in", () => {
    const cache = new MemoryCache<{ readonly seen: Map<string, number> }>({ values: "frozen" });
    cache.set("for ever", { seen: new Map([["a", 1]]) });
    cache.set("for a second", { seen: new Map() }, { ttlMs: 1_000 });
    expect(cache.get("for ever")).toEqual({ seen: new Map([["a", 1]]) });
    expect(cache.lookup("for ever")).toMatchObject({ status: "hit", remainingMs: Number.POSITIVE_INFINITY });
  });

  it("freezes deeply, so that a change throws", () => {
    const cache = new MemoryCache<Answer>({ values: "frozen" });
    cache.set("key", { role: "assistant", parts: ["a"] });
    expect(() => cache.get("key")?.parts.push("reader")).toThrow(TypeError);
    expect(cache.get("key")).toBe(cache.get("key"));
  });

  it("copies what freezing does not protect", () => {
    const cache = new MemoryCache<{ readonly bytes: Uint8Array; readonly seen: Map<string, number> }>({ values: "frozen" });
    cache.set("key", { bytes: new Uint8Array([1, 2]), seen: new Map([["a", 1]]) });
    const first = cache.get("key");
    if (first) first.bytes[0] = 9;
    first?.seen.set("a", 9);
    expect(cache.get("key")).toEqual({ bytes: new Uint8Array([1, 2]), seen: new Map([["a", 1]]) });
  });

  it("refuses what cannot be cloned, without quoting it, and keeps the former value", () => {
    const cache = new MemoryCache<unknown>({ values: "cloned" });
    cache.set("key", "kept");
    expect(() => cache.set("key", { secret: () => "s3cret" })).toThrow(/ERR_CACHE_CODEC/);
    expect(() => cache.set("key", { secret: () => "s3cret" })).not.toThrow(/s3cret/);
    expect(cache.get("key")).toBe("kept");
  });

  it("clones cycles", () => {
    const cache = new MemoryCache<Record<string, unknown>>({ values: "frozen" });
    const value: Record<string, unknown> = { name: "loop" };
    value.self = value;
    cache.set("key", value);
    expect(cache.get("key")?.self).toBe(cache.get("key"));
  });
});

describe("frozen values", () => {
  it("may be functions, with a time to live as well as without one", () => {
    const cache = new MemoryCache<() => number>({ values: "frozen", ttlMs: 1_000 });
    cache.set("key", Math.random);
    expect(cache.get("key")).toBe(Math.random);
    expect([...cache.entries()]).toEqual([["key", Math.random]]);
  });

  it("are frozen under symbols and in fields that are not enumerated, too", () => {
    const mark = Symbol("mark");
    const cache = new MemoryCache<object>({ values: "frozen" });
    const hidden = Object.defineProperty({ [mark]: { parts: [1] } }, "inner", { value: { parts: [1] }, enumerable: false });
    cache.set("key", hidden);
    const read = cache.get("key") as typeof hidden & { inner: { parts: number[] } };
    expect(() => read[mark].parts.push(2)).toThrow(TypeError);
    expect(() => read.inner.parts.push(2)).toThrow(TypeError);
  });

  it("are copied where a getter hides behind a symbol", () => {
    let count = 0;
    const mark = Symbol("mark");
    const cache = new MemoryCache<object>({ values: "frozen" });
    const value = Object.defineProperty({ plain: 1 }, mark, { get: () => (count += 1), enumerable: true });
    cache.set("key", value);
    expect(Object.isFrozen(value)).toBe(false);
    expect(cache.get("key")).not.toBe(value);
  });
});

describe("bytes of an entry", () => {
  it("grow with what is held, and count shared parts once", () => {
    const shared = { text: "x".repeat(1_000) };
    expect(bytesOfEntry("key", "x".repeat(1_000)) - bytesOfEntry("key", "")).toBe(1_000);
    expect(bytesOfEntry("key", "\u0100".repeat(1_000)) - bytesOfEntry("key", "")).toBe(2_000);
    expect(bytesOfEntry("key", new Float64Array(100)) - bytesOfEntry("key", new Float64Array(0))).toBe(800);
    expect(bytesOfEntry("key", [shared, shared])).toBeLessThan(bytesOfEntry("key", [shared, { ...shared }]));
    expect(bytesOfEntry("key", [1, 2, 3])).toBe(bytesOfEntry("key", [4, 5, 6]));
  });

  it("count an integer of any length by its digits, in an object too", () => {
    const integer = 2n ** 80_000n;
    for (const value of [integer, { integer }, [integer, -integer]])
      expect(bytesOfEntry("key", value) - bytesOfEntry("key", [])).toBeGreaterThan(9_900);
    expect(bytesOfEntry("key", 1n) - bytesOfEntry("key", 1)).toBeLessThan(32);
  });

  const many = <T>(length: number, make: (index: number) => T): T[] => Array.from({ length }, (_, index) => make(index));
  const large: ReadonlyArray<readonly [string, unknown, number]> = [
    ["objects in an array", many(4_000, () => ({ text: "x".repeat(100) })), 4_000 * 148],
    ["strings in an array, however many", many(100_000, () => "x".repeat(1_024)), 100_000 * 1_048],
    ["objects of different sizes in an array", many(100_000, (index) => ({ index, text: "x".repeat(index % 200) })), 100_000 * 155.5],
    [
      "objects that hold arrays of objects",
      many(5_000, () => ({ list: many(10, (index) => ({ text: "x".repeat(10 * index) })) })),
      4_890_000,
    ],
    ["vectors of numbers", { data: many(300, () => ({ vector: many(1_536, (index) => index / 7) })) }, 300 * 12_336],
    ["a Map", new Map(many(200_000, (index) => [`key:${index}`, { index }])), 200_000 * 82],
    ["a Set", new Set(many(200_000, (index) => `key:${index}`)), 200_000 * 58],
    ["an object with many names", Object.fromEntries(many(100_000, (index) => [`key:${index}`, { index }])), 100_000 * 81],
  ];
  it.each(large)("are estimated for what is too large to walk, within a factor of two: %s", (_, value, expected) => {
    const bytes = bytesOfEntry("key", value);
    expect(bytes).toBeGreaterThan(expected / 2);
    expect(bytes).toBeLessThan(expected * 2);
  });

  it("take as many steps for a large Map as for a small one", () => {
    let steps = 0;
    class Counted extends Map<number, number> {
      override *entries(): MapIterator<[number, number]> {
        for (const entry of super.entries()) {
          steps += 1;
          yield entry;
        }
      }
    }
    bytesOfEntry("key", new Counted(many(100_000, (index) => [index, index])));
    expect(steps).toBeGreaterThan(0);
    expect(steps).toBeLessThan(5_000);
  });
});
