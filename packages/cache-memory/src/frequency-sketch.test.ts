import { describe, expect, it } from "vitest";
import { afterHit, COUNT_MASK, HOT, halveCounts, SAMPLED, VISITED } from "./entry-state.ts";
import { FrequencySketch, MAX_FREQUENCY } from "./frequency-sketch.ts";
import { hashKey } from "./hash-key.ts";

describe("FrequencySketch", () => {
  it("counts up to fifteen", () => {
    const sketch = new FrequencySketch(64);
    const hash = hashKey("key");
    for (let access = 1; access <= 40; access += 1) expect(sketch.increment(hash)).toBe(Math.min(MAX_FREQUENCY, access));
  });

  it("remembers nearly all of as many keys as it was made for, with their frequencies, halved when it is", () => {
    const sketch = new FrequencySketch(1_000);
    for (let index = 0; index < 1_000; index += 1) sketch.raise(hashKey(`key:${index}`), 2 + (index % 14));
    sketch.halve();
    let right = 0;
    for (let index = 0; index < 1_000; index += 1) {
      if (sketch.increment(hashKey(`key:${index}`)) === ((2 + (index % 14)) >> 1) + 1) right += 1;
    }
    expect(right).toBeGreaterThan(850);
  });

  it("does not know keys that it has not seen", () => {
    const sketch = new FrequencySketch(1_000);
    for (let index = 0; index < 30_000; index += 1) sketch.increment(hashKey(`seen:${index}`));
    let wrong = 0;
    for (let index = 0; index < 1_000; index += 1) if (sketch.increment(hashKey(`new:${index}`)) > 1) wrong += 1;
    expect(wrong).toBeLessThan(10);
  });

  it("keeps a frequent key through passers-by, but not for ever", () => {
    const sketch = new FrequencySketch(32);
    const hash = hashKey("frequent");
    // The same cell, other marks.
    const passerBy = (index: number): number => hash ^ (index + 1);
    sketch.raise(hash, 9);
    for (let index = 0; index < 5; index += 1) expect(sketch.increment(passerBy(index))).toBe(1);
    expect(sketch.increment(hash)).toBe(5);
    for (let index = 0; index < 6; index += 1) sketch.increment(passerBy(index));
    expect(sketch.increment(hash)).toBe(1);
  });
});

describe("the state byte", () => {
  it("counts hits up to fifteen and does not change any more", () => {
    let state = SAMPLED;
    for (let hit = 1; hit <= 40; hit += 1) {
      state = afterHit[state]!;
      expect(state).toBe(SAMPLED | VISITED | Math.min(15, hit));
    }
    expect(state & HOT).toBe(HOT);
  });

  it("is halved in its count alone, at any length of the column", () => {
    for (let length = 0; length < 20; length += 1) {
      const states = Uint8Array.from({ length }, (_, slot) => (slot * 37 + 11) & 0xff);
      const before = Array.from(states);
      halveCounts(states);
      expect(Array.from(states)).toEqual(before.map((state) => (state & ~COUNT_MASK) | ((state & COUNT_MASK) >> 1)));
    }
  });
});
