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

describe("bytes of an entry", () => {
  it("grow with what is held, and count shared parts once", () => {
    const shared = { text: "x".repeat(1_000) };
    expect(bytesOfEntry("key", "x".repeat(1_000)) - bytesOfEntry("key", "")).toBe(1_000);
    expect(bytesOfEntry("key", "\u0100".repeat(1_000)) - bytesOfEntry("key", "")).toBe(2_000);
    expect(bytesOfEntry("key", new Float64Array(100)) - bytesOfEntry("key", new Float64Array(0))).toBe(800);
    expect(bytesOfEntry("key", [shared, shared])).toBeLessThan(bytesOfEntry("key", [shared, { ...shared }]));
    expect(bytesOfEntry("key", [1, 2, 3])).toBe(bytesOfEntry("key", [4, 5, 6]));
  });

  it("are estimated for objects too large to walk, within a factor of two", () => {
    const one = bytesOfEntry("key", [{ text: "x".repeat(100) }]) - bytesOfEntry("key", []);
    const many = bytesOfEntry(
      "key",
      Array.from({ length: 4_000 }, () => ({ text: "x".repeat(100) })),
    );
    expect(many).toBeGreaterThan(4_000 * one * 0.5);
    expect(many).toBeLessThan(4_000 * one * 2);
  });
});
