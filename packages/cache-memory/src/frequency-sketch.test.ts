import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { afterHit, COUNT_MASK, HOT, halveCounts, SAMPLED, VISITED } from "./entry-state.ts";
import { FrequencySketch } from "./frequency-sketch.ts";
import { hashKey } from "./hash-key.ts";

describe("FrequencySketch", () => {
  it("never tells less than the highest frequency it was raised to", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.integer({ min: 1, max: 15 })), { maxLength: 200 }), (raises) => {
        const sketch = new FrequencySketch(64);
        const highest = new Map<string, number>();
        for (const [key, frequency] of raises) {
          sketch.raise(hashKey(key), frequency);
          highest.set(key, Math.max(frequency, highest.get(key) ?? 0));
        }
        for (const [key, frequency] of highest) expect(sketch.frequency(hashKey(key))).toBeGreaterThanOrEqual(frequency);
        sketch.halve();
        for (const [key, frequency] of highest) expect(sketch.frequency(hashKey(key))).toBeGreaterThanOrEqual(frequency >> 1);
      }),
    );
  });

  it("is mostly right about keys it has not seen", () => {
    const sketch = new FrequencySketch(1_000);
    for (let index = 0; index < 3_000; index += 1) sketch.raise(hashKey(`seen:${index}`), 1 + (index % 4));
    let wrong = 0;
    for (let index = 0; index < 1_000; index += 1) if (sketch.frequency(hashKey(`new:${index}`)) > 0) wrong += 1;
    expect(wrong).toBeLessThan(200);
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
