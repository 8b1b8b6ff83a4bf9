import { type CellChange, compareReports, type Movement } from "../compare-reports.ts";
import type { RunReport } from "../run-report.ts";
import { formatCell } from "./format-value.ts";
import { describeRun } from "./markdown-report.ts";
import type { TerminalStyle } from "./terminal-style.ts";

const SHOWN: ReadonlyArray<readonly [Movement, string]> = [
  ["worse", "Worse beyond noise"],
  ["better", "Better beyond noise"],
  ["changed", "Changed"],
];

function describeChange(change: CellChange): string {
  const { scenario, table, contender, column, before, after, factor, noise } = change;
  const place = `${scenario}/${table}: ${contender}, ${column.title}`;
  const values = `${formatCell(before, column.unit)} → ${formatCell(after, column.unit)}${column.unit ? ` ${column.unit}` : ""}`;
  if (factor === undefined || noise === undefined) return `  ${place}: ${values}`;
  const percent = `${factor >= 1 ? "+" : ""}${((factor - 1) * 100).toFixed(1)}%`;
  return `  ${place}: ${values} (${percent}, noise ±${(noise * 100).toFixed(0)}%)`;
}

/** What no factor measures is more than any that one does: a promise broken, failures where there were none. */
function weightOf({ factor }: CellChange): number {
  return factor === undefined ? Number.MAX_VALUE : Math.abs(Math.log(factor));
}

/** What changed between two runs beyond noise, in text. */
export function renderComparison(before: RunReport, after: RunReport, style: TerminalStyle): string {
  const changes = compareReports(before, after);
  const lines = [`before: ${describeRun(before)}`, `after:  ${describeRun(after)}`];
  if (before.quick !== after.quick) lines.push(style.bad("One run is quick and the other is not: sizes differ, so figures may too."));
  for (const [movement, title] of SHOWN) {
    const found = changes.filter((change) => change.movement === movement).sort((left, right) => weightOf(right) - weightOf(left));
    if (found.length === 0) continue;
    const paint = movement === "worse" ? style.bad : movement === "better" ? style.good : style.bold;
    lines.push("", paint(`${title} (${found.length})`), ...found.map(describeChange));
  }
  const count = (movement: Movement): number => changes.filter((change) => change.movement === movement).length;
  lines.push("", `${count("level")} level, ${count("added")} only in the second, ${count("removed")} only in the first`);
  return lines.join("\n");
}
