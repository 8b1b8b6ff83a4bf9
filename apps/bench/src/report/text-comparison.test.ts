import { expect, it } from "vitest";
import { reportOf } from "../../test/support/report-of.ts";
import { compareReports } from "../compare-reports.ts";
import type { RunReport } from "../run-report.ts";
import type { Cell } from "../scenario.ts";
import { createTerminalStyle } from "./terminal-style.ts";
import { renderComparison } from "./text-comparison.ts";

const measured = (median: number): Cell => ({ kind: "measured", median, low: median, high: median, samples: 60 });

function runOf(figures: Readonly<Record<string, number>>): RunReport {
  const rows = Object.entries(figures).map(([contender, median]) => ({
    contender,
    role: "ours" as const,
    cells: { failed: measured(median) },
  }));
  return reportOf({ id: "table", title: "Table", columns: [{ id: "failed", title: "failed", unit: "requests", better: "lower" }], rows });
}

const before = runOf({ slower: 100, broken: 0, mended: 40, turned: -50 });
const after = runOf({ slower: 300, broken: 7, mended: 0, turned: 50 });

it("tells a change from nothing, to it or past it by both figures and no percentage, before all that one measures", () => {
  const style = createTerminalStyle({ isTTY: false } as NodeJS.WriteStream);
  const lines = renderComparison(before, after, style).split("\n");
  expect(lines.filter((line) => line.includes("requests"))).toEqual([
    "  one/table: broken, failed: 0 → 7 requests",
    "  one/table: turned, failed: -50 → 50 requests",
    "  one/table: slower, failed: 100 → 300 requests (+200.0%, noise ±5%)",
    "  one/table: mended, failed: 40 → 0 requests",
  ]);
});

it("gives programs no factor that JSON has no number for", () => {
  const changes = compareReports(before, after).map(({ factor }) => factor);
  expect(changes).toEqual([3, undefined, undefined, undefined]);
});
