// The program of a task: started by `TaskRunner`, told over IPC what to do, gone with its parent.

import type { TaskContext } from "./scenario.ts";
import { scenarioLoaders } from "./scenarios/index.ts";
import type { FromTask, ToTask } from "./task-runner.ts";

const ABORT_GRACE_MS = 800;

const stopping = new AbortController();
const waiting: unknown[] = [];
let listener: ((message: unknown) => void) | undefined;

const send = (message: FromTask): Promise<void> =>
  new Promise((resolve) => {
    if (process.connected && process.send) process.send(message, undefined, {}, () => resolve());
    else resolve();
  });

const context: TaskContext = {
  signal: stopping.signal,
  send: (message) => void send({ kind: "message", message }),
  onMessage: (callback) => {
    listener = callback;
    for (const message of waiting.splice(0)) callback(message);
  },
};

async function run(start: Extract<ToTask, { kind: "start" }>): Promise<void> {
  try {
    const scenario = await scenarioLoaders[start.scenario]?.();
    const task = scenario?.tasks?.[start.task];
    if (!task) throw new Error(`the scenario ${start.scenario} has no task ${start.task}`);
    await send({ kind: "result", result: (await task(start.input, context)) ?? null });
    process.exit(0);
  } catch (error) {
    await send({ kind: "error", error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    process.exit(1);
  }
}

process.on("message", (message: ToTask) => {
  if (message.kind === "start") void run(message);
  else if (listener) listener(message.message);
  else waiting.push(message.message);
});
// The parent asked us to stop, or is gone.
process.on("disconnect", () => {
  stopping.abort();
  setTimeout(() => process.exit(1), ABORT_GRACE_MS).unref();
});
// Ctrl-C reaches the whole process group: the parent decides, and disconnects.
process.on("SIGINT", () => {});
