import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { Budget, systemClock } from "@larder/cache-core";
import { BusRecorder } from "@larder/cache-testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundleProgram } from "../../../scripts/bundle-program.ts";
import { WorkerBusHub } from "../src/worker.ts";

const folder = mkdtempSync(join(tmpdir(), "larder-threads-"));
const program = join(folder, "thread.mjs");
beforeAll(() => bundleProgram(new URL("./thread.ts", import.meta.url).pathname, program, ["vitest"]));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a hub of threads", () => {
  it("serves a Worker as it is, and one that has ended no more", async () => {
    const hub = new WorkerBusHub();
    const worker = new Worker(program);
    hub.attachThread(worker);
    const bus = hub.createBus({ heartbeatMs: 40 });
    const channel = bus.join("n", new BusRecorder());
    await Promise.all([channel.ready(), messageOf(worker, (message) => message === "ready")]);
    expect(hub.size).toBe(2);
    const heard = messageOf(worker, Array.isArray);
    const exited = once(worker, "exit");
    await channel.invalidate({ kind: "key", key: "greeting" }, { budget: new Budget(5_000, systemClock) });
    expect(await heard).toEqual([{ kind: "key", key: "greeting" }]);
    expect(await exited).toEqual([0]);
    expect(hub.size).toBe(1);
    bus.close();
    hub.close();
  });
});

/** The first of a thread's messages that is meant; the bus's own are among them. */
function messageOf(worker: Worker, isMeant: (message: unknown) => boolean): Promise<unknown> {
  return new Promise((resolve) => {
    worker.on("message", (message) => {
      if (isMeant(message)) resolve(message);
    });
  });
}
