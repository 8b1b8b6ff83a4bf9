import { describe, expect, it } from "vitest";
import type { Clock } from "./clock.ts";
import { CacheError } from "./errors.ts";
import type { InvalidationTarget } from "./invalidation.ts";
import { PendingInvalidations } from "./pending-invalidations.ts";

const key = (name: string): InvalidationTarget => ({ kind: "key", key: name });
const away = new CacheError("ERR_CACHE_BACKEND", "away");

/** A queue whose every sending again is answered by hand. */
function queue(limit = 100) {
  const sentAgain: Array<{ readonly target: InvalidationTarget; resolve(): void; reject(error: Error): void }> = [];
  const timers: Array<() => void> = [];
  const pausesMs: number[] = [];
  const setTimer = (callback: () => void, delayMs: number): (() => void) => {
    timers.push(callback);
    pausesMs.push(delayMs);
    return () => {};
  };
  const clock: Clock = { now: () => 0, wallNow: () => 0, setTimer };
  const send = (target: InvalidationTarget): Promise<void> =>
    new Promise((resolve, reject) => {
      sentAgain.push({ target, resolve, reject });
    });
  return { sentAgain, timers, pausesMs, pending: new PendingInvalidations({ clock, limit, send }) };
}

/** A promise that is settled by hand. */
function held() {
  let resolve = (): void => {};
  let reject = (_: Error): void => {};
  const promise = new Promise<void>((resolveIt, rejectIt) => {
    [resolve, reject] = [resolveIt, rejectIt];
  });
  return { promise, resolve: () => resolve(), reject: (error: Error) => reject(error) };
}

