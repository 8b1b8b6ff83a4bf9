import type { RunReport } from "../run-report.ts";
import type { Table } from "../scenario.ts";
import { describeMissing, describeRemarks, describeTarget, formatCell, formatSpread } from "./format-value.ts";

const escapeMarkdown = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function hasTies(table: Table): boolean {
  return table.rows.some((row) => Object.values(row.cells).some((cell) => cell.kind === "measured" && cell.isTie));
}

/** One table in Markdown: `value ±spread ratio` per cell, with its notes below. For `docs/bench` and the tables between markers in READMEs. */
export function renderMarkdownTable(table: Table): string {
  const headings = ["", ...table.columns.map(({ title, unit }) => (unit ? `${title} (${unit})` : title))];
  const rows = table.rows.map((row) => {
    const name = row.version ? `${row.contender} ${row.version}` : row.contender;
    const cells = table.columns.map(({ id, unit }) => {
      const cell = row.cells[id];
      const spread = cell?.kind === "measured" ? formatSpread(cell) : "";
      return [formatCell(cell, unit), spread].filter(Boolean).join(" ");
    });
    return [row.role === "ours" ? `**${escapeMarkdown(name)}**` : escapeMarkdown(name), ...cells.map(escapeMarkdown)];
  });
  const lines = [headings.map(escapeMarkdown), headings.map((_, index) => (index === 0 ? "---" : "--:")), ...rows];
  const notes = [
    ...(table.baseline ? [`x: ratio to ${table.baseline}${hasTies(table) ? "; ≈: inside the noise floor" : ""}.`] : []),
    ...table.rows.flatMap((row) => (row.note ? [`${row.contender}: ${row.note}.`] : [])),
    ...[...describeMissing(table), ...describeRemarks(table)].map((line) => `${line}.`),
    ...(table.unavailable ?? []).map(({ contender, why }) => `Not measured: ${contender} (${why}).`),
    ...(table.targets ?? []).map((target) => `${target.isMet ? "Reached" : "**Not reached**"}: ${describeTarget(table, target)}.`),
    ...(table.notes ?? []),
  ];
  const body = lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  return notes.length > 0 ? `${body}\n\n${notes.map((note) => `- ${note}`).join("\n")}` : body;
}

/** One sentence that says when, where and how a report was measured. */
export function describeRun(report: RunReport): string {
  const mode = report.quick ? "quick" : "full";
  return `Measured ${report.startedAt.slice(0, 10)}, ${report.machine.cores} cores, Node ${report.machine.node}, ${mode} run, seed ${report.seed}.`;
}

/** A whole run in Markdown: what is committed as `docs/bench/<date>.md`. */
export function renderMarkdownReport(report: RunReport): string {
  const parts = [
    "# What it costs",
    describeRun(report),
    "Medians; `±` half the distance between the quartiles. Ratios are medians of paired rounds.",
  ];
  for (const scenario of report.scenarios) {
    parts.push(`## ${scenario.title}`, scenario.describe);
    const { outcome } = scenario;
    if (outcome.status === "unavailable") parts.push(`Not run: ${outcome.why}; ${outcome.install}.`);
    if (outcome.status === "failed") parts.push("Failed.");
    if (outcome.status !== "measured") continue;
    for (const table of outcome.result.tables) parts.push(`### ${table.title}`, renderMarkdownTable(table));
    for (const note of outcome.result.notes ?? []) parts.push(note);
  }
  return `${parts.filter(Boolean).join("\n\n")}\n`;
}

/** One table of a run by scenario and id, or `undefined` when it was not measured: for the script that fills READMEs between markers. */
export function findTable(report: RunReport, scenario: string, table: string): Table | undefined {
  const outcome = report.scenarios.find(({ name }) => name === scenario)?.outcome;
  return outcome?.status === "measured" ? outcome.result.tables.find(({ id }) => id === table) : undefined;
}
