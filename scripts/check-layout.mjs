#!/usr/bin/env node
// The same files in the same places, with the same manifest, in every package: who knows one package knows all of them.
import { existsSync, readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { isDeepStrictEqual } from "node:util";
import ts from "typescript";
import { isInternal, publishFields } from "./publish-fields.mjs";
import { expectNone, Tally } from "./tally.mjs";
import { filesBelow, root, workspacePackages } from "./workspace-packages.mjs";

const REQUIRED_FILES = ["README.md", "CHANGELOG.md", "LICENSE", "package.json", "tsconfig.json", "tsup.config.ts", "src/index.ts"];
/** Names that say nothing about what is inside; such files grow into the longest ones. */
const DRAWERS = /^(utils?|types?|helpers?|common|misc|shared)\.ts$/;
const SOURCE_CONDITION = "@larder/source";

const packages = workspacePackages();
const read = (path) => readFileSync(path, "utf8");
const sourcesOf = ({ path }) =>
  ["src", "test", "examples"].flatMap((folder) => filesBelow(join(path, folder), (file) => file.endsWith(".ts")));
const shown = (path) => relative(root, path);

/** What is wrong with one `exports` entry. `types` comes first in each branch, because the first condition that matches wins. */
function exportProblems({ path }, subpath, entry) {
  if (typeof entry === "string") return [];
  const problems = [];
  if (Object.keys(entry)[0] !== SOURCE_CONDITION) problems.push(`exports "${subpath}" does not start with "${SOURCE_CONDITION}"`);
  else if (!existsSync(join(path, entry[SOURCE_CONDITION])))
    problems.push(`exports "${subpath}" names a missing ${entry[SOURCE_CONDITION]}`);
  for (const format of isInternal(entry) ? [] : ["import", "require"]) {
    if (!entry[format]) problems.push(`exports "${subpath}" lacks "${format}"`);
    else if (Object.keys(entry[format])[0] !== "types") problems.push(`exports "${subpath}" "${format}" does not begin with "types"`);
  }
  return problems;
}

function manifestProblems(unit) {
  const { manifest, folder, isApp } = unit;
  const expected = {
    license: "MIT",
    type: "module",
    "engines.node": ">=20.19",
    "repository.directory": folder,
    "publishConfig.access": "public",
    "publishConfig.provenance": true,
    main: "./dist/index.cjs",
    module: "./dist/index.js",
    types: "./dist/index.d.ts",
    "scripts.build": "tsup",
    ...(isApp ? {} : { sideEffects: false }),
  };
  const problems = Object.entries(expected)
    .map(([field, value]) => [field, value, field.split(".").reduce((at, key) => at?.[key], manifest)])
    .filter(([, value, found]) => value !== found)
    .map(([field, value, found]) => `${field} is ${JSON.stringify(found)}, expected ${JSON.stringify(value)}`);
  for (const script of ["typecheck", "test"]) if (!manifest.scripts?.[script]) problems.push(`no "${script}" script`);
  if (!manifest.description) problems.push("no description");
  if (!manifest.files?.includes("dist")) problems.push('files lacks "dist"');
  problems.push(...Object.entries(manifest.exports).flatMap(([subpath, entry]) => exportProblems(unit, subpath, entry)));
  const { publishExports, typesVersions } = publishFields(manifest.exports);
  const areDerived =
    isDeepStrictEqual(publishExports, manifest.publishConfig?.exports) && isDeepStrictEqual(typesVersions, manifest.typesVersions);
  if (!areDerived) problems.push("publishConfig.exports or typesVersions do not follow from exports: run node scripts/write-manifests.mjs");
  return problems;
}

/** Siblings come from the workspace; what the catalog lists comes from the catalog, so that one version serves all. */
function dependencyProblems({ manifest }, catalog) {
  return ["dependencies", "devDependencies"].flatMap((kind) =>
    Object.entries(manifest[kind] ?? {})
      .map(([name, range]) => {
        if (name.startsWith("@larder/")) return range === "workspace:^" ? undefined : `${kind} ${name} is ${range}, expected workspace:^`;
        return catalog.has(name) && range !== "catalog:" ? `${kind} ${name} is ${range}, expected catalog:` : undefined;
      })
      .filter(Boolean),
  );
}

/** An index only names what leaves the package: anything else in it is logic that belongs to a file with a name. */
function indexProblems(path) {
  const source = ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest, true);
  return source.statements
    .filter((statement) => !ts.isExportDeclaration(statement))
    .map((statement) => `line ${source.getLineAndCharacterOfPosition(statement.getStart()).line + 1}: not an export declaration`);
}

const workspaceFile = read(join(root, "pnpm-workspace.yaml"));
const catalogText = workspaceFile.slice(workspaceFile.indexOf("catalog:"), workspaceFile.indexOf("verifyDepsBeforeRun"));
const catalog = new Set([...catalogText.matchAll(/^ {2}"?([^":]+)"?:/gm)].map(([, name]) => name));

const tally = new Tally();
console.log(`check-layout: ${packages.length} packages`);
for (const unit of packages) {
  await tally.check(`${unit.name} has its files, manifest and index in order`, () => {
    const missing = REQUIRED_FILES.filter((file) => !existsSync(join(unit.path, file))).map((file) => `no ${file}`);
    const license =
      missing.includes("no LICENSE") || read(join(unit.path, "LICENSE")) === read(join(root, "LICENSE"))
        ? []
        : ["LICENSE differs from the root's"];
    const index = missing.includes("no src/index.ts")
      ? []
      : indexProblems(join(unit.path, "src/index.ts")).map((problem) => `src/index.ts ${problem}`);
    expectNone([...missing, ...license, ...manifestProblems(unit), ...dependencyProblems(unit, catalog), ...index]);
  });
}

await tally.check("what git ignores, and its history, does not come into an image", () => {
  const lines = (path) => read(join(root, path)).split("\n").filter(Boolean);
  const outside = new Set(lines(".dockerignore"));
  const wanted = [".git", ...lines(".gitignore").map((pattern) => `**/${pattern.replace(/\/$/, "")}`)];
  expectNone(wanted.filter((pattern) => !outside.has(pattern)).map((pattern) => `.dockerignore lacks ${pattern}`));
});

const sources = packages.flatMap(sourcesOf);
await tally.check("files are kebab-case and named for what they hold", () => {
  const isOdd = (path) => DRAWERS.test(basename(path)) || !/^[a-z0-9]+([-.][a-z0-9]+)*\.ts$/.test(basename(path));
  expectNone(sources.filter(isOdd).map((path) => `${shown(path)}: name it for its main export`));
});

await tally.check("no test is switched off in silence, and nothing is left as a mark in the code", () => {
  // A skip is fine when its title says why, in parentheses.
  const marks = /\b(?:it|test|describe)\.(?:only|todo)\b|\b(?:it|test|describe)\.skip\((?!["'`].*\(.+\).*["'`])|\b(?:TODO|FIXME|XXX)\b/;
  expectNone(
    sources.flatMap((path) =>
      read(path)
        .split("\n")
        .flatMap((line, at) => (marks.test(line) ? [`${shown(path)}:${at + 1}  ${line.trim()}`] : [])),
    ),
  );
});

tally.close();
