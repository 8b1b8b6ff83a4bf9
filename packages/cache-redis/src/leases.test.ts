import { getEventListeners } from "node:events";
import { KeySpace } from "@larder/cache-core";
import { ManualClock } from "@larder/cache-testing";
import { describe, expect, test } from "vitest";
import type { Lane } from "./lane.ts";
import type { LaneVigil } from "./lane-vigil.ts";
import { LEASE_MS, Leases } from "./leases.ts";
import type { RedisScript } from "./scripts.ts";
import type { Wake, WakeListener } from "./wake-listener.ts";

const THIRD_MS = LEASE_MS / 3;
const HOLDER = "token:epoch:1";

/** Leases whose Redis, subscription and vigil are the test's. */
function create({ maxHoldMs = 10_000 } = {}) {
  const clock = new ManualClock();
  const keySpace = new KeySpace({ namespace: "leases" });
  const sent: Array<readonly [script: string, ...args: readonly unknown[]]> = [];
  const world = {
    isHeard: true,
    /** What Redis answers to a script, by its name. */
    answer: (_name: string): unknown => 1,
    hears: new Set<(wake: Wake) => void>(),
    giveUps: new Set<() => void>(),
  };
  const lane = {
    run: async (script: RedisScript, _keys: readonly string[], args: readonly unknown[]) => {
      sent.push([script.name, ...args]);
      return world.answer(script.name);
    },
  } as unknown as Lane;
  const wakes = {
    listen: async (_channel: string, hear: (wake: Wake) => void) => {
      world.hears.add(hear);
      return world.isHeard;
    },
    leave: (_channel: string, hear: (wake: Wake) => void) => world.hears.delete(hear),
  } as unknown as WakeListener;
  const vigil = {
    join: (_lane: Lane, giveUp: () => void) => world.giveUps.add(giveUp),
    leave: (_lane: Lane, giveUp: () => void) => world.giveUps.delete(giveUp),
  } as unknown as LaneVigil;
  const leases = new Leases({ clock, keySpace, wakes, vigil, timeoutMs: 50, maxHoldMs });
  const tell = (wake: Wake): void => {
    for (const hear of world.hears) hear(wake);
  };
  const count = (name: string): number => sent.filter(([script]) => script === name).length;
  return { clock, keySpace, lane, leases, sent, world, tell, count };
}

