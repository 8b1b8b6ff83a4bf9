import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import type { LoadGenerator } from "../src/load-generator.ts";
import type { RunTask } from "../src/run-task.ts";
import type { ScenarioContext } from "../src/scenario.ts";
import type { Fleet } from "../src/scenarios/gateway-fleet.ts";
import { measureSharing } from "../src/scenarios/gateway-sharing.ts";
import { measureSoak } from "../src/scenarios/gateway-soak.ts";
import { measureTrouble } from "../src/scenarios/gateway-trouble.ts";

const fleet: Fleet = { bare: 1, upstream: 1, relay: 1, larder: 1, portkey: undefined, unavailable: [] };

/** A scenario's surroundings, as far as these parts look at them: no Redis, and gateways that are said to run under that id. */
function contextOf(pid: number): ScenarioContext {
  const runTask = ((_task, _input, options = {}) => {
    queueMicrotask(() => options.onMessage?.({ port: 1, pid }));
    return { pid, result: new Promise(() => {}), send: () => {}, stop: async () => {} };
  }) as RunTask;
  const redis = { isAvailable: () => false, start: () => Promise.reject(new Error("there is no Redis to start")) };
  const { signal } = new AbortController();
  return { quick: true, seed: 1, signal, runTask, redis, progress: { update: () => {}, log: () => {} } } as unknown as ScenarioContext;
}

/** The id of a process that is over. */
const gonePid = (): number => spawnSync(process.execPath, ["--version"]).pid;

describe("the gateway scenario", () => {
  it("keeps what it has measured where there is no Redis: only what wants one is missing, and says why", async () => {
    const context = contextOf(process.pid);
    const { rows, targets } = await measureSharing(fleet, context);
    expect(rows[0]?.cells["plain-20"]).toMatchObject({ kind: "measured" });
    expect(rows[0]?.cells["plain-40"]).toEqual({ kind: "missing", why: "there is no Redis to start" });
    expect(targets?.map(({ column }) => column)).toEqual(["plain-20", "stream-20"]);
    expect(await measureTrouble(fleet, context)).toBeUndefined();
  });

  it("keeps what it has measured where the memory of the gateway cannot be read, as without ps, or when it has died", async () => {
    const generator: LoadGenerator = { name: "none", run: async () => ({ requestsPerSecond: 1, p50Ms: 1, p99Ms: 1, failures: 0 }) };
    const { rows } = await measureSoak(fleet, generator, contextOf(gonePid()));
    expect(rows[0]?.cells.requests).toMatchObject({ kind: "measured" });
    expect(rows[0]?.cells.end).toEqual({ kind: "missing", why: "the memory of its process could not be read" });
  });
});
