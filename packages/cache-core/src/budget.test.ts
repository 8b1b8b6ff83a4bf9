import { expect, test } from "vitest";
import { Budget } from "./budget.ts";

function create(totalMs: number) {
  let now = 0;
  const budget = new Budget(totalMs, { now: () => now } as never);
  const wait = (forMs: number, timeoutMs?: number, error?: Error): Promise<string> =>
    budget.spend(async () => {
      now += forMs;
      if (error) throw error;
      return "answer";
    }, timeoutMs);
  return { budget, wait };
}

test("charges what was waited, and gives the answer", async () => {
  const { budget, wait } = create(50);
  expect(await wait(20)).toBe("answer");
  expect(budget.leftMs).toBe(30);
  await wait(40);
  expect(budget.leftMs).toBe(0);
});

test("charges no more than a wait could take by itself: the rest went by because this process was busy", async () => {
  const { budget, wait } = create(50);
  await wait(200, 45);
  expect(budget.leftMs).toBe(5);
  await wait(3, 5);
  expect(budget.leftMs).toBe(2);
});

test("charges what failed as well", async () => {
  const { budget, wait } = create(50);
  await expect(wait(20, 45, new Error("gone"))).rejects.toThrow("gone");
  expect(budget.leftMs).toBe(30);
});
