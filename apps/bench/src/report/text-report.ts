import type { RunReport, ScenarioReport } from "../run-report.ts";
import { formatDuration } from "./format-value.ts";
import type { TerminalStyle } from "./terminal-style.ts";
import { renderTextTable, wrapText } from "./text-table.ts";

/** One scenario's tables and notes, or why there are none. */
export function renderScenario(report: ScenarioReport, style: TerminalStyle): string {
  const heading = style.bold(`━━ ${report.title}`);
  const { outcome } = report;
  if (outcome.status === "unavailable") return `${heading}\nnot run: ${outcome.why}; ${outcome.install}\n`;
  if (outcome.status === "failed") return `${heading}\n${style.bad("failed")}: ${outcome.error}\n`;
  const parts = [heading, ...outcome.result.tables.map((table) => `${renderTextTable(table, style)}\n`)];
  for (const note of outcome.result.notes ?? []) parts.push(...wrapText(note, style.width).map(style.dim));
  return parts.join("\n");
}

/** The last lines of a run: how much of it ran. */
export function renderSummary(report: RunReport, style: TerminalStyle): string {
  const count = (status: ScenarioReport["outcome"]["status"]): number =>
    report.scenarios.filter(({ outcome }) => outcome.status === status).length;
  const failed = count("failed");
  const counts = `${count("measured")} measured, ${count("unavailable")} not run, ${failed} failed`;
  const mode = report.quick ? "quick run: noisier than a full one" : "full run";
  const line = `${counts} in ${formatDuration(report.durationMs)} (${mode}; ${report.machine.cores} cores, Node ${report.machine.node})`;
  return failed > 0 ? style.bad(line) : style.bold(line);
}
