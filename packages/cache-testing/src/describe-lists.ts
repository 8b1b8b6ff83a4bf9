import type { CacheSuite } from "./cache-suite.ts";

/** Lists are answered item by item. */
export function describeLists({ describe, it, expect, when, withCache, inSteps, options }: CacheSuite): void {
  describe("many keys at once", () => {
    it("answers getMany in the order of the keys, undefined for each miss, and repeats included", () =>
      withCache(async (cache) => {
        expect(
          await cache.setMany([
            ["a", 1],
            ["b", null],
          ]),
        ).toEqual([true, true]);
        expect(await cache.getMany(["b", "absent", "a", "b"])).toEqual([null, undefined, 1, null]);
      }));
    it("answers empty lists with empty answers", () =>
      withCache(async (cache) => {
        expect(await cache.getMany([])).toEqual([]);
        expect(await cache.setMany([])).toEqual([]);
        expect(await cache.deleteMany([])).toBe(0);
      }));
    it("keeps the last of the values that setMany brings for one key", () =>
      withCache(async (cache) => {
        expect(
          await cache.setMany([
            ["a", 1],
            ["b", 2],
            ["a", 3],
          ]),
        ).toEqual([true, true, true]);
        expect(await cache.getMany(["a", "b"])).toEqual([3, 2]);
      }));
    when("ttl", "stores all of setMany for the time to live that it is given", () =>
      inSteps((unit, mustBeWithin) =>
        withCache(async (cache) => {
          const ttlMs = 100 * unit;
          await cache.setMany(
            [
              ["a", 1],
              ["b", 2],
            ],
            { ttlMs },
          );
          const found = await cache.getMany(["a", "b"]);
          mustBeWithin(100);
          expect(found).toEqual([1, 2]);
          await options.advance(150 * unit);
          expect(await cache.getMany(["a", "b"])).toEqual([undefined, undefined]);
        }),
      ),
    );
    it("counts what deleteMany dropped, and a key that it is given twice once", () =>
      withCache(async (cache) => {
        await cache.set("a", 1);
        await cache.set("b", 2);
        expect(await cache.deleteMany(["a", "absent", "b", "a"])).toBe(2);
        expect(await cache.getMany(["a", "b"])).toEqual([undefined, undefined]);
      }));
  });
}
