import { describe, expect, it } from "vitest";
import { reportOf } from "../test/support/report-of.ts";
import { compareReports } from "./compare-reports.ts";
import type { RunReport } from "./run-report.ts";
import type { Cell, Column, Role } from "./scenario.ts";

const rate: Column = { id: "rate", title: "rate", unit: "ops/s", better: "higher" };
const latency: Column = { id: "p50", title: "p50", unit: "ms", better: "lower" };
const promise: Column = { id: "i1", title: "I1", unit: "", better: "none" };

const runOf = (column: Column, cell: Cell): RunReport =>
  reportOf({
    id: "table",
    title: "Table",
    columns: [column],
    rows: [{ contender: "larder", role: "ours", cells: { [column.id]: cell } }],
  });

const measured = (median: number, spread = 0.02, ratio?: number, samples = 60): Cell => ({
  kind: "measured",
  median,
  low: median * (1 - spread),
  high: median * (1 + spread),
  samples,
  ...(ratio === undefined ? {} : { ratio }),
});

const movementOf = (column: Column, before: Cell, after: Cell) => compareReports(runOf(column, before), runOf(column, after))[0]?.movement;

describe("compareReports", () => {
  it("calls more operations a second better and fewer worse", () => {
    expect(movementOf(rate, measured(100), measured(130))).toBe("better");
    expect(movementOf(rate, measured(100), measured(70))).toBe("worse");
  });

  it("calls a shorter latency better and a longer one worse", () => {
    expect(movementOf(latency, measured(1), measured(0.5))).toBe("better");
    expect(movementOf(latency, measured(1), measured(2))).toBe("worse");
  });

  it("stays silent about a change that the spread of the rounds explains", () => {
    expect(movementOf(rate, measured(100, 0.2), measured(130, 0.2))).toBe("level");
    expect(movementOf(rate, measured(100), measured(103))).toBe("level");
  });

  it("asks more of few rounds, which share the luck of their run, and of a time that was taken once", () => {
    expect(movementOf(rate, measured(100, 0.01, undefined, 5), measured(112, 0.01, undefined, 5))).toBe("level");
    expect(movementOf(rate, measured(100, 0.01, undefined, 60), measured(112, 0.01, undefined, 60))).toBe("better");
    expect(movementOf(latency, measured(5, 0, undefined, 1), measured(9, 0, undefined, 1))).toBe("level");
    expect(movementOf(latency, measured(5, 0, undefined, 1), measured(50, 0, undefined, 1))).toBe("worse");
    const bytes: Column = { id: "bytes", title: "bytes", unit: "bytes", better: "lower" };
    expect(movementOf(bytes, measured(150, 0, undefined, 1), measured(200, 0, undefined, 1))).toBe("worse");
  });

  it("reports failures where there were none", () => {
    const failures: Column = { id: "failures", title: "failed", unit: "requests", better: "lower" };
    expect(movementOf(failures, measured(0, 0, undefined, 1), measured(3, 0, undefined, 1))).toBe("worse");
  });

  it("does not call a kept promise changed because its milliseconds did", () => {
    const after = (text: string): Cell => ({ kind: "text", text, verdict: "good" });
    expect(movementOf(promise, after("54 ms"), after("53 ms"))).toBe("level");
    expect(movementOf(promise, after("54 ms"), after("a miss"))).toBe("changed");
  });

  it("compares ratios to the limit, so that a slower machine is no regression", () => {
    expect(movementOf(rate, measured(100, 0.02, 0.9), measured(50, 0.02, 0.9))).toBe("level");
    expect(movementOf(rate, measured(100, 0.02, 0.9), measured(100, 0.02, 0.5))).toBe("worse");
  });

  it("is not misled by a baseline that became faster itself: that one is better, and the others are as they were", () => {
    const run = (baseline: number): RunReport => {
      const whole = runOf(rate, measured(100));
      const row = (contender: string, role: Role, median: number) => ({
        contender,
        role,
        cells: { rate: measured(median, 0.02, median / baseline) },
      });
      const rows = [row("raw Map", "limit", 400), row("first tier", "control", baseline), row("peer", "peer", 90)];
      const table = { id: "table", title: "Table", columns: [rate], rows, baseline: "first tier" };
      return { ...whole, scenarios: [{ ...whole.scenarios[0]!, outcome: { status: "measured", result: { tables: [table] } } }] };
    };
    const movements = compareReports(run(100), run(200)).map(({ contender, movement }) => `${contender}: ${movement}`);
    expect(movements).toEqual(["raw Map: level", "first tier: better", "peer: level"]);
  });

  it("calls a promise that is no longer kept worse", () => {
    const kept: Cell = { kind: "text", text: "new", verdict: "good" };
    const broken: Cell = { kind: "text", text: "old", verdict: "bad" };
    expect(movementOf(promise, kept, broken)).toBe("worse");
    expect(movementOf(promise, broken, kept)).toBe("better");
    expect(movementOf(promise, kept, kept)).toBe("level");
  });

  it("tells what only one of the runs measured", () => {
    const changes = compareReports(runOf(rate, measured(1)), runOf(latency, measured(1)));
    expect(changes.map(({ movement }) => movement).sort()).toEqual(["added", "removed"]);
  });
});
