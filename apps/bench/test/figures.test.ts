import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scenarioLoaders } from "../src/scenarios/index.ts";

const page = readFileSync(join(import.meta.dirname, "../../../docs/bench/README.md"), "utf8");
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
