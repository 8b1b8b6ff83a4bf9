import { channel } from "node:diagnostics_channel";
import { ManualClock } from "@larder/cache-testing";
import { describe, expect, it } from "vitest";
import { MemoryCache } from "../src/index.ts";

describe("removals", () => {
  it("are told with key, value and cause, in order", () => {
    const clock = new ManualClock();
    const told: unknown[] = [];
    const cache = new MemoryCache<number>({ maxEntries: 2, clock, onRemoved: (...removal) => told.push(removal) });
    cache.set("a", 1);
    cache.set("a", 2); // 1. replaced
    cache.delete("a"); // 2. explicit
    cache.set("b", 3, { ttlMs: 10 });
    clock.advance(10);
    cache.get("b"); // 3. expired
    cache.set("c", 4);
    cache.set("d", 5);
    cache.set("e", 6); // 4. size
    cache.clear(); // 5. and 6. explicit
    expect(told.slice(0, 3)).toEqual([
      ["a", 1, "replaced"],
      ["a", 2, "explicit"],
      ["b", 3, "expired"],
    ]);
    expect(told.slice(3).map((removal) => (removal as unknown[])[2])).toEqual(["size", "explicit", "explicit"]);
  });

  it("tell that an entry's time was over also where another one takes its place, or its own key's next value", () => {
    const clock = new ManualClock();
    const told: unknown[] = [];
    const cache = new MemoryCache<number>({ maxEntries: 1, clock, onRemoved: (...removal) => told.push(removal) });
    cache.set("a", 1, { ttlMs: 10 });
    clock.advance(10);
    cache.set("a", 2, { ttlMs: 10 });
    clock.advance(10);
    cache.set("b", 3);
    cache.set("c", 4);
    expect(told).toEqual([
      ["a", 1, "expired"],
      ["a", 2, "expired"],
      ["b", 3, "size"],
    ]);
    expect(cache.stats()).toMatchObject({ expirations: 2, evictions: 1 });
  });

  it("are published without the value, under the cache's name, while somebody listens", () => {
    const heard: unknown[] = [];
    const listener = (message: unknown): void => {
      if ((message as { cache: string }).cache === "answers") heard.push(message);
    };
    const cache = new MemoryCache<string>({ name: "answers" });
    channel("larder:entry-removed").subscribe(listener);
    cache.set("key", "secret");
    cache.delete("key");
    channel("larder:entry-removed").unsubscribe(listener);
    cache.set("key", "secret");
    cache.delete("key");
    expect(heard).toEqual([{ cache: "answers", key: "key", cause: "explicit" }]);
  });

  it("let the listener call the cache, which it never sees half changed", () => {
    const cache: MemoryCache<number> = new MemoryCache<number>({
      maxEntries: 3,
      onRemoved: (key, value, cause) => {
        if (cause === "size" && value < 100) cache.set(`again:${key}`, value + 100);
      },
    });
    for (let index = 0; index < 50; index += 1) cache.set(`key:${index}`, index);
    expect(cache.size()).toBe(3);
    expect([...cache.keys()]).toHaveLength(3);
  });

  it("surface what a listener throws and leave the cache intact", async () => {
    const cache = new MemoryCache<number>({
      onRemoved: () => {
        throw new Error("listener");
      },
    });
    const others = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    const surfaced = new Promise<unknown>((resolve) => process.once("uncaughtException", resolve));
    cache.set("key", 1);
    expect(cache.delete("key")).toBe(true);
    expect(await surfaced).toMatchObject({ message: "listener" });
    for (const other of others) process.on("uncaughtException", other);
    expect(cache.size()).toBe(0);
  });
});

describe("close", () => {
  it("tells what was held, and every method but stats refuses afterwards", () => {
    const told: string[] = [];
    const cache = new MemoryCache<number>({ onRemoved: (key) => told.push(key) });
    cache.set("key", 1);
    cache.close();
    cache.close();
    expect(told).toEqual(["key"]);
    const calls: Array<() => unknown> = [
      () => cache.get("key"),
      () => cache.lookup("key"),
      () => cache.set("key", 1),
      () => cache.has("key"),
      () => cache.delete("key"),
      () => cache.getMany(["key"]),
      () => cache.setMany([["key", 1]]),
      () => cache.deleteMany(["key"]),
      () => cache.getMany([]),
      () => cache.setMany([]),
      () => cache.deleteMany([]),
      () => cache.clear(),
      () => cache.size(),
      () => [...cache.keys()],
      () => [...cache.entries()],
      () => cache.dump(),
      () => cache.removeExpired(),
    ];
    for (const call of calls) expect(call).toThrow(/ERR_CACHE_CLOSED/);
    expect(cache.stats().sets).toBe(1);
  });
});
