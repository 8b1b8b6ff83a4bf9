import type { Clock } from "@larder/cache-core";
import { describe, expect, it } from "vitest";
import { Inbox } from "./inbox.ts";

function makeInbox() {
  let planned: Array<() => void> = [];
  const setTimer = (callback: () => void): (() => void) => {
    planned.push(callback);
    return () => {};
  };
  /** The next turn of the event loop. */
  const turn = (): void => {
    const due = planned;
    planned = [];
    for (const callback of due) callback();
  };
  const handled: string[] = [];
  let overflows = 0;
  const onOverflow = (): void => {
    overflows += 1;
  };
  const clock: Clock = { now: () => 0, wallNow: () => 0, setTimer };
  const inbox = new Inbox({ clock, handle: (_channel, text) => handled.push(text), onOverflow });
  return { turn, inbox, handled, overflows: () => overflows, planned: () => planned.length };
}

describe("Inbox", () => {
  it("handles an ordinary message at once", () => {
    const { inbox, handled } = makeInbox();
    inbox.push("c", "1");
    expect(handled).toEqual(["1"]);
  });

  it("spreads a burst over turns, in order", () => {
    const { turn, inbox, handled, planned } = makeInbox();
    const sent = Array.from({ length: 2_000 }, (_, index) => `${index}`);
    for (const text of sent) inbox.push("c", text);
    expect(handled.length).toBe(512);
    turn();
    expect(handled.length).toBe(1_024);
    inbox.push("c", "last");
    turn();
    turn();
    expect(handled).toEqual([...sent, "last"]);
    turn();
    turn();
    expect(planned()).toBe(0);
  });

  it("throws what waits away past its bound, and says so once per flood's worth", () => {
    const { turn, inbox, handled, overflows } = makeInbox();
    for (let index = 0; index < 512 + 8_193; index += 1) inbox.push("c", `${index}`);
    expect([handled.length, overflows()]).toEqual([512, 1]);
    turn();
    inbox.push("c", "afterwards");
    expect(handled.at(-1)).toBe("afterwards");
  });

  it("takes messages at once again after a flood was worked off, and bounds the next one as it did the first", () => {
    const { turn, inbox, handled, overflows } = makeInbox();
    const long = "x".repeat(300_000);
    for (let flood = 1; flood <= 3; flood += 1) {
      handled.length = 0;
      for (let index = 0; index < 14; index += 1) inbox.push("c", long);
      expect(overflows()).toBe(flood - 1);
      for (let time = 0; time < 15; time += 1) turn();
      expect(handled).toHaveLength(14);
      inbox.push("c", "ordinary");
      expect(handled.at(-1)).toBe("ordinary");
      turn();
      turn();
      for (let index = 0; index < 15; index += 1) inbox.push("c", long);
      expect(overflows()).toBe(flood);
      turn();
      turn();
    }
  });

  it("takes long messages for as much work as many short ones, and bounds what they hold", () => {
    const { turn, inbox, handled, overflows } = makeInbox();
    const long = "x".repeat(300_000);
    for (let index = 0; index < 10; index += 1) inbox.push("c", long);
    expect([handled.length, overflows()]).toEqual([1, 0]);
    turn();
    expect(handled.length).toBe(2);
    for (let index = 0; index < 6; index += 1) inbox.push("c", long);
    expect(overflows()).toBe(1);
    turn();
    turn();
    expect(handled.length).toBe(2);
    for (let index = 0; index < 13; index += 1) inbox.push("c", long);
    expect(overflows()).toBe(1);
  });
});
