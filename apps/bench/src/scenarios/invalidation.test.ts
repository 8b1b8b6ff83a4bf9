import { expect, it } from "vitest";
import type { TaskOptions } from "../run-task.ts";
import { deliveryOf, measureRounds } from "./invalidation.ts";

it.each([
  ["gone a while after the call", 12, 12.5, 2],
  ["found gone by a poll that was under way at the call", 9, 10.5, 0],
  ["gone before the call, for another reason", 8, 9, "early"],
  ["never gone", null, null, "never"],
] as const)("takes a value that is %s for what it is", (_, goneAt, knownAt, delivery) => {
  expect(deliveryOf({ goneAt, knownAt }, 10)).toBe(delivery);
});

/** Processes that answer at once; the watching listener has lost its value before the other one holds it. */
function earlyLosers() {
  let started = 0;
  return <T>(task: string, input: unknown, { onMessage = () => {} }: TaskOptions = {}) => {
    const { isWatching } = input as { readonly isWatching: boolean };
    const answer = (round: number): void => {
      if (round < 0) return;
      if (task === "issuer") return void onMessage({ kind: "issued", round, calledAt: 10, pingMs: 1, ackMs: 1 });
      if (!isWatching) return void setImmediate(onMessage, { kind: "holds", round });
      onMessage({ kind: "holds", round });
      // Lost in the second round, never in the first: nobody waits as long as the other one takes to load.
      onMessage(round === 0 ? { kind: "gone", round, goneAt: null, knownAt: null } : { kind: "gone", round, goneAt: 8, knownAt: 9 });
    };
    started += 1;
    setImmediate(onMessage, { kind: "ready" });
    return {
      pid: started,
      result: new Promise<T>(() => {}),
      send: (message: unknown) => answer((message as { readonly round: number }).round),
      stop: async () => {},
    };
  };
}

it("hears of a value that is lost before all listeners hold it: the round would end with its processes, after two minutes", async () => {
  const context = { runTask: earlyLosers(), signal: new AbortController().signal };
  const input = { contender: "larder", redisUrl: "redis://127.0.0.1:1", namespace: "n" };
  expect(await measureRounds(context, input, 2, 2, () => {})).toMatchObject({ never: 1, early: 1, goneMs: [], pingMs: [1, 1] });
});
