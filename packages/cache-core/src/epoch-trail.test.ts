import { describe, expect, test } from "vitest";
import { EpochTrail } from "./epoch-trail.ts";

function walk(...versions: ReadonlyArray<readonly [epoch: string, seq: number]>): { trail: EpochTrail; isPast: boolean[] } {
  const trail = new EpochTrail();
  return { trail, isPast: versions.map(([epoch, seq]) => trail.see({ epoch, seq }, trail.last)) };
}

describe("the trail of a lane's epochs", () => {
  test("finds a seq that went backwards, and an epoch that was left", () => {
    expect(walk(["a", 5], ["a", 5], ["a", 6], ["a", 5]).isPast).toEqual([false, false, false, true]);
    expect(walk(["a", 5], ["b", 0], ["a", 9], ["c", 0]).isPast).toEqual([false, false, true, false]);
  });

  test("does not go back to where it was before it was told of the past: an invalidation may have its place there", () => {
    expect(walk(["a", 5], ["b", 1], ["a", 9], ["b", 1], ["c", 0]).isPast).toEqual([false, false, true, true, false]);
    expect(walk(["a", 5], ["a", 4], ["a", 6]).isPast).toEqual([false, true, true]);
  });

  test("takes an answer for late that was asked for before something newer was told", () => {
    const { trail } = walk(["a", 5]);
    const asked = trail.last;
    trail.see({ epoch: "a", seq: 6 }, asked);
    expect(trail.see({ epoch: "a", seq: 5 }, asked)).toBe(false);
    trail.see({ epoch: "b", seq: 1 }, trail.last);
    expect(trail.see({ epoch: "a", seq: 6 }, asked)).toBe(false);
    expect(trail.last).toEqual({ epoch: "b", seq: 1 });
    expect(trail.see({ epoch: "a", seq: 6 }, trail.last)).toBe(true);
  });

  // Such an answer had ended the doubt, and entries were judged by the record that had just been found to lack invalidations.
  test("takes an overtaken answer for the past, too, once it was told of the past", () => {
    const { trail } = walk(["a", 5]);
    const asked = trail.last;
    expect(trail.see({ epoch: "a", seq: 4 }, asked)).toBe(true);
    expect(trail.see({ epoch: "a", seq: 5 }, asked)).toBe(true);
    expect(trail.see({ epoch: "b", seq: 0 }, asked)).toBe(false);
    expect(trail.last).toEqual({ epoch: "b", seq: 0 });
  });

  test("remembers many epochs, and not any number of them", () => {
    const epochs = Array.from({ length: 70 }, (_, index) => [`e${index}`, 0] as const);
    const { trail } = walk(...epochs);
    expect([trail.see({ epoch: "e4", seq: 0 }, trail.last), trail.see({ epoch: "e68", seq: 0 }, trail.last)]).toEqual([false, true]);
  });
});
