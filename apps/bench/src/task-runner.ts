import { type ChildProcess, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { RunningTask, RunTask, TaskOptions } from "./run-task.ts";

const DEFAULT_TIMEOUT_MS = 120_000;
const STOP_GRACE_MS = 1000;
const LAST_MESSAGE_MS = 100;

/** What the child sends. */
export type FromTask =
  | { readonly kind: "message"; readonly message: unknown }
  | { readonly kind: "result"; readonly result: unknown }
  | { readonly kind: "error"; readonly error: string };

/** What the parent sends. */
export type ToTask =
  | { readonly kind: "start"; readonly scenario: string; readonly task: string; readonly input: unknown }
  | { readonly kind: "message"; readonly message: unknown };

/** The built program of the tasks: beside us in a build, in `dist/` when we run from the sources, which node cannot. */
function childProgram(): string {
  const beside = fileURLToPath(new URL("./child.js", import.meta.url));
  const built = import.meta.url.endsWith(".ts") ? fileURLToPath(new URL("../dist/child.js", import.meta.url)) : beside;
  if (!existsSync(built)) throw new Error("tasks run from the build: run `npx --yes pnpm@10.34.9 build` first");
  return built;
}

/** Starts tasks in processes of their own and ends those that are left. */
export class TaskRunner {
  readonly #running: Set<RunningTask<unknown>> = new Set();

  /** `runTask` for one scenario. */
  forScenario(scenario: string): RunTask {
    return <T>(task: string, input: unknown, options: TaskOptions = {}) => this.#start<T>(scenario, task, input, options);
  }

  /** Stops all that still run. */
  async close(): Promise<void> {
    await Promise.all([...this.#running].map((task) => task.stop()));
  }

  #start<T>(scenario: string, task: string, input: unknown, options: TaskOptions): RunningTask<T> {
    const output = options.isQuiet ? "ignore" : "inherit";
    const child = fork(childProgram(), [], {
      execArgv: [...(options.execArgv ?? [])],
      env: { ...process.env, ...options.env },
      stdio: ["ignore", output, output, "ipc"],
    });
    // Not "close": it never comes for a child whose channel we closed ourselves.
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const running: RunningTask<T> = {
      pid: child.pid ?? -1,
      result: awaitResult<T>(child, `${scenario}/${task}`, options),
      send: (message) => void (child.connected && child.send({ kind: "message", message } satisfies ToTask)),
      stop: () => stop(child, gone),
    };
    // A caller that stops the task early need not await its result.
    running.result.catch(() => {});
    this.#running.add(running);
    void gone.then(() => this.#running.delete(running));
    child.send({ kind: "start", scenario, task, input } satisfies ToTask);
    return running;
  }
}

function awaitResult<T>(child: ChildProcess, name: string, options: TaskOptions): Promise<T> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, onMessage } = options;
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`the task ${name} took longer than ${timeoutMs} ms`));
      child.kill("SIGKILL");
    }, timeoutMs);
    child.on("message", (message: FromTask) => {
      if (message.kind === "message") onMessage?.(message.message);
      else if (message.kind === "result") resolve(message.result as T);
      else reject(new Error(`the task ${name} failed: ${message.error}`));
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      // Messages sent before the end may still be on their way.
      setTimeout(() => reject(new Error(`the task ${name} ended without a result (${signal ?? `code ${code}`})`)), LAST_MESSAGE_MS);
    });
  });
}

async function stop(child: ChildProcess, gone: Promise<void>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  if (child.connected) child.disconnect();
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
  await gone;
  clearTimeout(timer);
}
