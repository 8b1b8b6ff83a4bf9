import { expect, it } from "vitest";
import { formatTable } from "./print-table.ts";
import { printableJson } from "./printable.ts";

const hostile = "m\u001b]0;title\u0007\u001b[2J\u009b31m\u202e\u2028\nrow";
const obeyed = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u;

it("puts nothing into a table that a terminal would obey, and keeps a cell in its line", () => {
  const table = formatTable(["model"], [[hostile], ["plain"]]);
  expect(table).not.toMatch(obeyed);
  expect(table.split("\n")).toHaveLength(4);
  expect(table).toContain("]0;title");
});

it("puts nothing into JSON that a terminal would obey, and keeps the value", () => {
  const text = printableJson({ id: hostile });
  expect(text).not.toMatch(obeyed);
  expect(JSON.parse(text)).toEqual({ id: hostile });
});
