import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type Cache, createCounters, type SyncCache, snapshotStats } from "../src/index.ts";
import { ExactCache } from "../src/keys.ts";

/** The plainest store that keeps the contract. */
function createStore<V>(): SyncCache<V> & { readonly keys: () => string[] } {
  const entries = new Map<string, V>();
  return {
    keys: () => [...entries.keys()],
    get: (key) => entries.get(key),
    lookup: () => ({ status: "miss" }),
    set: (key, value) => entries.set(key, value) !== undefined,
    has: (key) => entries.has(key),
    delete: (key) => entries.delete(key),
    getMany: (keys) => keys.map((key) => entries.get(key)),
    setMany: (pairs) => pairs.map(([key, value]) => entries.set(key, value) !== undefined),
    deleteMany: (keys) => keys.filter((key) => entries.delete(key)).length,
    clear: () => entries.clear(),
    size: () => entries.size,
    stats: () => snapshotStats(createCounters()),
    close: () => {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

const request = { user_message: "hi", system_prompt: "be brief", model: "m", temperature: 1, max_tokens: 5 };

describe("ExactCache (seed S3)", () => {
  test("gives back what was put for the same request, at once over a synchronous store", () => {
    const cache = new ExactCache<string>(createStore<string>());
    expect(cache.get(request)).toBeUndefined();
    expect(cache.put(request, "answer")).toBe(true);
    expect(cache.get({ ...request })).toBe("answer");
    expect(cache.get(Object.fromEntries(Object.entries(request).reverse()))).toBe("answer");
    expect(cache.get(Buffer.from(JSON.stringify(request).replace('"temperature":1', '"temperature":1.0')))).toBe("answer");
  });

  test("keeps the values that are not undefined", () => {
    const cache = new ExactCache<unknown>(createStore());
    for (const value of [null, false, 0, ""]) {
      cache.put({ value }, value);
      expect(cache.get({ value })).toBe(value);
    }
    expect(cache.stats()).toMatchObject({ hits: 4, misses: 0 });
  });

  test("misses when any field differs, in every field", () => {
    const cache = new ExactCache<string>(createStore<string>());
    cache.put(request, "answer");
    for (const name of [...Object.keys(request), "tools", "user", "stream"])
      expect(cache.get({ ...request, [name]: "other" })).toBeUndefined();
  });

  // Seed W3.1.
  test("does not let a field run into the next", () => {
    const cache = new ExactCache<string>(createStore<string>());
    cache.put({ user_message: "a\0b", system_prompt: "c" }, "first");
    expect(cache.get({ user_message: "a", system_prompt: "b\0c" })).toBeUndefined();
  });

  // Seed W3.2.
  test("takes 1 and 1.0 for one temperature, and lone surrogates as they are", () => {
    const cache = new ExactCache<string>(createStore<string>());
    cache.put(Buffer.from('{"temperature":1.0}'), "warm");
    expect(cache.get({ temperature: 1 })).toBe("warm");
    cache.put({ user_message: "\ud800" }, "half");
    expect(cache.get({ user_message: "\ud800" })).toBe("half");
    expect(cache.get({ user_message: "\ud801" })).toBeUndefined();
  });

  test("uses the endpoint's table when it is told the endpoint", () => {
    const cache = new ExactCache<string>(createStore<string>(), { endpoint: "chat" });
    cache.put({ model: "m", messages: [], stream: true }, "answer");
    expect(cache.get({ model: "m", messages: [], user: "ann" })).toBe("answer");
    expect(cache.get({ model: "m", messages: [], seed: 1 })).toBeUndefined();
  });

  test("does not see another tenant's or namespace's answers in the same store", () => {
    const store = createStore<string>();
    new ExactCache(store, { tenant: "a" }).put(request, "answer");
    expect(new ExactCache(store, { tenant: "b" }).get(request)).toBeUndefined();
    expect(new ExactCache(store, { tenant: "a", namespace: "n" }).get(request)).toBeUndefined();
    expect(new ExactCache(store, { tenant: "a" }).get(request)).toBe("answer");
  });

  test("invalidates one request and says whether it was there", () => {
    const cache = new ExactCache<string>(createStore<string>());
    cache.put(request, "answer");
    expect(cache.invalidate(request)).toBe(true);
    expect(cache.invalidate(request)).toBe(false);
    expect(cache.get(request)).toBeUndefined();
  });

  test("invalidates in every tier when the store can", async () => {
    const store = createStore<string>();
    const told: string[] = [];
    const tiers = {
      ...store,
      invalidate: async (key: string) => {
        told.push(key);
        store.delete(key);
        return { propagated: true, pending: 0 };
      },
    };
    const cache = new ExactCache<string>(tiers);
    cache.put(request, "answer");
    expect(await cache.invalidate(request)).toBe(true);
    expect(await cache.invalidate(request)).toBe(false);
    expect(told).toEqual([cache.keyOf(request), cache.keyOf(request)]);
  });

  test("deletes in a second tier, whose own invalidate takes a target and no key", async () => {
    const store = createStore<string>();
    const told: unknown[] = [];
    const tier = { ...store, reserve: async () => undefined, invalidate: async (target: unknown) => told.push(target) };
    const cache = new ExactCache<string>(tier);
    cache.put(request, "answer");
    expect(await cache.invalidate(request)).toBe(true);
    expect(await cache.get(request)).toBeUndefined();
    expect(told).toEqual([]);
  });

  test("counts hits and misses, and has a hit rate of 0 before the first read", () => {
    const cache = new ExactCache<string>(createStore<string>());
    expect(cache.stats()).toEqual({ hits: 0, misses: 0, size: 0, total: 0, hitRate: 0 });
    cache.get(request);
    cache.put(request, "answer");
    for (let index = 0; index < 3; index += 1) cache.get(request);
    expect(cache.stats()).toEqual({ hits: 3, misses: 1, size: 1, total: 4, hitRate: 0.75 });
  });

  test("clear empties the store and zeroes the counters", () => {
    const cache = new ExactCache<string>(createStore<string>());
    cache.get(request);
    cache.put(request, "answer");
    cache.get(request);
    cache.clear();
    expect(cache.stats()).toEqual({ hits: 0, misses: 0, size: 0, total: 0, hitRate: 0 });
  });

  test("works over a store that answers later", async () => {
    const store = createStore<string>();
    const later: Cache<string> = {
      ...store,
      get: async (key) => store.get(key),
      set: async (key, value) => store.set(key, value),
      delete: async (key) => store.delete(key),
      size: async () => store.size(),
      clear: async () => store.clear(),
    };
    const cache = new ExactCache<string>(later);
    expect(await cache.get(request)).toBeUndefined();
    expect(await cache.put(request, "answer")).toBe(true);
    expect(await cache.get(request)).toBe("answer");
    expect(await cache.invalidate(request)).toBe(true);
    expect(await cache.stats()).toEqual({ hits: 1, misses: 1, size: 0, total: 2, hitRate: 0.5 });
  });

  test("waits for a store's async functions where another class stands in the place of Promise, as with zone.js and bluebird", async () => {
    vi.stubGlobal("Promise", class OtherPromise<T> extends Promise<T> {});
    onTestFinished(() => void vi.unstubAllGlobals());
    const store = createStore<string>();
    const later: Cache<string> = { ...store, get: async (key) => store.get(key), size: async () => store.size() };
    const cache = new ExactCache<string>(later);
    expect(await cache.get(request)).toBeUndefined();
    expect(await cache.stats()).toEqual({ hits: 0, misses: 1, size: 0, total: 1, hitRate: 0 });
  });

  test("puts neither prompt nor tenant into its keys", () => {
    const store = createStore<string>();
    new ExactCache(store, { tenant: "canary" }).put({ ...request, user_message: "canary" }, "answer");
    expect(store.keys().join()).not.toContain("canary");
  });

  test("refuses a request that has no one reading", () => {
    const cache = new ExactCache<string>(createStore<string>());
    expect(() => cache.get({ temperature: Number.NaN })).toThrow("ERR_CACHE_INVALID_REQUEST");
    expect(() => cache.put(Buffer.from('{"a":1,"a":2}'), "answer")).toThrow("ERR_CACHE_INVALID_REQUEST");
  });

  test("refuses what is no cache when it is made, and not at the first request", () => {
    for (const store of [undefined, null, {}, "redis://127.0.0.1"])
      expect(() => new ExactCache(store as never)).toThrow(
        "[ERR_CACHE_INVALID_OPTION] cache.get must be a function of a Cache such as MemoryCache",
      );
  });
});
