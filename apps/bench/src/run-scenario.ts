import { RedisPool } from "./redis-pool.ts";
import type { Outcome, ScenarioReport } from "./run-report.ts";
import {
  type Cell,
  type Row,
  type Scenario,
  type ScenarioContext,
  type ScenarioResult,
  ScenarioUnavailable,
  type Table,
} from "./scenario.ts";
import { TaskRunner } from "./task-runner.ts";

/** What was asked of every scenario of a run. Plain data: it is handed to the process that a scenario has to itself. */
export type ScenarioRequest = Pick<ScenarioContext, "quick" | "seed" | "tracesFolder" | "replayFile" | "schedules" | "soakMinutes">;

/** What a scenario needs from outside. */
export interface ScenarioOptions extends ScenarioRequest, Pick<ScenarioContext, "peers" | "progress"> {
  readonly signal: AbortSignal;
}

const NEEDS: Readonly<Record<NonNullable<Scenario["needs"]>[number], { readonly why: string; readonly install: string }>> = {
  redis: {
    why: "there is no Redis to start",
    install: "install redis-server (apt-get install redis-server, brew install redis) or name the program in LARDER_REDIS_SERVER",
  },
};

/** Runs a scenario and removes what it leaves: servers, tasks. What goes wrong is its outcome. @throws the signal's reason when it is aborted */
export async function runScenario(name: string, load: () => Promise<Scenario>, options: ScenarioOptions): Promise<ScenarioReport> {
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

async function runSafely(scenario: Scenario, options: ScenarioOptions): Promise<Outcome> {
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
    return { status: "measured", result: withoutEmptyCells(await untilAborted(result, signal)) };
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

/**
 * The result with cells that are missing where nothing was measured: a median of no samples is no number, and would be `null` behind JSON, which reads
 * and compares as a figure.
 */
function withoutEmptyCells({ tables, ...rest }: ScenarioResult): ScenarioResult {
  const filled = (cell: Cell): Cell =>
    cell.kind === "measured" && Number.isNaN(cell.median) ? { kind: "missing", why: "no sample of it was taken" } : cell;
  const rowsOf = ({ rows }: Table): Row[] =>
    rows.map((row) => ({ ...row, cells: Object.fromEntries(Object.entries(row.cells).map(([id, cell]) => [id, filled(cell)])) }));
  return { ...rest, tables: tables.map((table) => ({ ...table, rows: rowsOf(table) })) };
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
