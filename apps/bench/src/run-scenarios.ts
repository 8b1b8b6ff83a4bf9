import { availableParallelism } from "node:os";
import type { RunReport, ScenarioReport } from "./run-report.ts";
import type { Progress } from "./scenario.ts";

/** A progress that also hears where one scenario ends and the next begins. */
export interface RunProgress extends Progress {
  begin(name: string, place: string): void;
  end(outcome: string): void;
}

/** What a run needs from outside. */
export interface RunOptions {
  readonly quick: boolean;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly progress: RunProgress;
  /** Runs one scenario, wherever that is. */
  readonly runOne: (name: string) => Promise<ScenarioReport>;
  /** Told of each scenario as it ends, so that its tables can be shown before the next one runs. @default nobody */
  readonly onReport?: (report: ScenarioReport) => void;
}

/** Runs scenarios one after the other, each in turn cleaned up before the next. @throws the signal's reason when it is aborted */
export async function runScenarios(names: readonly string[], options: RunOptions): Promise<RunReport> {
  const { quick, seed, signal, progress } = options;
  const startedAt = new Date().toISOString();
  const beganAt = performance.now();
  const scenarios: ScenarioReport[] = [];
  for (const [index, name] of names.entries()) {
    signal.throwIfAborted();
    progress.begin(name, `${index + 1}/${names.length}`);
    const report = await options.runOne(name);
    progress.end(report.outcome.status);
    options.onReport?.(report);
    scenarios.push(report);
  }
  const durationMs = Math.round(performance.now() - beganAt);
  return { format: 1, startedAt, durationMs, quick, seed, machine: { cores: availableParallelism(), node: process.version }, scenarios };
}
