import type { ScenarioResult } from "./scenario.ts";

/** How a scenario ended. */
export type Outcome =
  | { readonly status: "measured"; readonly result: ScenarioResult }
  /** It cannot run here: what is missing, and what to install. */
  | { readonly status: "unavailable"; readonly why: string; readonly install: string }
  | { readonly status: "failed"; readonly error: string };

/** One scenario of a run. */
export interface ScenarioReport {
  readonly name: string;
  readonly title: string;
  readonly describe: string;
  readonly durationMs: number;
  readonly outcome: Outcome;
}

/** A whole run: what `--json` writes and `bench compare` reads. */
export interface RunReport {
  /** Raised when older files can no longer be read. */
  readonly format: 1;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly durationMs: number;
  readonly quick: boolean;
  readonly seed: number;
  /** What a reader needs to judge the figures, and nothing that names the machine. */
  readonly machine: { readonly cores: number; readonly node: string };
  readonly scenarios: readonly ScenarioReport[];
}

/** Reads a `--json` file's text. @throws an error that says what is wrong with it */
export function parseRunReport(text: string, name: string): RunReport {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error(`${name} is not JSON: it should be a file that \`bench --json\` wrote`);
  }
  const report = parsed as Partial<RunReport> | null;
  if (typeof report !== "object" || report === null || !Array.isArray(report.scenarios)) {
    throw new Error(`${name} is not a report of the bench: it has no list of scenarios`);
  }
  if (report.format !== 1) throw new Error(`${name} has format ${String(report.format)}, and this bench reads format 1`);
  // Part of a report, as an editor or a merge leaves it, would fail later, where nothing tells the file.
  const broken = report.scenarios.findIndex((scenario: Partial<ScenarioReport> | null) => typeof scenario?.outcome?.status !== "string");
  if (broken >= 0) throw new Error(`${name} is not a whole report of the bench: its scenario ${broken + 1} has no outcome`);
  return report as RunReport;
}
