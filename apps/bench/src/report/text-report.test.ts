import { describe, expect, it } from "vitest";
import { reportOf } from "../../test/support/report-of.ts";
import type { RunReport } from "../run-report.ts";
import { createTerminalStyle } from "./terminal-style.ts";
import { renderSummary } from "./text-report.ts";

/** A run of ten figures, so many of which spread by half. */
function runWith(noisy: number): RunReport {
  const rows = Array.from({ length: 10 }, (_, index) => ({
    contender: `row ${index}`,
    role: "peer" as const,
    cells: { a: { kind: "measured" as const, median: 100, low: index < noisy ? 50 : 98, high: index < noisy ? 150 : 102, samples: 9 } },
  }));
  return reportOf({ id: "t", title: "Hits", columns: [{ id: "a", title: "small", unit: "ops/s", better: "higher" }], rows });
}

describe("renderSummary", () => {
  it("says of a run on a busy machine that it is not to be believed, and nothing of a quiet one", () => {
    const style = createTerminalStyle({});
    expect(renderSummary(runWith(2), style)).not.toContain("busy");
    const busy = renderSummary(runWith(3), style).split("\n");
    expect(busy.join(" ")).toContain("3 of 10 figures spread by more than 25 %");
    expect(busy.at(-1)).toContain("1 measured, 0 not run, 0 failed");
  });
});
