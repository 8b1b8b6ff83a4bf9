import { describe, expect, it } from "vitest";
import type { Table } from "../scenario.ts";
import { createTerminalStyle } from "./terminal-style.ts";
import { renderTextTable } from "./text-table.ts";

const table: Table = {
  id: "t",
  title: "Hits",
  baseline: "raw Map",
  columns: [
    { id: "a", title: "small", unit: "ops/s", better: "higher" },
    { id: "b", title: "large", unit: "ops/s", better: "higher" },
  ],
  rows: [
    {
      contender: "raw Map",
      role: "limit",
      cells: {
        a: { kind: "measured", median: 12_400_000, low: 12e6, high: 13e6, samples: 9, ratio: 1, isTie: true },
        b: { kind: "measured", median: 912_345, low: 9e5, high: 9.2e5, samples: 9, ratio: 1, isTie: true },
      },
    },
    {
      contender: "a peer",
      role: "peer",
      version: "1.2.3",
      cells: {
        a: { kind: "measured", median: 1_250_000, low: 1.2e6, high: 1.3e6, samples: 9, ratio: 0.1 },
        b: { kind: "missing", why: "has no large one" },
      },
    },
  ],
};

describe("renderTextTable", () => {
  it("aligns figures, spreads and ratios, and explains what is missing", () => {
    expect(renderTextTable(table, createTerminalStyle({}))).toBe(
      [
        "Hits",
        "                 small [ops/s]    large [ops/s]",
        "raw Map       12.4M ±4% 1.00x≈  912k ±1% 1.00x≈",
        "a peer 1.2.3  1.25M ±4% 0.10x      –           ",
        "  x = ratio to raw Map; ≈ = inside the noise floor that the control row shows",
        "  – a peer, large: has no large one",
      ]
        .map((line) => line.trimEnd())
        .join("\n"),
    );
  });

  it("breaks headings, where all columns fit side by side so", () => {
    const wide = { ...table, columns: table.columns.map((column) => ({ ...column, title: `hits of a ${column.title} cache` })) };
    expect(
      renderTextTable(wide, { ...createTerminalStyle({}), width: 48 })
        .split("\n")
        .slice(1, 6),
    ).toEqual([
      "               hits of a small  hits of a large",
      "                 cache [ops/s]    cache [ops/s]",
      "raw Map       12.4M ±4% 1.00x≈  912k ±1% 1.00x≈",
      "a peer 1.2.3  1.25M ±4% 0.10x      –",
      "  x = ratio to raw Map; ≈ = inside the noise",
    ]);
  });

  it("moves columns below before it leaves a figure without its noise", () => {
    expect(renderTextTable(table, { ...createTerminalStyle({}), width: 40 }).split("\n")).toEqual([
      "Hits",
      "                 small [ops/s]",
      "raw Map       12.4M ±4% 1.00x≈",
      "a peer 1.2.3  1.25M ±4% 0.10x",
      "",
      "                large [ops/s]",
      "raw Map       912k ±1% 1.00x≈",
      "a peer 1.2.3     –",
      "  x = ratio to raw Map; ≈ = inside the",
      "    noise floor that the control row",
      "    shows",
      "  – a peer, large: has no large one",
    ]);
    const bare = renderTextTable(table, { ...createTerminalStyle({}), width: 26 });
    expect(bare).not.toMatch(/±\d/);
    expect(bare).toContain("± has no room");
  });

  it("never paints where nobody sees it, and fits a narrow terminal by moving columns below", () => {
    const text = renderTextTable(table, { ...createTerminalStyle({}), width: 32 });
    for (const line of text.split("\n")) expect([...line].length).toBeLessThanOrEqual(32);
    expect(text).not.toContain("\u001b");
  });
});
