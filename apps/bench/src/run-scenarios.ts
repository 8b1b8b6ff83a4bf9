import { availableParallelism } from "node:os";
import type { Peers } from "./peers.ts";
import { RedisPool } from "./redis-pool.ts";
import type { Outcome, RunReport, ScenarioReport } from "./run-report.ts";
import { type Progress, type Scenario, type ScenarioContext, type ScenarioResult, ScenarioUnavailable } from "./scenario.ts";
import { TaskRunner } from "./task-runner.ts";

/** A progress that also hears where one scenario ends and the next begins. */
export interface RunProgress extends Progress {
  begin(name: string, place: string): void;
  end(outcome: string): void;
}

/** What a run needs from outside. */
export interface RunOptions extends Pick<ScenarioContext, "quick" | "seed" | "tracesFolder" | "replayFile" | "schedules" | "soakMinutes"> {
  readonly signal: AbortSignal;
  readonly peers: Peers;
  readonly progress: RunProgress;
  /** Told of each scenario as it ends, so that its tables can be shown before the next one runs. */
  readonly onReport?: (report: ScenarioReport) => void;
}

const NEEDS: Readonly<Record<NonNullable<Scenario["needs"]>[number], { readonly why: string; readonly install: string }>> = {
  redis: {
    why: "there is no Redis to start",
    install: "install redis-server (apt-get install redis-server, brew install redis) or name the program in LARDER_REDIS_SERVER",
  },
};

/** Runs scenarios one after the other, each in turn cleaned up before the next. @throws the signal's reason when it is aborted */
export async function runScenarios(loaders: Readonly<Record<string, () => Promise<Scenario>>>, options: RunOptions): Promise<RunReport> {
  const startedAt = new Date().toISOString();
  const beganAt = performance.now();
  const reports: ScenarioReport[] = [];
  const names = Object.keys(loaders);
  for (const [index, name] of names.entries()) {
    options.signal.throwIfAborted();
    options.progress.begin(name, `${index + 1}/${names.length}`);
    const report = await runOne(name, loaders[name]!, options);
    options.progress.end(report.outcome.status);
    options.onReport?.(report);
    reports.push(report);
  }
  return {
    format: 1,
    startedAt,
    durationMs: Math.round(performance.now() - beganAt),
    quick: options.quick,
    seed: options.seed,
    machine: { cores: availableParallelism(), node: process.version },
    scenarios: reports,
  };
}

async function runOne(name: string, load: () => Promise<Scenario>, options: RunOptions): Promise<ScenarioReport> {
  const beganAt = performance.now();
  const described = { title: name, describe: "" };
  let outcome: Outcome;
  try {
    const scenario = await load();
    described.title = scenario.title;
    described.describe = scenario.describe;
    outcome = await runSafely(scenario, options);
  } catch (error) {
    options.signal.throwIfAborted();
    outcome = { status: "failed", error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  return { name, ...described, durationMs: Math.round(performance.now() - beganAt), outcome };
}

async function runSafely(scenario: Scenario, options: RunOptions): Promise<Outcome> {
  const redis = new RedisPool();
  const tasks = new TaskRunner();
  let running: Promise<unknown> = Promise.resolve();
  try {
    for (const need of scenario.needs ?? []) {
      if (need === "redis" && !redis.isAvailable()) return { status: "unavailable", ...NEEDS[need] };
    }
    const { signal, peers, progress } = options;
    const runTask = tasks.forScenario(scenario.name);
    const { quick, seed, tracesFolder, replayFile, schedules, soakMinutes } = options;
    const asked = { quick, seed, tracesFolder, replayFile, schedules, soakMinutes };
    const context: ScenarioContext = { ...asked, signal, peers, progress, redis, runTask };
    const result = scenario.run(context);
    running = result;
    return { status: "measured", result: await untilAborted(result, signal) };
  } catch (error) {
    if (error instanceof ScenarioUnavailable) return { status: "unavailable", why: error.message, install: error.install };
    throw error;
  } finally {
    await tasks.close();
    await redis.close();
    // An interrupted scenario, whose tasks and servers are gone now, removes what it made itself.
    await settledWithin(running, LAST_STEPS_MS);
  }
}

const LAST_STEPS_MS = 1_000;

async function settledWithin(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work.catch(() => {}), limit]);
  clearTimeout(timer);
}

/** The scenario's result, or the signal's reason as soon as it is aborted: a scenario that is slow to notice does not hold up the end. */
function untilAborted(running: Promise<ScenarioResult>, signal: AbortSignal): Promise<ScenarioResult> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    running.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
