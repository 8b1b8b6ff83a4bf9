import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { RunReport, ScenarioReport } from "../run-report.ts";
import type { Cell, Column, Plot, Row, Table } from "../scenario.ts";
import {
  describeMissing,
  describeRemarks,
  describeTarget,
  formatDuration,
  formatRatio,
  formatSpread,
  formatValue,
  tieMark,
} from "./format-value.ts";
import { PAGE_SCRIPT, PAGE_STYLE } from "./html-page.ts";
import { describeRun } from "./markdown-report.ts";

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
/** Inside a script element only `<` can end it. */
const embedJson = (value: unknown): string => JSON.stringify(value).replaceAll("<", "\\u003c");

/** What a full bar stands for: a share's whole, else the largest of the column. */
function largestOf(column: Column, rows: readonly Row[]): number {
  if (column.unit === "%") return 100;
  return Math.max(0, ...rows.map((row) => row.cells[column.id]).map((cell) => (cell?.kind === "measured" ? cell.median : 0)));
}

function renderCell(cell: Cell | undefined, column: Column, largest: number): string {
  if (!cell) return "<td></td>";
  if (cell.kind === "missing") return `<td title="${escapeHtml(cell.why)}"><span class="dim">–</span></td>`;
  if (cell.kind === "text") return `<td class="text ${cell.verdict ?? "neutral"}">${escapeHtml(cell.text)}</td>`;
  const parts = [
    `<b>${formatValue(cell.median, column.unit)}</b>`,
    `<small>${formatSpread(cell)}</small>`,
    cell.ratio === undefined ? "" : `${formatRatio(cell.ratio)}${tieMark(cell)}`,
  ].filter((part) => part && part !== "<small></small>");
  const share = largest > 0 ? Math.max(0, Math.min(100, (cell.median / largest) * 100)) : 0;
  const title = cell.note ? ` title="${escapeHtml(cell.note)}"` : "";
  return `<td${title}>${parts.join(" ")}<span class="bar" style="width:${share.toFixed(1)}%"></span></td>`;
}

function hasTies(table: Table): boolean {
  return table.rows.some((row) => Object.values(row.cells).some((cell) => cell.kind === "measured" && cell.isTie));
}

function renderNotes(table: Table): string {
  const notes = [
    ...(table.baseline
      ? [`x: ratio to ${table.baseline}${hasTies(table) ? "; ≈: inside the noise floor that the control row shows" : ""}`]
      : []),
    ...table.rows.flatMap((row) => (row.note ? [`${row.contender}: ${row.note}`] : [])),
    ...describeMissing(table),
    ...describeRemarks(table),
    ...(table.unavailable ?? []).map(({ contender, why, install }) => `Not measured: ${contender}, ${why}; ${install}`),
    ...(table.notes ?? []),
  ].map((note) => `<li>${escapeHtml(note)}</li>`);
  const targets = (table.targets ?? []).map(
    (target) =>
      `<li class="${target.isMet ? "good" : "bad"}">${target.isMet ? "Reached" : "Not reached"}: ${escapeHtml(describeTarget(table, target))}</li>`,
  );
  const all = [...notes, ...targets];
  return all.length > 0 ? `<ul class="notes">${all.join("")}</ul>` : "";
}

function renderTable(table: Table): string {
  const head = table.columns
    .map(({ id, title, unit, better }) => {
      const direction = better === "none" ? "" : ` title="${better} is better"`;
      const isText = table.rows.some((row) => row.cells[id]?.kind === "text") ? ' class="text"' : "";
      return `<th scope="col"${isText}${direction}>${escapeHtml(title)}${unit ? ` <small>${escapeHtml(unit)}</small>` : ""}</th>`;
    })
    .join("");
  const largest = table.columns.map((column) => largestOf(column, table.rows));
  const rows = table.rows.map((row) => {
    const name = `${escapeHtml(row.contender)}${row.version ? ` <small>${escapeHtml(row.version)}</small>` : ""}`;
    const cells = table.columns.map((column, index) => renderCell(row.cells[column.id], column, largest[index]!)).join("");
    return `<tr class="${row.role}"><td>${name}</td>${cells}</tr>`;
  });
  return `<h3>${escapeHtml(table.title)}</h3><div class="scroll"><table><thead><tr><th></th>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div>${renderNotes(table)}`;
}

const plotId = (scenario: string, plot: Plot): string => `${scenario}-${plot.id}`.replaceAll(/[^\w-]/g, "-");

function renderScenario(report: ScenarioReport): string {
  const { name, title, describe, outcome } = report;
  const heading = `<h2 id="${escapeHtml(name)}">${escapeHtml(title)}</h2><p class="dim">${escapeHtml(describe)} <small>(${formatDuration(report.durationMs)})</small></p>`;
  if (outcome.status === "unavailable") return `${heading}<p>Not run: ${escapeHtml(`${outcome.why}; ${outcome.install}`)}</p>`;
  if (outcome.status === "failed") return `${heading}<p class="bad">Failed: ${escapeHtml(outcome.error.split("\n")[0]!)}</p>`;
  const { tables, plots = [], notes = [] } = outcome.result;
  const drawn = plots.map(
    (plot) => `<div class="plot"><h3>${escapeHtml(plot.title)}</h3><div id="plot-${plotId(name, plot)}"></div></div>`,
  );
  return [heading, ...tables.map(renderTable), ...drawn, ...notes.map((note) => `<p class="dim">${escapeHtml(note)}</p>`)].join("\n");
}

/** One page with everything in it: no request leaves it, so it can be sent, archived and opened offline. */
export async function renderHtmlReport(report: RunReport): Promise<string> {
  const { resolve } = createRequire(import.meta.url);
  const [script, style] = await Promise.all([
    readFile(resolve("uplot/dist/uPlot.iife.min.js"), "utf8"),
    readFile(resolve("uplot/dist/uPlot.min.css"), "utf8"),
  ]);
  const plots = report.scenarios.flatMap(({ name, outcome }) =>
    outcome.status === "measured" ? (outcome.result.plots ?? []).map((plot) => ({ ...plot, id: plotId(name, plot) })) : [],
  );
  const links = report.scenarios.map(({ name, title }) => `<a href="#${escapeHtml(name)}">${escapeHtml(title)}</a>`).join("");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>larder bench, ${report.startedAt.slice(0, 10)}</title>
<style>${style}${PAGE_STYLE}</style></head>
<body><h1>larder bench</h1>
<p class="dim">${escapeHtml(describeRun(report))} Medians; ± is half the distance between the quartiles. Ratios are medians of rounds measured side by side.</p>
<nav>${links}</nav>
${report.scenarios.map(renderScenario).join("\n")}
<script type="application/json" id="plots">${embedJson(plots)}</script>
<script>${script.replaceAll("</script", "<\\/script")}</script>
<script>${PAGE_SCRIPT}</script>
</body></html>
`;
}
