import { ManualClock } from "@larder/cache-testing";
import { expect, test } from "vitest";
import type { Lane } from "./lane.ts";
import { LaneVigil } from "./lane-vigil.ts";

const ASK_EVERY_MS = 250;

function create() {
  const clock = new ManualClock();
  const answers: Array<(isAnswering: boolean) => void> = [];
  const asked: number[] = [];
  const newLane = (): Lane =>
    ({
      ask: (timeoutMs: number, then: (isAnswering: boolean) => void) => {
        asked.push(timeoutMs);
        answers.push(then);
      },
    }) as unknown as Lane;
  return { clock, answers, asked, newLane, vigil: new LaneVigil({ clock, timeoutMs: 100 }) };
}

test("asks a lane once for all who wait in it, a quarter of a second after each answer, until the last has left", () => {
  const { clock, answers, asked, newLane, vigil } = create();
  const lane = newLane();
  const [one, other] = [(): void => {}, (): void => {}];
  vigil.join(lane, one);
  vigil.join(lane, other);
  clock.advance(ASK_EVERY_MS - 1);
  expect(asked).toEqual([]);
  clock.advance(1);
  expect(asked).toEqual([100]);
  clock.advance(10 * ASK_EVERY_MS);
  expect(asked).toHaveLength(1);
  answers[0]?.(true);
  clock.advance(ASK_EVERY_MS);
  expect(asked).toHaveLength(2);
  vigil.leave(lane, one);
  answers[1]?.(true);
  expect(clock.pendingTimers).toBe(1);
  vigil.leave(lane, other);
  expect(clock.pendingTimers).toBe(0);
});

test("has all who wait in a lane give up when it does not answer, and nobody in another one", () => {
  const { clock, answers, newLane, vigil } = create();
  const [dead, living] = [newLane(), newLane()];
  const gaveUp: string[] = [];
  const join = (lane: Lane, name: string): void => {
    const giveUp = (): void => {
      gaveUp.push(name);
      vigil.leave(lane, giveUp);
    };
    vigil.join(lane, giveUp);
  };
  join(dead, "one");
  join(dead, "two");
  join(living, "three");
  clock.advance(ASK_EVERY_MS);
  answers[0]?.(false);
  answers[1]?.(true);
  expect(gaveUp).toEqual(["one", "two"]);
  // The lane of those who gave up is not asked any more.
  expect(clock.pendingTimers).toBe(1);
});

test("an answer that comes when all have left, or others have come meanwhile, asks nothing anew", () => {
  const { clock, answers, asked, newLane, vigil } = create();
  const lane = newLane();
  const [one, other] = [(): void => {}, (): void => {}];
  vigil.join(lane, one);
  clock.advance(ASK_EVERY_MS);
  vigil.leave(lane, one);
  vigil.join(lane, other);
  answers[0]?.(true);
  expect(clock.pendingTimers).toBe(1);
  clock.advance(ASK_EVERY_MS);
  expect(asked).toHaveLength(2);
  // Whoever left is unknown: leaving twice ends nobody else's wait.
  vigil.leave(lane, one);
  answers[1]?.(true);
  expect(clock.pendingTimers).toBe(1);
});
