import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countBeladyHits } from "./belady.ts";
import { peerPolicies } from "./peer-policies.ts";
import { synthesizeTraces } from "./traces.ts";
import { WindowClimber } from "./window-climber.ts";

// Each peer is held to a model that is as short and as slow as its description: arrays from the newest to the oldest.

type NaivePolicy = (capacity: number) => (key: number) => boolean;

interface Counted {
  readonly key: number;
  count: number;
}

const naiveLru: NaivePolicy = (capacity) => {
  let keys: number[] = [];
  return (key) => {
    const isHit = keys.includes(key);
    keys = [key, ...keys.filter((other) => other !== key)].slice(0, capacity);
    return isHit;
  };
};

const naiveFifo: NaivePolicy = (capacity) => {
  let keys: number[] = [];
  return (key) => {
    if (keys.includes(key)) return true;
    keys = [key, ...keys].slice(0, capacity);
    return false;
  };
};

const naiveClock: NaivePolicy = (capacity) => {
  const entries: Counted[] = [];
  return (key) => {
    const found = entries.find((entry) => entry.key === key);
    if (found) {
      found.count = 1;
      return true;
    }
    while (entries.length >= capacity) {
      const oldest = entries.pop()!;
      if (oldest.count === 0) break;
      oldest.count = 0;
      entries.unshift(oldest);
    }
    entries.unshift({ key, count: 0 });
    return false;
  };
};

const naiveSieve: NaivePolicy = (capacity) => {
  const entries: Counted[] = [];
  let hand: Counted | undefined;
  return (key) => {
    const found = entries.find((entry) => entry.key === key);
    if (found) {
      found.count = 1;
      return true;
    }
    if (entries.length >= capacity) {
      let at = hand ? entries.indexOf(hand) : entries.length - 1;
      while (entries[at]!.count === 1) {
        entries[at]!.count = 0;
        at = at === 0 ? entries.length - 1 : at - 1;
      }
      hand = entries[at - 1];
      entries.splice(at, 1);
    }
    entries.unshift({ key, count: 0 });
    return false;
  };
};

const naiveLfu: NaivePolicy = (capacity) => {
  // From the most to the least recently used.
  let entries: Counted[] = [];
  return (key) => {
    const found = entries.find((entry) => entry.key === key);
    if (!found && entries.length >= capacity) {
      const fewest = Math.min(...entries.map(({ count }) => count));
      const victim = entries.findLast(({ count }) => count === fewest);
      entries = entries.filter((entry) => entry !== victim);
    }
    entries = [{ key, count: (found?.count ?? 0) + 1 }, ...entries.filter((entry) => entry !== found)];
    return found !== undefined;
  };
};

const naiveS3 =
  (promotionCount: number): NaivePolicy =>
  (capacity) => {
    const smallCapacity = Math.max(1, Math.floor(capacity * 0.1));
    const mainCapacity = capacity - smallCapacity;
    const small: Counted[] = [];
    const main: Counted[] = [];
    let ghosts: number[] = [];
    const evictSmall = (): void => {
      const oldest = small.pop()!;
      if (oldest.count >= promotionCount) main.unshift({ key: oldest.key, count: 0 });
      else ghosts = [oldest.key, ...ghosts].slice(0, Math.max(1, mainCapacity));
    };
    const evictMain = (): void => {
      while (main.at(-1)!.count > 0) {
        const oldest = main.pop()!;
        oldest.count -= 1;
        main.unshift(oldest);
      }
      main.pop();
    };
    return (key) => {
      const found = [...small, ...main].find((entry) => entry.key === key);
      if (found) {
        found.count = Math.min(3, found.count + 1);
        return true;
      }
      const isGhost = ghosts.includes(key);
      ghosts = ghosts.filter((other) => other !== key);
      while (small.length + main.length >= capacity) {
        const isSmallsTurn = main.length === 0 || (main.length <= mainCapacity && small.length >= smallCapacity);
        if (isSmallsTurn) evictSmall();
        else evictMain();
      }
      (isGhost ? main : small).unshift({ key, count: 0 });
      return false;
    };
  };

/** Figure 4 of the paper, case by case: t1, t2 hold, b1, b2 remember; index 0 is the most recently used. */
const naiveArc: NaivePolicy = (capacity) => {
  let [t1, t2, b1, b2]: number[][] = [[], [], [], []];
  let target = 0;
  const without = (list: readonly number[], key: number): number[] => list.filter((other) => other !== key);
  const replace = (isInB2: boolean): void => {
    if (t1!.length > 0 && (t1!.length > target || (isInB2 && t1!.length === target))) b1 = [t1!.pop()!, ...b1!];
    else if (t2!.length > 0) b2 = [t2!.pop()!, ...b2!];
  };
  return (key) => {
    if (t1!.includes(key) || t2!.includes(key)) {
      t1 = without(t1!, key);
      t2 = [key, ...without(t2!, key)];
      return true;
    }
    if (b1!.includes(key)) {
      target = Math.min(capacity, target + Math.max(1, b2!.length / b1!.length));
      replace(false);
      b1 = without(b1!, key);
      t2 = [key, ...t2!];
    } else if (b2!.includes(key)) {
      target = Math.max(0, target - Math.max(1, b1!.length / b2!.length));
      replace(true);
      b2 = without(b2!, key);
      t2 = [key, ...t2!];
    } else {
      if (t1!.length + b1!.length === capacity) {
        if (t1!.length < capacity) {
          b1!.pop();
          replace(false);
        } else t1!.pop();
      } else if (t1!.length + t2!.length + b1!.length + b2!.length >= capacity) {
        if (t1!.length + t2!.length + b1!.length + b2!.length === 2 * capacity) b2!.pop();
        replace(false);
      }
      t1 = [key, ...t1!];
    }
    return false;
  };
};

