import fc from "fast-check";
import { expect, it } from "vitest";
import { LatestPlaces } from "./latest-places.ts";

it("keeps the places of the names told of last, and of no more than twice as many (property)", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 60 }), (count, told) => {
      const places = new LatestPlaces(count);
      const lastOf = new Map<string, number>();
      told.forEach((name, seq) => {
        places.note(`${name}`, seq);
        lastOf.set(`${name}`, seq);
      });
      const kept = [...lastOf].filter(([name]) => places.get(name) !== undefined);
      expect(kept.length).toBeLessThanOrEqual(2 * count);
      for (const [name, seq] of kept) expect(places.get(name)).toBe(seq);
      const latest = [...lastOf].sort(([, one], [, other]) => other - one).slice(0, count);
      for (const [name, seq] of latest) expect(places.get(name)).toBe(seq);
    }),
  );
});

it("is not taken back by an earlier place, in whichever generation the later one is", () => {
  const places = new LatestPlaces(2);
  for (const [name, seq] of [
    ["a", 5],
    ["a", 3],
    ["b", 6],
    ["c", 7],
    ["a", 4],
  ] as const)
    places.note(name, seq);
  expect(places.get("a")).toBe(5);
});

it("knows nothing of a name that it was not told of", () => {
  expect(new LatestPlaces(2).get("a")).toBe(undefined);
});
