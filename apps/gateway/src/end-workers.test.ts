import { EventEmitter } from "node:events";
import { expect, it } from "vitest";
import { endWorkers } from "./end-workers.ts";

/** A worker that ends when it is told to, unless it stands still. */
class FakeWorker extends EventEmitter {
  readonly heard: string[] = [];
  readonly process = { kill: (signal: string) => this.#end(signal) };
  readonly #isStopped: boolean;

  constructor(isStopped: boolean) {
    super();
    this.#isStopped = isStopped;
  }

  isConnected(): boolean {
    return true;
  }

  send(message: string): void {
    if (!this.#isStopped) this.#end(message);
  }

  #end(why: string): void {
    this.heard.push(why);
    setImmediate(() => this.emit("exit"));
  }
}

it("kills the workers that have not ended in time, and no others", async () => {
  const workers = [false, true, false].map((isStopped) => new FakeWorker(isStopped));
  expect(await endWorkers(workers, "end", 20)).toBe(1);
  expect(workers.map(({ heard }) => heard)).toEqual([["end"], ["SIGKILL"], ["end"]]);
  const sound = new FakeWorker(false);
  expect([await endWorkers([sound], "end", 20), sound.heard]).toEqual([0, ["end"]]);
});

it("outlives a worker that has died a moment ago, and waits for the others", async () => {
  const dead = new FakeWorker(false);
  // As Node's: who takes no callback is told by an event, which throws where nobody listens.
  dead.send = (_message: string, _handle?: undefined, callback?: (error: Error) => void) => {
    const error = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
    if (callback) callback(error);
    else dead.emit("error", error);
    setImmediate(() => dead.emit("exit"));
  };
  const sound = new FakeWorker(false);
  expect([await endWorkers([dead, sound], "end", 1_000), sound.heard]).toEqual([0, ["end"]]);
});