const models: Readonly<Record<string, NaivePolicy>> = {
  LRU: naiveLru,
  FIFO: naiveFifo,
  CLOCK: naiveClock,
  SIEVE: naiveSieve,
  LFU: naiveLfu,
  "S3-FIFO": naiveS3(2),
  "S3-FIFO, promoting at one": naiveS3(1),
  ARC: naiveArc,
};

const UNIVERSE = 40;
const trace = fc.array(fc.nat(UNIVERSE - 1), { maxLength: 300 });
const capacity = fc.integer({ min: 2, max: 20 });

describe("simulated peers", () => {
  for (const [name, model] of Object.entries(models)) {
    it(`${name} hits and misses exactly as its naive model does`, () => {
      fc.assert(
        fc.property(trace, capacity, (keys, size) => {
          const policy = peerPolicies[name]!(size, UNIVERSE);
          const naive = model(size);
          expect(keys.map((key) => policy.access(key))).toEqual(keys.map(naive));
        }),
        { numRuns: 200 },
      );
    });
  }

  for (const name of Object.keys(peerPolicies)) {
    it(`${name} never holds more than its capacity, and hits on what was just asked for`, () => {
      fc.assert(
        fc.property(trace, capacity, (keys, size) => {
          const policy = peerPolicies[name]!(size, UNIVERSE);
          for (const key of keys) policy.access(key);
          // A policy of `size` keys cannot have hit more often than the optimum.
          const replay = peerPolicies[name]!(size, UNIVERSE);
          const hits = keys.filter((key) => replay.access(key)).length;
          expect(hits).toBeLessThanOrEqual(countBeladyHits(Int32Array.from(keys), size, UNIVERSE));
        }),
        { numRuns: 100 },
      );
    });
  }

  it("W-TinyLFU keeps what is hot through a scan", () => {
    const fixed = peerPolicies["W-TinyLFU, 1 % window"]!(100, 5_000);
    const hot = (): number => Array.from({ length: 80 }, (_, key) => fixed.access(key)).filter(Boolean).length;
    for (let round = 0; round < 20; round += 1) hot();
    for (let key = 1_000; key < 3_000; key += 1) fixed.access(key);
    expect(hot()).toBeGreaterThan(70);
  });

  it("the climber goes on while hits rise, turns round when they fall, and starts anew on a great change", () => {
    const climber = new WindowClimber(160);
    // Samples of 1600 accesses, of which so many hit: the step is told with the last one.
    const sample = (hits: number): number => {
      let step = 0;
      for (let access = 0; access < 1_600; access += 1) step = climber.record(access < hits);
      return step;
    };
    expect(sample(400)).toBe(10); // up from nothing: on, and a great change keeps the step at 6.25 %
    expect(sample(420)).toBe(10);
    expect(sample(430)).toBe(9); // each step a little smaller
    expect(sample(410)).toBe(-9); // down: turns round
    expect(sample(900)).toBe(-9); // up again by far: on in this direction,
    expect(sample(910)).toBe(-10); // and from the first step anew
  });
});

describe("Belady's optimum", () => {
  it("is what an exhaustive search for the best victim finds", () => {
    const best = (keys: readonly number[], size: number, at = 0, held: readonly number[] = []): number => {
      if (at === keys.length) return 0;
      const key = keys[at]!;
      if (held.includes(key)) return 1 + best(keys, size, at + 1, held);
      if (held.length < size) return best(keys, size, at + 1, [...held, key]);
      return Math.max(...held.map((victim) => best(keys, size, at + 1, [...held.filter((other) => other !== victim), key])));
    };
    fc.assert(
      fc.property(fc.array(fc.nat(5), { maxLength: 11 }), fc.integer({ min: 1, max: 3 }), (keys, size) => {
        expect(countBeladyHits(Int32Array.from(keys), size, 6)).toBe(best(keys, size));
      }),
      { numRuns: 100 },
    );
  });
});

describe("synthetic workloads", () => {
  it("are the same for the same seed, with dense keys", () => {
    const [first] = synthesizeTraces(2_000, 7);
    const [second] = synthesizeTraces(2_000, 7);
    expect(first).toEqual(second);
    expect(Math.max(...first!.keys)).toBe(first!.universe - 1);
  });
});
