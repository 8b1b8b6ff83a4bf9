import type { RunReport, ScenarioReport } from "../run-report.ts";
import { formatDuration, spreadOf } from "./format-value.ts";
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
  const closing = failed > 0 ? style.bad(line) : style.bold(line);
  const noise = describeNoise(report);
  return noise === undefined ? closing : `${wrapText(noise, style.width).map(style.bad).join("\n")}\n${closing}`;
}

/** A figure that spreads by more was taken on a machine with other work: of those of a quiet full run one in twenty does. */
const NOISY_SPREAD = 0.25;
/** Share of noisy figures from which a run is not to be believed. */
const NOISY_SHARE = 0.25;

/** What to think of a run on a busy machine; `undefined` for one that may be read as it is. */
function describeNoise({ scenarios }: RunReport): string | undefined {
  const tables = scenarios.flatMap(({ outcome }) => (outcome.status === "measured" ? outcome.result.tables : []));
  const cells = tables.flatMap(({ rows }) => rows.flatMap((row) => Object.values(row.cells)));
  const spreads = cells.flatMap((cell) => (cell.kind === "measured" ? (spreadOf(cell) ?? []) : []));
  const noisy = spreads.filter((spread) => spread > NOISY_SPREAD).length;
  if (noisy <= spreads.length * NOISY_SHARE) return undefined;
  return `This machine was busy with something else: ${noisy} of ${spreads.length} figures spread by more than ${NOISY_SPREAD * 100} %. Run again when it is idle before you read anything into them.`;
}
