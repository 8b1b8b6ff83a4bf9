import type { CacheSuite } from "./cache-suite.ts";

/** Entries end when they should, and not before. */
export function describeTimeToLive({ describe, expect, when, withCache, inSteps, options }: CacheSuite): void {
  describe("time to live", () => {
    when("ttl", "keeps an entry until its time to live is over, and not longer", () =>
      inSteps((unit, mustBeWithin) =>
        withCache(async (cache) => {
          await cache.set("key", 1, { ttlMs: 100 * unit });
          await options.advance(20 * unit);
          const found = await cache.get("key");
          mustBeWithin(100);
          expect(found).toBe(1);
          await options.advance(100 * unit);
          expect(await cache.get("key")).toBe(undefined);
          expect(await cache.has("key")).toBe(false);
          expect(await cache.lookup("key")).toEqual({ status: "miss" });
        }),
      ),
    );
    when("ttl", "lets the time to live of a set win over the cache's own", () =>
      inSteps((unit, mustBeWithin) =>
        withCache(async (cache) => {
          await cache.set("short", 1);
          await cache.set("long", 1, { ttlMs: 1000 * unit });
          await options.advance(150 * unit);
          const found = await cache.getMany(["short", "long"]);
          mustBeWithin(1000);
          expect(found).toEqual([undefined, 1]);
        }, 100 * unit),
      ),
    );
    when("ttl", "starts the time anew when a value is replaced", () =>
      inSteps((unit, mustBeWithin) =>
        withCache(async (cache) => {
          await cache.set("key", 1, { ttlMs: 100 * unit });
          await options.advance(60 * unit);
          // Longer than the first, so that a store on a busy machine's clock is not late for it.
          await cache.set("key", 2, { ttlMs: 1000 * unit });
          await options.advance(60 * unit);
          const found = await cache.get("key");
          mustBeWithin(1000);
          expect(found).toBe(2);
        }),
      ),
    );
    when("ttl", "ends sooner when a value is replaced by one with a shorter time to live", () =>
      inSteps((unit) =>
        withCache(async (cache) => {
          await cache.set("key", 1, { ttlMs: 1000 * unit });
          await cache.set("key", 2, { ttlMs: 100 * unit });
          await options.advance(150 * unit);
          expect(await cache.get("key")).toBe(undefined);
        }),
      ),
    );
    when("ttl", "goes by its own time to live when a value is replaced by one without any", () =>
      inSteps((unit) =>
        withCache(async (cache) => {
          await cache.set("key", 1, { ttlMs: 1000 * unit });
          await cache.set("key", 2);
          await options.advance(150 * unit);
          expect(await cache.get("key")).toBe(undefined);
        }, 100 * unit),
      ),
    );
    when("ttl", "is not prolonged by reads of any kind", () =>
      inSteps((unit, mustBeWithin) =>
        withCache(async (cache) => {
          await cache.set("key", 1, { ttlMs: 100 * unit });
          await options.advance(60 * unit);
          const found = [await cache.get("key"), await cache.has("key"), await cache.lookup("key"), await cache.getMany(["key"])];
          mustBeWithin(100);
          expect(found).toMatchObject([1, true, { status: "hit" }, [1]]);
          await options.advance(60 * unit);
          expect(await cache.get("key")).toBe(undefined);
        }),
      ),
    );
    when("ttl", "keeps an entry of infinite time to live", () =>
      inSteps((unit) =>
        withCache(async (cache) => {
          await cache.set("key", 1, { ttlMs: Number.POSITIVE_INFINITY });
          await options.advance(500 * unit);
          expect(await cache.get("key")).toBe(1);
          expect(await cache.lookup("key")).toMatchObject({ status: "hit", remainingMs: Number.POSITIVE_INFINITY });
        }, 100 * unit),
      ),
    );
    when("ttl", "tells age and remaining time", () =>
      inSteps((unit, mustBeWithin) =>
        withCache(async (cache) => {
          await cache.set("key", 1, { ttlMs: 1000 * unit });
          await options.advance(100 * unit);
          const found = await cache.lookup("key");
          mustBeWithin(1000);
          if (found.status !== "hit") throw new Error(`expected a hit, got ${found.status}`);
          expect(found.ageMs).toBeGreaterThanOrEqual(99 * unit);
          expect(found.remainingMs).toBeGreaterThan(0);
          expect(found.remainingMs).toBeLessThanOrEqual(901 * unit);
        }),
      ),
    );
    when("ttl", "tells the age of the value that is there, not of one before it", () =>
      inSteps((unit, mustBeWithin) =>
        withCache(async (cache) => {
          await cache.set("key", 1, { ttlMs: 1000 * unit });
          await options.advance(100 * unit);
          await cache.set("key", 2, { ttlMs: 1000 * unit });
          const found = await cache.lookup("key");
          mustBeWithin(150);
          expect(found).toMatchObject({ status: "hit", value: 2 });
          expect(found.status === "hit" && found.ageMs < 100 * unit).toBe(true);
        }),
      ),
    );
    for (const ttlMs of [0, -5, Number.NaN, "10 seconds", null]) {
      when("bad-ttl-refused", `refuses a time to live of ${JSON.stringify(ttlMs) ?? ttlMs} and names it`, () =>
        withCache(async (cache) => {
          await cache.set("key", "kept");
          const wrong = { ttlMs: ttlMs as number };
          for (const set of [() => cache.set("key", "new", wrong), () => cache.setMany([["key", "new"]], wrong)]) {
            await expect((async () => set())()).rejects.toMatchObject({
              code: "ERR_CACHE_INVALID_OPTION",
              message: expect.stringContaining("ttlMs"),
            });
          }
          expect(await cache.get("key")).toBe("kept");
        }),
      );
    }
  });
}
