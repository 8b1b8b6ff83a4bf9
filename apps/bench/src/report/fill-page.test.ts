import { describe, expect, it } from "vitest";
import { reportOf } from "../../test/support/report-of.ts";
import { fillPage } from "./fill-page.ts";

const report = reportOf({
  id: "hits",
  title: "Hits",
  columns: [{ id: "hit", title: "hit", unit: "ops/s", better: "higher" }],
  rows: [{ contender: "larder", role: "ours", cells: { hit: { kind: "measured", median: 12, low: 12, high: 12, samples: 1 } } }],
});

describe("fillPage", () => {
  it("puts the table between its markers, says when it was measured, and is stable when run again", () => {
    const page = "before\n<!-- bench one/hits -->\nold\n<!-- /bench -->\nafter\n";
    const filled = fillPage(page, report);
    expect(filled).toBe(
      "before\n<!-- bench one/hits -->\n\nHits. Measured 2026-01-02, 2 cores, Node v20.19.0, full run, seed 7.\n\n" +
        "|  | hit (ops/s) |\n| --- | --: |\n| **larder** | 12 |\n\n<!-- /bench -->\nafter\n",
    );
    expect(fillPage(filled, report)).toBe(filled);
  });

  it("leaves alone what the run did not measure", () => {
    const page = "<!-- bench two/hits -->\nold\n<!-- /bench -->";
    expect(fillPage(page, report)).toBe(page);
  });
});
