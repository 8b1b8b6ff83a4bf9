import { describe, expect, it } from "vitest";
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
  const tables = [
    { id: "t", title: "Hits", columns: [{ id: "a", title: "small", unit: "ops/s" as const, better: "higher" as const }], rows },
  ];
  return {
    format: 1,
    startedAt: "2026-11-22T00:00:00.000Z",
    durationMs: 1_000,
    quick: true,
    seed: 1,
    machine: { cores: 2, node: "v20.20.2" },
    scenarios: [{ name: "memory", title: "Memory", describe: "", durationMs: 1_000, outcome: { status: "measured", result: { tables } } }],
  };
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
