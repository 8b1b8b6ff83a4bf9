import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findTable } from "../src/report/markdown-report.ts";
import { parseRunReport } from "../src/run-report.ts";
import { scenarioLoaders } from "../src/scenarios/index.ts";

const docs = join(import.meta.dirname, "../../../docs");
const page = readFileSync(join(docs, "bench/README.md"), "utf8");
const report = parseRunReport(readFileSync(join(docs, "bench/result.json"), "utf8"), "result.json");
const folder = join(import.meta.dirname, "../src/scenarios");
const sources = readdirSync(folder)
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
  .map((name) => readFileSync(join(folder, name), "utf8"))
  .join("\n");

/** Tables named in the page, in its list of figures and in its markers. */
const named = [
  ...new Set([...page.matchAll(/(?:`|bench )([a-z-]+)\/([a-z0-9-]+)(?:`| -->)/g)].map(([, scenario, table]) => `${scenario}/${table}`)),
];

/** Ids that are made of a number: `peers-8`, `memory-1000`. */
const isMade = (table: string): boolean => /-\d+$/.test(table) && sources.includes(`\`${table.replace(/\d+$/, "")}\${`);

describe("the page of measured figures", () => {
  it("names tables of scenarios that there are", () => {
    expect(named.length).toBeGreaterThan(30);
    for (const name of named) expect(Object.keys(scenarioLoaders)).toContain(name.split("/")[0]);
  });

  it.each(named)("shows a table that the bench prints: %s", (name) => {
    const [, table = ""] = name.split("/");
    expect([sources.includes(`"${table}"`), isMade(table)]).toContain(true);
  });
});

/** A measured figure of the committed run. */
function figureOf(scenario: string, table: string, contender: string, column: string): number {
  const cell = findTable(report, scenario, table)?.rows.find((row) => row.contender === contender)?.cells[column];
  if (cell?.kind !== "measured") throw new Error(`${scenario}/${table} has no figure of ${contender}, ${column}`);
  return cell.median;
}

describe("what the page on coherence quotes", () => {
  const coherence = readFileSync(join(docs, "coherence.md"), "utf8");

  it("are the schedules that break the usual design, as the table has them", () => {
    const quoted = /\[(\d+) of 100\]\(bench\/README\.md#coherence\)/.exec(coherence)?.[1];
    expect(Number(quoted)).toBe(Math.round(figureOf("coherence", "schedules", "reference design (S1)", "bad")));
  });

  it("are the reads that the soak judged, and by how much heaps grew", () => {
    const quoted = /judged ([\d.]+) million with \d+ faults.*?grew by ([\d.]+) MB a minute/.exec(coherence);
    expect(quoted?.slice(1)).toEqual([
      (figureOf("faults", "soak", "larder", "reads") / 1e6).toFixed(1),
      figureOf("faults", "soak", "larder", "growth").toFixed(2),
    ]);
  });
});
