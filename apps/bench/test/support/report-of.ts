import type { RunReport } from "../../src/run-report.ts";
import type { Table } from "../../src/scenario.ts";

/** A report of one scenario, `one`, with one table. */
export function reportOf(table: Table): RunReport {
  return {
    format: 1,
    startedAt: "2026-01-02T03:04:05.000Z",
    durationMs: 1,
    quick: false,
    seed: 7,
    machine: { cores: 2, node: "v20.19.0" },
    scenarios: [{ name: "one", title: "One", describe: "", durationMs: 1, outcome: { status: "measured", result: { tables: [table] } } }],
  };
}
