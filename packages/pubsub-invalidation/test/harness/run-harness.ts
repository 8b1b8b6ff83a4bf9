import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CacheStats } from "@larder/cache-core";
import { type Fault, type FaultProxy, type RedisServer, startFaultProxy, startRedisServer } from "@larder/cache-testing";
import { bundleProgram } from "../../../../scripts/bundle-program.ts";
import type { BusStats } from "../../src/index.ts";
import { WorkerBusHub } from "../../src/worker.ts";
import { checkLogs, type Verdict } from "./check-log.ts";
import type { MemorySample } from "./memory-slope.ts";
import type { WorkerPlan } from "./worker.ts";

export interface HarnessOptions {
  readonly workers?: number;
  readonly runMs: number;
  /** Reads and writes that all workers together log at least, however long a busy machine takes for them. @default none */
  readonly leastReads?: number;
  readonly leastWrites?: number;
  readonly keys?: number;
  readonly seed?: number;
  readonly bus: "redis" | "workers";
  readonly hasSecondTier?: boolean;
  /** Whether faults come, every half to three seconds. */
  readonly hasFaults?: boolean;
  /** Whether the workers join no bus, to see that the check finds it. */
  readonly isBlind?: boolean;
  /** Milliseconds after a propagated invalidation in which other processes may still give older data. */
  readonly boundMs: number;
}

/** What a worker said at its end. */
export interface WorkerReport {
  readonly unhandled: number;
  /** What it held, from its start to its end. */
  readonly memory: readonly MemorySample[];
  readonly stats: CacheStats;
  readonly bus?: BusStats;
}

export interface HarnessResult extends Verdict {
  readonly reports: readonly WorkerReport[];
  readonly faults: readonly string[];
  /** Exit codes of the workers: 0, or something kept them alive or ended them. */
  readonly exitCodes: ReadonlyArray<number | null>;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const FAULTS: readonly Fault[] = [
  { kind: "stall" },
  { kind: "refuse" },
  { kind: "black-hole" },
  { kind: "black-hole-up" },
  { kind: "black-hole-down" },
  { kind: "accept-and-hang" },
  { kind: "latency", latencyMs: 30 },
  { kind: "chunk", bytes: 7 },
  { kind: "cut", bytes: 100 },
];

/** Breaks things until told to stop; heals all at the end. */
async function causeFaults(server: RedisServer, proxies: readonly FaultProxy[], until: number, told: string[]): Promise<void> {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)] as T;
  while (performance.now() < until - 1_500) {
    await sleep(500 + Math.random() * 1_000);
    const roll = Math.random();
    if (roll < 0.1) {
      told.push("restart empty");
      await server.restart();
    } else if (roll < 0.25) {
      told.push("kill subscribers");
      await server.command("CLIENT", "KILL", "TYPE", "pubsub").catch(() => undefined);
    } else if (roll < 0.35) {
      told.push("flush");
      await server.command("FLUSHALL").catch(() => undefined);
    } else if (roll < 0.45) {
      told.push("freeze");
      server.pause();
      await sleep(Math.random() * 1_500);
      server.resume();
    } else {
      const fault = pick(FAULTS);
      told.push(fault.kind);
      const proxy = pick(proxies);
      await proxy.set(fault);
      await sleep(300 + Math.random() * 1_500);
      await proxy.heal();
    }
  }
}

async function finish(worker: ChildProcess): Promise<{ readonly report: WorkerReport | undefined; readonly exitCode: number | null }> {
  let report: WorkerReport | undefined;
  worker.on("message", (message: WorkerReport) => {
    if ("unhandled" in message) report = message;
  });
  const [exitCode] = (await once(worker, "exit")) as [number | null];
  return { report, exitCode };
}

/** Resolves when a worker works, or has ended: on a busy machine it takes longer to start than all of its run. */
function begun(worker: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    worker.once("exit", () => resolve());
    worker.on("message", (message: { isBegun?: boolean }) => {
      if (message.isBegun) resolve();
    });
  });
}

/** Runs workers in processes of their own against a real Redis, each through a proxy of its own, and checks what they logged. */
export async function runHarness(options: HarnessOptions): Promise<HarnessResult> {
  const { workers = 4, runMs, keys = 12, seed = 1, hasSecondTier = false, hasFaults = false, isBlind = false, boundMs } = options;
  const { leastReads = 0, leastWrites = 0 } = options;
  const directory = mkdtempSync(join(tmpdir(), "larder-harness-"));
  const [server, database, script] = await Promise.all([
    startRedisServer(),
    startRedisServer(),
    bundleProgram(join(import.meta.dirname, "worker.ts"), join(directory, "worker.mjs")),
  ]);
  const proxies = await Promise.all(Array.from({ length: workers }, () => startFaultProxy(server.port)));
  const hub = new WorkerBusHub();
  const children: ChildProcess[] = [];
  try {
    const faults: string[] = [];
    const logFiles = proxies.map((_, index) => join(directory, `${index}.log`));
    const running = proxies.map((proxy, index) => {
      const redisUrl = options.bus === "redis" ? proxy.url : undefined;
      const plan: WorkerPlan = {
        seed: seed * 1_000 + index,
        runMs,
        leastReads: Math.ceil(leastReads / workers),
        leastWrites: Math.ceil(leastWrites / workers),
        keys,
        redisUrl,
        hasSecondTier,
        isBlind,
        databaseUrl: database.url,
        logFile: logFiles[index] as string,
      };
      const child = fork(script, { env: { ...process.env, HARNESS_PLAN: JSON.stringify(plan) }, execArgv: ["--expose-gc"] });
      children.push(child);
      hub.attachProcess(child);
      return finish(child);
    });
    await Promise.all(children.map(begun));
    if (hasFaults) await causeFaults(server, proxies, performance.now() + runMs, faults);
    const ended = await Promise.all(running);
    const verdict = checkLogs(
      logFiles.map((file) => new Uint8Array(readFileSync(file))),
      boundMs,
    );
    const reports = ended.map(({ report }) => report).filter((report) => report !== undefined);
    return { ...verdict, reports, faults, exitCodes: ended.map(({ exitCode }) => exitCode) };
  } finally {
    for (const child of children) child.kill("SIGKILL");
    hub.close();
    await Promise.all([...proxies.map((proxy) => proxy.close()), server.stop(), database.stop()]);
    rmSync(directory, { recursive: true, force: true });
  }
}
