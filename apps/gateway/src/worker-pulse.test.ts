import { ManualClock } from "@larder/cache-testing";
import { expect, it } from "vitest";
import { answerPulse, PATIENCE_MS, type PulseEnd, watchPulse } from "./worker-pulse.ts";

/** A worker and the primary's channel to it, with a switch that has it stand still: what it is sent waits. */
class Worker implements PulseEnd {
  isBusy = false;
  /** Sent, and not read yet. */
  waiting: object[] = [];
  silent = 0;
  readonly #listeners: Array<(message: unknown) => void> = [];
  #onMessage: (message: unknown) => void = () => undefined;

  constructor() {
    answerPulse({
      send: (message) => {
        for (const listener of this.#listeners) listener(message);
      },
      listen: (onMessage) => {
        this.#onMessage = onMessage;
      },
    });
  }

  send(message: object): void {
    this.waiting.push(message);
    if (!this.isBusy) this.goOn();
  }

  listen(onMessage: (message: unknown) => void): void {
    this.#listeners.push(onMessage);
  }

  goOn(): void {
    this.isBusy = false;
    for (const message of this.waiting.splice(0)) this.#onMessage(message);
  }
}

function watched(): { clock: ManualClock; worker: Worker; stop: () => void } {
  const [clock, worker] = [new ManualClock(), new Worker()];
  const stop = watchPulse(
    worker,
    () => {
      worker.silent += 1;
    },
    clock,
  );
  return { clock, worker, stop };
}

it("gives a worker up, once, that says nothing for a minute, and sends it no more than one question meanwhile", () => {
  const { clock, worker } = watched();
  clock.advance(3 * PATIENCE_MS);
  expect(worker.silent).toBe(0);
  worker.isBusy = true;
  clock.advance(PATIENCE_MS - 1);
  expect([worker.silent, worker.waiting.length]).toEqual([0, 1]);
  clock.advance(PATIENCE_MS);
  expect([worker.silent, worker.waiting.length, clock.pendingTimers]).toEqual([1, 1, 0]);
});

it("leaves a worker alone that is busy for less, again and again", () => {
  const { clock, worker } = watched();
  for (let round = 0; round < 10; round += 1) {
    worker.isBusy = true;
    clock.advance(PATIENCE_MS - 1);
    worker.goOn();
    clock.advance(1);
  }
  expect(worker.silent).toBe(0);
});

it("leaves a worker alone that has ended, and hears nothing in what is said of other things", () => {
  const { clock, worker, stop } = watched();
  for (const other of [null, undefined, "larder:stop", { survey: "ask" }]) worker.send(other as object);
  stop();
  worker.isBusy = true;
  clock.advance(2 * PATIENCE_MS);
  expect([worker.silent, clock.pendingTimers]).toEqual([0, 0]);
});
