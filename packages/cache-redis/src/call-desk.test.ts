import { ManualClock } from "@larder/cache-testing";
import { describe, expect, test } from "vitest";
import { CallDesk } from "./call-desk.ts";
import type { CallFailure } from "./call-failure.ts";

function create(limits: { maxInFlight?: number; maxInFlightBytes?: number } = {}) {
  const clock = new ManualClock();
  const desk = new CallDesk({ clock, maxInFlight: 10, maxInFlightBytes: 1_000, ...limits });
  const told: Array<string | undefined> = [];
  const replies: Array<{ resolve: (value: string) => void; reject: (error: Error) => void }> = [];
  const send = (bytes = 0, timeoutMs = 50): void => {
    const reply = new Promise<string>((resolve, reject) => replies.push({ resolve, reject }));
    desk.watch(reply, bytes, timeoutMs, (failure: CallFailure | undefined, answer) => told.push(failure?.kind ?? answer));
  };
  return { clock, desk, told, replies, send };
}

describe("a call desk", () => {
  test("tells each caller at his deadline, by one timer, and counts the call until its reply comes", async () => {
    const { clock, desk, told, replies, send } = create();
    for (let index = 0; index < 5; index += 1) send();
    send(0, 200);
    expect(clock.pendingTimers).toBe(1);
    await clock.advanceAsync(49);
    expect(told).toEqual([]);
    await clock.advanceAsync(3);
    expect(told).toEqual(Array(5).fill("timeout"));
    expect(desk.inFlight).toBe(6);
    replies[0]?.resolve("late");
    await clock.advanceAsync(0);
    expect(desk.inFlight).toBe(5);
    expect(told).toHaveLength(5);
    await clock.advanceAsync(200);
    expect(told).toHaveLength(6);
    expect(clock.pendingTimers).toBe(0);
  });

  test("ends all waits, and counts the calls until they are answered", async () => {
    const { clock, desk, told, replies, send } = create();
    send();
    send();
    desk.endAll();
    expect(told).toEqual(["lost", "lost"]);
    expect(desk.inFlight).toBe(2);
    replies[0]?.resolve("late");
    replies[1]?.reject(new Error("gone"));
    await clock.advanceAsync(0);
    expect(desk.inFlight).toBe(0);
    expect(told).toHaveLength(2);
  });

  test("gives replies one more turn that arrived while the process was busy", async () => {
    const { clock, told, replies, send } = create();
    send();
    // The timer fires late, as after a blocked event loop; the reply is read in the same turn, after timers.
    clock.advance(50);
    replies[0]?.resolve("in time for the turn");
    await clock.advanceAsync(0);
    await clock.advanceAsync(5);
    expect(told).toEqual(["in time for the turn"]);
  });

  test("bounds calls and bytes, and lets one large value through alone", () => {
    const { desk, send } = create({ maxInFlight: 3, maxInFlightBytes: 100 });
    expect(desk.hasRoom(5_000)).toBe(true);
    send(60);
    expect(desk.hasRoom(60)).toBe(false);
    expect(desk.hasRoom(40)).toBe(true);
    expect(desk.hasRoom(0)).toBe(true);
    send();
    send();
    expect(desk.hasRoom(0)).toBe(false);
  });

  test("ends every call when the connection goes, and counts none of them on the next", async () => {
    const { clock, desk, told, replies, send } = create();
    send(10);
    send(10);
    desk.drop();
    expect(told).toEqual(["lost", "lost"]);
    expect(desk.inFlight).toBe(0);
    send();
    replies[0]?.reject(new Error("Connection is closed."));
    await clock.advanceAsync(1);
    expect(desk.inFlight).toBe(1);
  });

  test("keeps nothing of a client's error but its first word", async () => {
    const { clock, desk, replies } = create();
    let failure: CallFailure | undefined;
    const refused = new Promise<string>((resolve, reject) => replies.push({ resolve, reject }));
    desk.watch(refused, 0, 50, (why) => {
      failure = why;
    });
    replies[0]?.reject(Object.assign(new Error("WRONGTYPE Operation against CANARY"), { command: { args: ["CANARY"] } }));
    await clock.advanceAsync(0);
    expect(failure).toEqual({ kind: "refused", word: "WRONGTYPE" });
  });
});
