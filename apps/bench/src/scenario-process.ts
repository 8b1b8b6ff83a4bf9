import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ScenarioReport } from "./run-report.ts";
import type { ScenarioRequest } from "./run-scenario.ts";
import type { Progress } from "./scenario.ts";

// Each scenario has a process to itself. What one leaves behind is not only heap: functions keep what they have seen, and are compiled
// for it. After the Redis scenario a get in memory took 73 ns in the same process and 44 in a fresh one.

/** What a scenario's process is told. */
export interface ToScenario {
  readonly name: string;
  readonly request: ScenarioRequest;
}

/** What it tells. */
export type FromScenario =
  | { readonly kind: "update"; readonly done: number; readonly label: string }
  | { readonly kind: "log"; readonly line: string }
  | { readonly kind: "report"; readonly report: ScenarioReport };

/** For what an interrupted scenario ends and removes: servers, folders. */
const CLOSE_LIMIT_MS = 5_000;

/** Runs a scenario in a process of its own. @throws the signal's reason when it is aborted, once that process is gone */
export async function runInProcess(
  start: ToScenario,
  { signal, progress }: { signal: AbortSignal; progress: Progress },
): Promise<ScenarioReport> {
  const beganAt = performance.now();
  const child = fork(fileURLToPath(new URL("./scenario-child.js", import.meta.url)), [], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  // The channel ends when its last message was read, which may be after the process.
  const gone = Promise.all([once(child, "exit"), once(child, "disconnect")]);
  const stop = (): void => void stopWithin(child, CLOSE_LIMIT_MS);
  signal.addEventListener("abort", stop, { once: true });
  let report: ScenarioReport | undefined;
  child.on("message", (message: FromScenario) => {
    if (message.kind === "update") progress.update(message.done, message.label);
    else if (message.kind === "log") progress.log(message.line);
    else report = message.report;
  });
  child.send(start);
  const [[code, killedBy]] = await gone;
  signal.removeEventListener("abort", stop);
  signal.throwIfAborted();
  const error = `its process ended without a report (${killedBy ?? `code ${code}`})`;
  const durationMs = Math.round(performance.now() - beganAt);
  return report ?? { name: start.name, title: start.name, describe: "", durationMs, outcome: { status: "failed", error } };
}

async function stopWithin(child: ChildProcess, limitMs: number): Promise<void> {
  if (child.connected) child.disconnect();
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
  await once(child, "exit");
  clearTimeout(timer);
}
