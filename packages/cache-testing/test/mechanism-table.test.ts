import { readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { ABLATIONS } from "../src/index.ts";

const page = new URL("../../../ARCHITECTURE.md", import.meta.url);
const MARKED = /(<!-- mechanisms -->\n)[\s\S]*?(<!-- \/mechanisms -->)/;

/** What breaks when each mechanism is left out, by their numbers; what has none comes last. */
function mechanismTable(): string {
  const rows = [...ABLATIONS]
    .sort((one, other) => (one.number ?? Infinity) - (other.number ?? Infinity) || ABLATIONS.indexOf(one) - ABLATIONS.indexOf(other))
    .map(({ number, name, breaks, promise }) => `| ${number ?? ""} | ${name} | ${breaks} | ${promise} |`);
  return ["| | left out | what breaks | promise |", "|---|---|---|---|", ...rows].join("\n");
}

it("is what ARCHITECTURE.md shows: LARDER_WRITE_DOCS=1 writes the table of mechanisms there", () => {
  const before = readFileSync(page, "utf8");
  const after = before.replace(MARKED, (_all, open: string, close: string) => `${open}${mechanismTable()}\n${close}`);
  expect(before).toMatch(MARKED);
  if (process.env.LARDER_WRITE_DOCS === "1") writeFileSync(page, after);
  else expect(before).toBe(after);
});

it("numbers the mechanisms from one to eight without leaving one out", () => {
  const numbers = new Set(ABLATIONS.flatMap(({ number }) => number ?? []));
  expect([...numbers].sort((one, other) => one - other)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});
