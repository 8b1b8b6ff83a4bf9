// One scenario measured from a program, a table of it as Markdown, and what moved since the run before, told from noise.
// npm install @larder/bench
// Save it as compare-runs.mts: `node compare-runs.mts` runs it from Node 22.18 on, `npx tsx compare-runs.mts` on Node 20.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, renameSync } from "node:fs";
import { compareReports, describeRun, parseRunReport, renderMarkdownTable } from "@larder/bench";

const baseline = "baseline.json";
const latest = "latest.json";
const read = (path: string) => parseRunReport(readFileSync(path, "utf8"), path);

execFileSync("npx", ["larder-bench", "keys", "--quick", "--json", latest], { stdio: ["ignore", "ignore", "inherit"] });
const after = read(latest);
console.log(describeRun(after));

const [scenario] = after.scenarios;
if (scenario?.outcome.status !== "measured") throw new Error("keys needs nothing but Node: it is always measured");
for (const table of scenario.outcome.result.tables) console.log(`\n${renderMarkdownTable(table)}`);

if (existsSync(baseline)) {
  const changes = compareReports(read(baseline), after);
  for (const { contender, column, movement, factor } of changes.filter(({ movement }) => movement !== "level"))
    console.log(`${contender}, ${column.id}: ${movement}, ${factor?.toFixed(2)}x`);
} else {
  renameSync(latest, baseline); // the first run is what the next are held against
}
