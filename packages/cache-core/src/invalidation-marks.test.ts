import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matchesGlob } from "./glob.ts";
import { InvalidationMarks } from "./invalidation-marks.ts";

type Mark = readonly ["tag" | "pattern" | "all", string];

const marks: fc.Arbitrary<Mark> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant("tag" as const), fc.constantFrom("a", "b", "c")) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("pattern" as const), fc.constantFrom("1*", "?2", "*3", "12")) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("all" as const), fc.constant("")) },
);
const entries = fc.record({
  key: fc.constantFrom("11", "12", "22", "23", "13"),
  tags: fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"), { maxLength: 3 }),
});

function take(known: InvalidationMarks, [kind, subject]: Mark): void {
  if (kind === "tag") known.markTag(subject);
  else if (kind === "pattern") known.markPattern(subject);
  else known.markAll();
}

const drops = ([kind, subject]: Mark, key: string, tags: readonly string[]): boolean =>
  kind === "all" || (kind === "tag" ? tags.includes(subject) : matchesGlob(subject, key));

describe("what a process knows of invalidations", () => {
  it("drops what any of them since its capture means, and nothing else while few are known", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(marks, entries), { maxLength: 30 }), (steps) => {
        const known = new InvalidationMarks();
        // One entry is captured before each of them, and one before the first.
        const captured = steps.map(([mark, entry]) => {
          const { epoch } = known;
          take(known, mark);
          return { epoch, ...entry };
        });
        for (const [index, { epoch, key, tags }] of captured.entries()) {
          const isDropped = steps.slice(index).some(([mark]) => drops(mark, key, tags));
          expect(known.isValid(epoch, key, tags)).toBe(!isDropped);
        }
        for (const { key, tags } of captured) expect(known.isValid(known.epoch, key, tags)).toBe(true);
      }),
    );
  });

  it.each<[string, number, (index: number) => Mark, isToldApart: boolean]>([
    ["tags", 10_001, (index) => ["tag", `t${index}`], true],
    ["patterns", 33, (index) => ["pattern", `t${index}*`], true],
    ["patterns too long to be kept", 1, () => ["pattern", `t*${"?".repeat(2_000)}`], false],
  ])("drops too much rather than too little when there are more %s than are told apart", (_, count, markOf, isToldApart) => {
    const known = new InvalidationMarks();
    const isValid = (epoch: number, [, subject]: Mark): boolean => known.isValid(epoch, subject.replaceAll("?", "x"), [subject]);
    const all = Array.from({ length: count }, (_, index) => markOf(index));
    for (let round = 0; round < 2; round += 1) {
      const { epoch } = known;
      const wrong = all.filter((mark) => {
        const before = known.epoch;
        take(known, mark);
        return isValid(before, mark) || !isValid(known.epoch, mark);
      });
      expect(wrong).toEqual([]);
      expect(all.filter((mark) => isValid(epoch, mark))).toEqual([]);
      // What is told apart is bounded: an entry of which none of them speaks has gone, too,
      expect(known.isValid(epoch, "another", ["another"])).toBe(false);
    }
    // and from then on they are told apart again.
    const { epoch } = known;
    take(known, markOf(count));
    expect(known.isValid(epoch, "another", ["another"])).toBe(isToldApart);
  });

  it("takes a pattern that comes again and again for one", () => {
    const known = new InvalidationMarks();
    const { epoch } = known;
    for (let round = 0; round < 100; round += 1) {
      const before = known.epoch;
      known.markPattern("a:*");
      expect([known.isValid(before, "a:1", []), known.isValid(epoch, "b:1", [])]).toEqual([false, true]);
    }
  });

  it("goes on telling tags apart that it knows already, however many it knows", () => {
    const known = new InvalidationMarks();
    for (let index = 0; index < 10_000; index += 1) known.markTag(`t${index}`);
    const { epoch } = known;
    known.markTag("t5");
    expect([known.isValid(epoch, "k", ["t5"]), known.isValid(epoch, "k", ["t6"])]).toEqual([false, true]);
  });
});
