import { CacheSuite } from "./cache-suite.ts";
import type { DescribeCacheOptions } from "./describe-cache-options.ts";
import { describeContents, KEYED_CALLS } from "./describe-contents.ts";
import { describeLists } from "./describe-lists.ts";
import { describeTimeToLive } from "./describe-time-to-live.ts";

/** Counters say what happened. */
function describeStats({ describe, it, expect, withCache }: CacheSuite): void {
  describe("stats", () => {
    it("counts each read once, as a hit or a miss, and has as neither", () =>
      withCache(async (cache) => {
        const before = cache.stats();
        await cache.set("key", null);
        await cache.get("key");
        await cache.get("absent");
        await cache.lookup("key");
        await cache.getMany(["key", "absent"]);
        await cache.has("key");
        const after = cache.stats();
        expect(after.hits - before.hits).toBe(3);
        expect(after.misses - before.misses).toBe(2);
        expect(after.sets - before.sets).toBe(1);
      }));
    it("gives snapshots that later calls do not change", () =>
      withCache(async (cache) => {
        const before = cache.stats();
        await cache.get("absent");
        expect(before.misses).toBe(0);
        expect(Object.isFrozen(before)).toBe(true);
      }));
    it("leaves the counters alone when it is cleared", () =>
      withCache(async (cache) => {
        await cache.get("absent");
        await cache.clear();
        expect(cache.stats().misses).toBe(1);
      }));
  });
}

/** A closed cache refuses work and still tells its counters. */
function describeClose({ describe, it, expect, when, options }: CacheSuite): void {
  describe("close", () => {
    it("may be closed twice, and by await using", async () => {
      const cache = await options.create({});
      await cache.close();
      await cache.close();
      await cache[Symbol.asyncDispose]();
    });
    const others: typeof KEYED_CALLS = [
      ["getMany of no keys", (cache) => cache.getMany([])],
      ["setMany of no entries", (cache) => cache.setMany([])],
      ["deleteMany of no keys", (cache) => cache.deleteMany([])],
      ["clear", (cache) => cache.clear()],
      ["size", (cache) => cache.size()],
    ];
    for (const [method, call] of [...KEYED_CALLS, ...others]) {
      when("closed-refused", `refuses ${method} after it was closed`, async () => {
        const cache = await options.create({});
        await cache.close();
        await expect((async () => call(cache, "key"))()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
      });
    }
    when("closed-refused", "is closed at the end of await using", async () => {
      const cache = await options.create({});
      await cache[Symbol.asyncDispose]();
      await expect((async () => cache.get("key"))()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    });
    it("tells its counters after it was closed", async () => {
      const cache = await options.create({});
      await cache.get("absent");
      await cache.close();
      expect(cache.stats()).toMatchObject({ hits: 0, misses: 1 });
    });
  });
}

/**
 * The conformance suite of the `Cache` contract: call it in a test file, once per implementation or combination. Every promise that
 * `Cache` makes in its doc comments has a test here.
 */
export function describeCache(name: string, options: DescribeCacheOptions): void {
  const suite = new CacheSuite(options);
  suite.describe(`${name} keeps the contract of a cache`, () => {
    describeContents(suite);
    describeLists(suite);
    describeTimeToLive(suite);
    describeStats(suite);
    describeClose(suite);
  });
}
