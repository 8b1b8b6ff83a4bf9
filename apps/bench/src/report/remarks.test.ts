import { describe, expect, it } from "vitest";
import { reportOf } from "../../test/support/report-of.ts";
import type { Table } from "../scenario.ts";
import { renderHtmlReport } from "./html-report.ts";
import { renderMarkdownTable } from "./markdown-report.ts";
import { createTerminalStyle } from "./terminal-style.ts";
import { renderTextTable } from "./text-table.ts";

const REMARK = "249 callers got no value";
const LINE = `a peer, 1 process: ${REMARK}`;

const table: Table = {
  id: "loads",
  title: "Loads",
  columns: [{ id: "loads-1", title: "1 process", unit: "loads", better: "lower" }],
  rows: [
    { contender: "a peer", role: "peer", cells: { "loads-1": { kind: "measured", median: 1, low: 1, high: 1, samples: 1, note: REMARK } } },
  ],
};

describe("a remark on one figure", () => {
  it("stands under the table on the terminal, in Markdown and on the page: nobody hovers on paper, and one load that served nobody is no feat", async () => {
    expect(renderTextTable(table, createTerminalStyle({}))).toContain(LINE);
    expect(renderMarkdownTable(table)).toContain(`- ${LINE}.`);
    expect(await renderHtmlReport(reportOf(table))).toContain(`>${LINE}<`);
  });
});
