import { KeySpace } from "@larder/cache-core";
import { ManualClock } from "@larder/cache-testing";
import { describe, expect, test } from "vitest";
import type { KeySurvey, Pacing, SurveyPage } from "./key-survey.ts";
import type { Lane } from "./lane.ts";
import { Sweeper } from "./sweeper.ts";

/** A sweeper over one page of so many keys, on a server that takes `callMs` for each call. `startedAt` counts from its making. */
function create({ keys, callMs }: { readonly keys: number; readonly callMs: number }) {
  const clock = new ManualClock();
  const createdAt = clock.now();
  const startedAt: number[] = [];
  const sizes: number[] = [];
  let isFailing = false;
  const call = async (): Promise<void> => {
    startedAt.push(clock.now() - createdAt);
    await new Promise<void>((resolve) => clock.setTimer(resolve, callMs));
  };
  const lane = {
    index: 0,
    run: async (_script: unknown, redisKeys: readonly string[]) => {
      sizes.push(redisKeys.length - 1);
      await call();
      if (isFailing) {
        isFailing = false;
        throw new Error("Redis is away");
      }
      return redisKeys.length - 1;
    },
  } as unknown as Lane;
  const survey = {
    async *pages(_count: number, paced: Pacing): AsyncGenerator<SurveyPage> {
      await paced(call);
      yield { lane, redisKeys: Array.from({ length: keys }, (_, index) => `key:${index}`) };
    },
  } as unknown as KeySurvey;
  let swept = 0;
  const keySpace = new KeySpace({ namespace: "test" });
  const sweeper = new Sweeper({ survey, keySpace, clock, onSwept: (count) => (swept += count) });
  return { clock, sweeper, startedAt, sizes, swept: () => swept, failNext: () => (isFailing = true) };
}

describe("a sweep", () => {
  test("frees few keys a call, and rests four times as long as each call took", async () => {
    const { clock, sweeper, startedAt, sizes, swept } = create({ keys: 35, callMs: 2 });
    sweeper.sweepSoon();
    await clock.advanceAsync(1_000);
    expect(sizes).toEqual([16, 16, 3]);
    expect(startedAt).toEqual([0, 10, 20, 30]);
    expect(swept()).toBe(35);
  });

  test("rests a millisecond after the quickest call, and a quarter of a second after one that was held up", async () => {
    const quick = create({ keys: 20, callMs: 0 });
    quick.sweeper.sweepSoon();
    await quick.clock.advanceAsync(1_000);
    expect(quick.startedAt).toEqual([0, 1, 2]);
    const slow = create({ keys: 20, callMs: 900 });
    slow.sweeper.sweepSoon();
    await slow.clock.advanceAsync(5_000);
    expect(slow.startedAt).toEqual([0, 1_150, 2_300]);
  });

  test("passes through once more when it is asked for while it runs, and not twice more", async () => {
    const { clock, sweeper, sizes } = create({ keys: 5, callMs: 1 });
    sweeper.sweepSoon();
    await clock.advanceAsync(1);
    sweeper.sweepSoon();
    sweeper.sweepSoon();
    await clock.advanceAsync(1_000);
    expect(sizes).toEqual([5, 5]);
  });

  test("is made again when it is asked for after its end, and after one that failed", async () => {
    const { clock, sweeper, sizes, swept, failNext } = create({ keys: 32, callMs: 1 });
    for (const round of [1, 2]) {
      sweeper.sweepSoon();
      await clock.advanceAsync(1_000);
      expect(sizes).toEqual(Array(2 * round).fill(16));
    }
    failNext();
    sweeper.sweepSoon();
    await clock.advanceAsync(1_000);
    expect(swept()).toBe(64);
    sweeper.sweepSoon();
    await clock.advanceAsync(1_000);
    expect(swept()).toBe(96);
  });

  test("ends with the cache, in the middle of a rest as well", async () => {
    const { clock, sweeper, sizes } = create({ keys: 35, callMs: 10 });
    sweeper.sweepSoon();
    await clock.advanceAsync(65);
    expect(sizes).toEqual([16]);
    expect(clock.pendingTimers).toBe(1);
    sweeper.close();
    expect(clock.pendingTimers).toBe(0);
    sweeper.sweepSoon();
    await clock.advanceAsync(1_000);
    expect(sizes).toEqual([16]);
    expect(clock.pendingTimers).toBe(0);
  });
});
