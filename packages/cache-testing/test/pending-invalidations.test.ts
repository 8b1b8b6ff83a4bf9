import { CacheError, type InvalidationTarget, PendingInvalidations } from "@larder/cache-core";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../src/index.ts";

const key = (name: string): InvalidationTarget => ({ kind: "key", key: name });
const refuse = (): Promise<never> => Promise.reject(new CacheError("ERR_CACHE_BACKEND", "away"));

/** A queue over a backend in which some keys live on a shard that is dead. */
function createQueue(isDead: (target: InvalidationTarget) => boolean) {
  const clock = new ManualClock();
  const sent: InvalidationTarget[] = [];
  const pending = new PendingInvalidations({
    clock,
    limit: 1_000,
    send: async (target) => {
      sent.push(target);
      if (isDead(target)) await refuse();
    },
  });
  return { clock, sent, pending };
}

describe("invalidations that wait for the backend", () => {
  test("get through though many of a dead shard stand in front of them", async () => {
    const { clock, pending } = createQueue((target) => target.kind === "key" && target.key.startsWith("dead"));
    for (let index = 0; index < 200; index += 1) await pending.run(key(`dead:${index}`), refuse);
    await pending.run(key("live"), refuse);
    await clock.advanceAsync(150);
    expect(pending.covers("live")).toBe(false);
    expect([pending.covers("dead:7"), pending.size]).toEqual([true, 200]);
  });

  test("are tried a few at a time while nothing gets through, each in its turn, and all as soon as one does", async () => {
    let isAway = true;
    const { sent, pending } = createQueue(() => isAway);
    for (let index = 0; index < 100; index += 1) await pending.run(key(`key:${index}`), refuse);
    await pending.flush();
    await pending.flush();
    expect(sent.length).toBe(128);
    expect(new Set(sent.map((target) => target.kind === "key" && target.key)).size).toBe(100);
    isAway = false;
    await pending.flush();
    expect(pending.size).toBe(0);
  });

  test("are retried with growing pauses, however often somebody asks for a flush in between", async () => {
    const { clock, sent, pending } = createQueue(() => true);
    for (let index = 0; index < 100; index += 1) await pending.run(key(`key:${index}`), refuse);
    for (let round = 0; round < 30; round += 1) {
      await pending.flush();
      await clock.advanceAsync(33);
    }
    // In that second three retries after 100, 200 and 400 ms went through all of them, beside 64 a flush.
    expect(sent.length).toBe(30 * 64 + 3 * 100);
  });

  test("are sent no more after close, those included that were under way then", async () => {
    const { clock, sent, pending } = createQueue(() => true);
    await pending.run(key("waiting"), refuse);
    let fail: () => void = () => {};
    const underWay = pending.run(key("under way"), () => new Promise((_, reject) => (fail = () => reject(new Error("gone")))));
    pending.close();
    fail();
    expect(await underWay).toBe(false);
    await clock.advanceAsync(20_000);
    await pending.flush();
    expect([sent.length, clock.pendingTimers]).toEqual([0, 0]);
    // Nothing old is read all the same.
    expect([pending.covers("waiting"), pending.covers("under way")]).toEqual([true, true]);
  });

  test("are not what a caller did wrong: it is told, and nothing is sent again", async () => {
    const { clock, sent, pending } = createQueue(() => false);
    await pending.run(key("key"), refuse);
    const wrong = new CacheError("ERR_CACHE_CODEC", "the value cannot be written as JSON");
    await expect(pending.run(key("key"), () => Promise.reject(wrong))).rejects.toBe(wrong);
    await expect(pending.run(key("other"), () => Promise.reject(wrong))).rejects.toBe(wrong);
    // What failed before it still waits, and its own key never did.
    expect([pending.covers("key"), pending.covers("other"), pending.size]).toEqual([true, false, 1]);
    await clock.advanceAsync(200);
    expect(sent).toEqual([key("key")]);
  });
});

describe("an invalidation of all of which some shards have acknowledged", () => {
  const all = (): InvalidationTarget => ({ kind: "all" });

  /** A backend of two shards by the first letter of the key, which remembers by the target object. */
  function createShards() {
    const clock = new ManualClock();
    const reached: WeakMap<InvalidationTarget, Set<string>> = new WeakMap();
    const down = new Set<string>(["b"]);
    const told: string[] = [];
    const send = async (target: InvalidationTarget): Promise<void> => {
      const known = reached.get(target) ?? new Set();
      reached.set(target, known);
      for (const shard of ["a", "b"]) {
        if (known.has(shard)) continue;
        if (down.has(shard)) continue;
        told.push(shard);
        known.add(shard);
      }
      if (known.size < 2) await refuse();
    };
    const isReached = (target: InvalidationTarget, name: string): boolean => reached.get(target)?.has(name.charAt(0)) ?? false;
    return { clock, down, told, send, pending: new PendingInvalidations({ clock, limit: 100, send, isReached }) };
  }

  test("covers the keys of the others alone, and is told to the others alone", async () => {
    const { clock, down, told, send, pending } = createShards();
    const target = all();
    expect(await pending.run(target, () => send(target))).toBe(false);
    await clock.advanceAsync(2_000);
    expect([pending.covers("a:1"), pending.covers("b:1")]).toEqual([false, true]);
    expect(told).toEqual(["a"]);
    down.clear();
    await clock.advanceAsync(5_000);
    expect(told).toEqual(["a", "b"]);
    expect([pending.covers("b:1"), pending.size]).toEqual([false, 0]);
  });

  test("covers every key while it is under way, and when another one ran beside it that reached others", async () => {
    const { down, send, told, pending } = createShards();
    const [first, second] = [all(), all()];
    const release: Array<() => void> = [];
    const held = (target: InvalidationTarget) => () => new Promise<void>((resolve) => release.push(resolve)).then(() => send(target));
    const runs = [pending.run(first, held(first)), pending.run(second, held(second))];
    expect(pending.covers("a:1")).toBe(true);
    release[0]?.();
    await runs[0];
    down.clear();
    down.add("a");
    release[1]?.();
    await runs[1];
    expect([pending.covers("a:1"), pending.covers("b:1")]).toEqual([true, true]);
    down.clear();
    await pending.flush();
    expect(told).toEqual(["a", "b", "a", "b"]);
    expect(pending.size).toBe(0);
  });
});
