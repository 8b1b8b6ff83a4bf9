#!/usr/bin/env node
// Writes the option tables of every page from the doc comments of the sources, between the markers
//   <!-- options: MemoryCacheOptions -->  …  <!-- /options -->
// A package's README sees its own interfaces first, then cache-core's; other pages see all. `--check` writes nothing and fails when a
// table is not what it would write.
import { readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { documentationPages } from "./markdown/documentation-pages.mjs";
import { interfacesIn, optionTable } from "./markdown/option-table.mjs";
import { Tally } from "./tally.mjs";
import { filesBelow, root, workspacePackages } from "./workspace-packages.mjs";

const MARKERS = /(<!-- options: (\w+) -->\n)([\s\S]*?)(<!-- \/options -->)/g;
const isChecking = process.argv.includes("--check");

const packages = workspacePackages();
const sourcesOf = ({ path }) => filesBelow(join(path, "src"), (file) => file.endsWith(".ts") && !/\.test(-d)?\.ts$/.test(file));
/** The interfaces a page means: those of its own package come first. */
function interfacesFor(page) {
  const isNear = ({ path }) => page.startsWith(`${path}/`);
  return interfacesIn([...packages.filter(isNear), ...packages.filter((unit) => !isNear(unit))].flatMap(sourcesOf));
}

const tally = new Tally();
for (const page of documentationPages().filter((path) => readFileSync(path, "utf8").includes("<!-- options: "))) {
  await tally.check(`${relative(root, page)}: option tables`, () => {
    const interfaces = interfacesFor(page);
    const before = readFileSync(page, "utf8");
    const after = before.replace(MARKERS, (_all, open, name, _old, close) => `${open}${optionTable(name, interfaces)}\n${close}`);
    if (after === before) return;
    if (isChecking) throw new Error("not what the doc comments say: run pnpm docs:write");
    writeFileSync(page, after);
  });
}
if (packages.every(({ path }) => !readFileSync(join(path, "README.md"), "utf8").includes("<!-- options: ")))
  tally.skip("option tables", "no page has one yet");
tally.close();