describe("a lease that is held", () => {
  test("is renewed for its whole length at each third of it, until the load has lasted too long", async () => {
    const { clock, lane, leases, sent, count } = create({ maxHoldMs: 2.5 * THIRD_MS });
    leases.hold(lane, "key", "mine");
    await clock.advanceAsync(THIRD_MS - 1);
    expect(count("renew")).toBe(0);
    await clock.advanceAsync(1);
    expect(sent).toEqual([["renew", "mine", LEASE_MS]]);
    await clock.advanceAsync(THIRD_MS);
    expect(count("renew")).toBe(2);
    await clock.advanceAsync(10 * LEASE_MS);
    expect([count("renew"), clock.pendingTimers]).toEqual([2, 0]);
    await leases.releaseAll(() => lane);
    expect(count("release")).toBe(0);
  });

  test("is not renewed any more once it is another's", async () => {
    const { clock, lane, leases, world, count } = create();
    world.answer = () => 0;
    leases.hold(lane, "key", "mine");
    await clock.advanceAsync(10 * LEASE_MS);
    expect([count("renew"), clock.pendingTimers]).toEqual([1, 0]);
  });

  test("is tried to renew again where Redis did not answer", async () => {
    const { clock, lane, leases, world, count } = create();
    world.answer = () => {
      throw new Error("away");
    };
    leases.hold(lane, "key", "mine");
    await clock.advanceAsync(3 * THIRD_MS + 1);
    expect(count("renew")).toBe(3);
  });

  test("gives way to the next one of its key, whose renewal an answer about the old one does not end", async () => {
    const { clock, lane, leases, sent, world } = create();
    let answerOld: (value: unknown) => void = () => {};
    world.answer = () => new Promise((resolve) => (answerOld = resolve));
    leases.hold(lane, "key", "old");
    await clock.advanceAsync(THIRD_MS);
    leases.hold(lane, "key", "new");
    answerOld(0);
    world.answer = () => 1;
    await clock.advanceAsync(2 * THIRD_MS + 1);
    expect(sent.map(([, value]) => value)).toEqual(["old", "new", "new"]);
  });

  test("is let go by its own value alone", async () => {
    const { clock, lane, leases, count } = create();
    leases.hold(lane, "key", "mine");
    leases.letGo("key", "another's");
    leases.letGo("another key", "mine");
    await clock.advanceAsync(THIRD_MS);
    expect(count("renew")).toBe(1);
    leases.letGo("key", "mine");
    expect(clock.pendingTimers).toBe(0);
    await leases.releaseAll(() => lane);
    expect(count("release")).toBe(0);
  });

  test("is given back with what became of the load, and whether or not Redis answers", async () => {
    const { clock, keySpace, lane, leases, sent, world } = create();
    leases.hold(lane, "key", "mine");
    world.answer = () => {
      throw new Error("away");
    };
    await leases.release(lane, "key", "mine", "not-stored");
    expect(sent).toEqual([["release", "mine", keySpace.wakeChannel("key"), "not-stored"]]);
    expect(clock.pendingTimers).toBe(0);
  });

  test("is given back with all others", async () => {
    const { clock, lane, leases, sent } = create();
    leases.hold(lane, "one", "1");
    leases.hold(lane, "two", "2");
    await leases.releaseAll(() => lane);
    expect(sent.map(([script, value, , outcome]) => [script, value, outcome])).toEqual([
      ["release", "1", "failed"],
      ["release", "2", "failed"],
    ]);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("a wait for another's lease", () => {
  /** Begins a wait, and says what it came to. */
  function wait(rig: ReturnType<typeof create>, leftMs: readonly unknown[], signal?: AbortSignal) {
    const looks = [...leftMs];
    rig.world.answer = () => looks.shift();
    const ended = { outcome: "waiting" as string | undefined };
    rig.leases.wait(rig.lane, "key", HOLDER, signal).then((outcome) => (ended.outcome = outcome));
    return ended;
  }
  /** Nobody listens, stands by or sets a timer any more. */
  const isTidy = ({ world, clock }: ReturnType<typeof create>): boolean =>
    world.hears.size === 0 && world.giveUps.size === 0 && clock.pendingTimers === 0;

  test.each(["stored", "not-stored", "failed"] as const)("ends with what the holder tells: %s", async (told) => {
    const rig = create();
    const ended = wait(rig, [[HOLDER, 1_500]]);
    await rig.clock.advanceAsync(1_000);
    expect(ended.outcome).toBe("waiting");
    rig.tell(told);
    await rig.clock.advanceAsync(0);
    expect([ended.outcome, isTidy(rig)]).toEqual([told, true]);
  });

  test("looks again when the lease must have run out, and ends without a word when it has", async () => {
    const rig = create();
    const ended = wait(rig, [
      [HOLDER, 1_500],
      ["another's", 1_500],
    ]);
    await rig.clock.advanceAsync(1_500);
    expect(rig.count("probe")).toBe(1);
    await rig.clock.advanceAsync(40);
    expect([rig.count("probe"), ended.outcome, isTidy(rig)]).toEqual([2, undefined, true]);
  });

  test("goes on where the lease was renewed", async () => {
    const rig = create();
    const ended = wait(rig, [
      [HOLDER, 100],
      [HOLDER, 1_900],
    ]);
    await rig.clock.advanceAsync(1_000);
    expect([rig.count("probe"), ended.outcome]).toEqual([2, "waiting"]);
    rig.tell("stored");
    await rig.clock.advanceAsync(0);
    expect(ended.outcome).toBe("stored");
  });

  test.each([
    ["has just been taken", LEASE_MS],
    ["is about to run out", 0],
  ])("goes on for a lease that %s", async (_, leftMs) => {
    const rig = create();
    const ended = wait(rig, [[HOLDER, leftMs]]);
    await rig.clock.advanceAsync(0);
    expect(ended.outcome).toBe("waiting");
  });

  test.each([
    ["there is none", ["", -2]],
    ["it has no end, which no living holder's has", [HOLDER, -1]],
    ["it has more left than a lease has: the server's clock was set back", [HOLDER, LEASE_MS + 1]],
    ["it is another's", ["another's", 500]],
  ])("is over at once where %s", async (_, probed) => {
    const rig = create();
    const ended = wait(rig, [probed]);
    await rig.clock.advanceAsync(0);
    expect([ended.outcome, isTidy(rig)]).toEqual([undefined, true]);
  });

  test("ends where it cannot listen, and where Redis does not say", async () => {
    const deaf = create();
    deaf.world.isHeard = false;
    const one = wait(deaf, [[HOLDER, 1_500]]);
    await deaf.clock.advanceAsync(0);
    expect([one.outcome, deaf.count("probe"), isTidy(deaf)]).toEqual(["failed", 0, true]);
    const mute = create();
    const other = wait(mute, []);
    mute.world.answer = () => {
      throw new Error("away");
    };
    await mute.clock.advanceAsync(0);
    expect([other.outcome, isTidy(mute)]).toEqual(["failed", true]);
  });

  test("ends when its caller leaves, before or after it began, and when the vigil gives up", async () => {
    const early = create();
    const before = wait(early, [[HOLDER, 1_500]], AbortSignal.abort());
    await early.clock.advanceAsync(0);
    expect([before.outcome, isTidy(early)]).toEqual(["failed", true]);
    const late = create();
    const leaving = new AbortController();
    const after = wait(late, [[HOLDER, 1_500]], leaving.signal);
    await late.clock.advanceAsync(100);
    leaving.abort();
    await late.clock.advanceAsync(0);
    expect([after.outcome, isTidy(late)]).toEqual(["failed", true]);
    const dead = create();
    const given = wait(dead, [[HOLDER, 1_500]]);
    await dead.clock.advanceAsync(100);
    for (const giveUp of dead.world.giveUps) giveUp();
    await dead.clock.advanceAsync(0);
    expect([given.outcome, isTidy(dead)]).toEqual(["failed", true]);
  });

  test("leaves nothing behind on a signal that many calls share", async () => {
    const rig = create();
    const { signal } = new AbortController();
    const ended = wait(rig, [[HOLDER, 1_500]], signal);
    await rig.clock.advanceAsync(0);
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    rig.tell("stored");
    await rig.clock.advanceAsync(0);
    expect([ended.outcome, getEventListeners(signal, "abort").length]).toEqual(["stored", 0]);
  });

  test("looks at once when it is told to, and waits on", async () => {
    const rig = create();
    const ended = wait(rig, [
      [HOLDER, 1_500],
      [HOLDER, 1_400],
    ]);
    await rig.clock.advanceAsync(100);
    rig.tell("look");
    await rig.clock.advanceAsync(0);
    expect([rig.count("probe"), ended.outcome]).toEqual([2, "waiting"]);
    rig.tell("stored");
    await rig.clock.advanceAsync(0);
    expect(ended.outcome).toBe("stored");
  });

  test("does not miss what is told while it looks, nor forgets it for being told to look", async () => {
    const rig = create();
    let answer: (value: unknown) => void = () => {};
    const ended = wait(rig, []);
    rig.world.answer = () => new Promise((resolve) => (answer = resolve));
    await rig.clock.advanceAsync(0);
    rig.tell("stored");
    rig.tell("look");
    answer([HOLDER, 1_500]);
    await rig.clock.advanceAsync(0);
    expect([ended.outcome, isTidy(rig)]).toEqual(["stored", true]);
  });
});
