import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { CountTable } from "./security/count-table.ts";
import { type CounterEnd, CounterHub, type CounterMessage, WorkerCounter } from "./worker-counter.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const ALL = ["requestsPerMinute", "tokensPerMinute", "concurrency"] as const;

/** A worker of a hub; what is sent passes as JSON, a moment later. */
function addWorker(hub: CounterHub): { readonly counter: WorkerCounter; readonly end: () => void; isStuck: boolean; sent: number } {
  let [toPrimary, toWorker] = [(_: unknown): void => undefined, (_: unknown): void => undefined];
  const pass = (message: CounterMessage, to: (message: unknown) => void): void => {
    if (!worker.isStuck) queueMicrotask(() => to(JSON.parse(JSON.stringify(message))));
  };
  const inWorker: CounterEnd = {
    send: (message) => {
      worker.sent += 1;
      pass(message, (json) => toPrimary(json));
    },
    listen: (onMessage) => {
      toWorker = onMessage;
    },
  };
  const inPrimary: CounterEnd = {
    send: (message) => pass(message, (json) => toWorker(json)),
    listen: (onMessage) => {
      toPrimary = onMessage;
    },
  };
  const worker = { isStuck: false, sent: 0, end: hub.add(inPrimary), counter: new WorkerCounter(inWorker, ALL) };
  return worker;
}

const hubAt = (clock: () => number): CounterHub => new CounterHub(new CountTable(10), clock);

it("counts the requests and tokens of all workers together, by the primary's clock", async () => {
  let now = 0;
  const hub = hubAt(() => now);
  const [first, second] = [addWorker(hub), addWorker(hub)];
  const limits = { requestsPerMinute: 2, tokensPerMinute: 100 };
  expect(await first.counter.enter("key", limits).refusal).toBeNull();
  expect(await second.counter.enter("key", limits).refusal).toBeNull();
  now = 45_000;
  expect(await first.counter.enter("key", limits).refusal).toEqual({ limit: "requestsPerMinute", waitMs: 15_000 });
  expect(await first.counter.enter("other", limits).refusal).toBeNull();
  now = 60_000;
  first.counter.charge("key", 100);
  expect(await second.counter.enter("key", limits).refusal).toEqual({ limit: "tokensPerMinute", waitMs: 60_000 });
});

it("counts what all workers answer at a time, and what one was answering that has ended is over", async () => {
  const hub = hubAt(() => 0);
  const [first, second] = [addWorker(hub), addWorker(hub)];
  const limits = { concurrency: 2 };
  const entered = first.counter.enter("key", limits);
  expect(await entered.refusal).toBeNull();
  expect(await second.counter.enter("key", limits).refusal).toBeNull();
  const refused = second.counter.enter("key", limits);
  expect(await refused.refusal).toEqual({ limit: "concurrency", waitMs: 0 });
  refused.leave();
  expect(await first.counter.enter("key", limits).refusal, "a refused one has no place to give back").not.toBeNull();
  entered.leave();
  entered.leave();
  expect(await first.counter.enter("key", limits).refusal).toBeNull();
  expect(await first.counter.enter("key", limits).refusal).not.toBeNull();
  second.end();
  expect(await first.counter.enter("key", limits).refusal).toBeNull();
});

it("is not waited for longer than a moment, and a place that it gave too late is given back", async () => {
  const hub = hubAt(() => 0);
  const [slow, other] = [addWorker(hub), addWorker(hub)];
  slow.isStuck = true;
  const asked = slow.counter.enter("key", { concurrency: 1 });
  await vi.advanceTimersByTimeAsync(25);
  expect(await asked.refusal).toBeUndefined();
  slow.isStuck = false;
  const late = slow.counter.enter("key", { concurrency: 1 });
  vi.advanceTimersByTime(25);
  expect(await late.refusal).toBeUndefined();
  expect(await other.counter.enter("key", { concurrency: 1 }).refusal).not.toBeNull();
  late.leave();
  expect(await other.counter.enter("key", { concurrency: 1 }).refusal).toBeNull();
});

it("is not sent more and more while it stands still", async () => {
  const worker = addWorker(hubAt(() => 0));
  worker.isStuck = true;
  for (let request = 0; request < 5_000; request += 1) {
    worker.counter.enter("key", { concurrency: 1 }).leave();
    worker.counter.charge("key", 1);
  }
  expect(worker.sent).toBeLessThan(3_001);
  await vi.advanceTimersByTimeAsync(25);
});