/** Lets every reaction to what was settled run. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

// The suite in cache-testing holds what waits to its promises; here is how it ends.
describe("draining pending invalidations", () => {
  it("waits for those that are on their way", async () => {
    const { pending, sentAgain } = queue();
    const first = held();
    const running = pending.run(key("k"), () => first.promise);
    let isDrained = false;
    const drained = pending.drain().then(() => {
      isDrained = true;
    });
    await turn();
    expect(isDrained).toBe(false);
    first.resolve();
    await drained;
    expect(await running).toBe(true);
    expect(sentAgain).toEqual([]);
  });

  it("sends once more those of them that fail, and does not reject for one that is refused", async () => {
    const { pending, sentAgain } = queue();
    const [lost, refused] = [held(), held()];
    const runs = [pending.run(key("lost"), () => lost.promise), pending.run(key("refused"), () => refused.promise)];
    const refusal = expect(runs[1]).rejects.toThrow("not a value");
    const drained = pending.drain();
    lost.reject(away);
    refused.reject(new CacheError("ERR_CACHE_CODEC", "not a value"));
    await turn();
    expect(sentAgain.map(({ target }) => target)).toEqual([key("lost")]);
    sentAgain[0]?.resolve();
    await drained;
    await refusal;
    expect(await runs[0]).toBe(false);
    expect(pending.size).toBe(0);
  });

  it("does not wait for a round of retries to go through a long queue of which nothing gets through", async () => {
    const { pending, sentAgain, timers } = queue();
    for (let index = 0; index < 70; index += 1) await pending.run(key(`${index}`), () => Promise.reject(away));
    timers[0]?.();
    for (const sending of sentAgain) sending.reject(away);
    await turn();
    // The round waits a moment before its next batch: for ever, by this clock.
    const drained = pending.drain();
    await turn();
    for (const sending of sentAgain) sending.reject(away);
    await turn();
    for (const sending of sentAgain) sending.reject(away);
    await drained;
    expect(pending.size).toBe(70);
  });

  it("waits for a round of sending again that has begun already", async () => {
    const { pending, sentAgain } = queue();
    await pending.run(key("k"), () => Promise.reject(away));
    void pending.flush();
    const drained = pending.drain();
    await turn();
    expect(sentAgain).toHaveLength(1);
    sentAgain[0]?.reject(away);
    await turn();
    expect(sentAgain).toHaveLength(2);
    sentAgain[1]?.resolve();
    await drained;
    expect(pending.size).toBe(0);
  });
});

describe("what covers a key", () => {
  it("is each of its invalidations that is under way, until the last one is acknowledged", async () => {
    const { pending } = queue();
    const [first, second] = [held(), held()];
    const runs = [pending.run(key("k"), () => first.promise), pending.run(key("k"), () => second.promise)];
    first.resolve();
    await turn();
    expect(pending.covers("k")).toBe(true);
    second.resolve();
    await Promise.all(runs);
    expect(pending.covers("k")).toBe(false);
  });

  it.each([1, 65])("is any of %i tags that wait, as far as nobody knows better", async (count) => {
    const { pending } = queue();
    for (let index = 0; index < count; index += 1) await pending.run({ kind: "tag", tag: `${index}` }, () => Promise.reject(away));
    expect(pending.covers("k")).toBe(true);
    const known = new PendingInvalidations({
      clock: { now: () => 0, wallNow: () => 0, setTimer: () => () => {} },
      limit: 100,
      send: () => Promise.reject(away),
      isReached: (_, name) => name === "reached",
    });
    for (let index = 0; index < count; index += 1) await known.run({ kind: "tag", tag: `${index}` }, () => Promise.reject(away));
    expect(known.covers("k")).toBe(true);
    // More of them are not asked one by one.
    expect(known.covers("reached")).toBe(count > 64);
  });
});

describe("sending again", () => {
  it("pauses twice as long each time, for five seconds at most, and briefly again after a success", async () => {
    const { pending, sentAgain, timers, pausesMs } = queue();
    await pending.run(key("k"), () => Promise.reject(away));
    for (let round = 0; round < 8; round += 1) {
      timers.at(-1)?.();
      await turn();
      sentAgain.at(-1)?.reject(away);
      await turn();
      // It takes breath after a batch.
      timers.at(-1)?.();
      await turn();
    }
    const breathMs = 1;
    expect(pausesMs.filter((ms) => ms !== breathMs)).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
    timers.at(-1)?.();
    await turn();
    sentAgain.at(-1)?.resolve();
    await turn();
    expect(pending.size).toBe(0);
    await pending.run(key("k"), () => Promise.reject(away));
    expect(pausesMs.at(-1)).toBe(100);
  });

  it("goes through what waits once at a time, however often it is asked to", async () => {
    const { pending, sentAgain } = queue();
    await pending.run(key("k"), () => Promise.reject(away));
    for (let ask = 0; ask < 3; ask += 1) void pending.flush();
    await turn();
    expect(sentAgain).toHaveLength(1);
  });

  it("keeps one of all alone where more wait than it may keep", async () => {
    const { pending, sentAgain } = queue(2);
    for (const name of ["a", "b", "c"]) await pending.run(key(name), () => Promise.reject(away));
    expect(pending.size).toBe(1);
    expect(pending.covers("another")).toBe(true);
    void pending.flush();
    await turn();
    expect(sentAgain.map(({ target }) => target)).toEqual([{ kind: "all" }]);
  });

  it("ends with the closing: what fails afterwards waits for nothing", async () => {
    const { pending, pausesMs } = queue();
    pending.close();
    await pending.run(key("k"), () => Promise.reject(away));
    expect(pausesMs).toEqual([]);
  });
});

describe("many invalidations in one loop", () => {
  it("are sent 256 at a time, in order, and cover their keys while they wait", async () => {
    const { pending } = queue();
    const sent: number[] = [];
    const answers = Array.from({ length: 1_000 }, () => held());
    const runs = answers.map(({ promise }, index) =>
      pending.run(key(String(index)), () => {
        sent.push(index);
        return promise;
      }),
    );
    expect(sent.length).toBe(256);
    expect([pending.covers("999"), pending.covers("another")]).toEqual([true, false]);
    answers[3]?.resolve();
    answers[5]?.reject(away);
    await turn();
    expect(sent.slice(256)).toEqual([256, 257]);
    for (const { resolve } of answers) resolve();
    const told = await Promise.all(runs);
    expect(told.map((isSent, index) => (isSent ? -1 : index)).filter((index) => index >= 0)).toEqual([5]);
    expect(sent).toEqual(answers.map((_, index) => index));
    expect([pending.covers("999"), pending.covers("5")]).toEqual([false, true]);
    const late = held();
    const last = pending.run(key("late"), () => late.promise);
    late.resolve();
    expect(await last).toBe(true);
    // Every turn that was taken has been given back, and none more.
    let sentAnew = 0;
    for (let index = 0; index < 1_000; index += 1)
      void pending.run(key(`anew ${index}`), () => {
        sentAnew += 1;
        return new Promise(() => {});
      });
    expect(sentAnew).toBe(256);
  });
});
