#!/usr/bin/env node
// Who may import whom, and what the sources of a package may not touch. DESIGN rules as checks: no import cycle, no star export from an
// index, no console in a library, no dependency in cache-core, no implementation importing another, no hidden clock or dice.
import { builtinModules } from "node:module";
import { dirname, relative, resolve } from "node:path";
import { ambientAllowList } from "./ambient-allow-list.mjs";
import { findCycles } from "./find-cycles.mjs";
import { sourceFacts } from "./source-facts.mjs";
import { expectNone, Tally } from "./tally.mjs";
import { filesBelow, root, workspacePackages } from "./workspace-packages.mjs";

/** Siblings that a package's sources may import. An implementation knows the contract and nothing else; only apps compose. */
const ALLOWED_SIBLINGS = {
  "@larder/cache-core": [],
  "@larder/cache-memory": ["@larder/cache-core"],
  "@larder/cache-redis": ["@larder/cache-core"],
  "@larder/pubsub-invalidation": ["@larder/cache-core"],
  "@larder/provider-sync": ["@larder/cache-core"],
  "@larder/cache-testing": ["@larder/cache-core"],
};

const isSource = (path) => /\.ts$/.test(path) && !/\.(test|test-d)\.ts$|\.d\.ts$/.test(path);
const packageOf = (specifier) =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
const isBuiltin = (specifier) => specifier.startsWith("node:") || builtinModules.includes(specifier);

const packages = workspacePackages();
const files = new Map(
  packages.flatMap((unit) => filesBelow(`${unit.path}/src`, isSource).map((path) => [path, { unit, ...sourceFacts(path) }])),
);
const place = (path, line) => `${relative(root, path)}${line ? `:${line}` : ""}`;
/** One line for every found thing in every file: `find(path, file)` gives `[line, text]` pairs. */
const report = (find) => [...files].flatMap(([path, file]) => find(path, file).map(([line, text]) => `${place(path, line)}  ${text}`));
const bareImports = (file) => file.imports.filter(({ specifier }) => !specifier.startsWith(".") && !isBuiltin(specifier));

const tally = new Tally();
console.log(`check-imports: ${files.size} source files of ${packages.length} packages`);

await tally.check("no file imports itself through others", () => {
  const graph = new Map(
    [...files].map(([path, file]) => {
      const targets = file.imports.filter(({ specifier, isType }) => specifier.startsWith(".") && !isType);
      return [path, targets.map(({ specifier }) => resolve(dirname(path), specifier))];
    }),
  );
  expectNone(findCycles(graph).map((cycle) => `import cycle: ${cycle.map((path) => place(path)).join(" <-> ")}`));
});

await tally.check("no package depends on itself through others", () => {
  const graph = new Map(
    packages.map(({ name, manifest }) => [name, Object.keys(manifest.dependencies ?? {}).filter((other) => other.startsWith("@larder/"))]),
  );
  expectNone(findCycles(graph).map((cycle) => `dependency cycle: ${cycle.join(" <-> ")}`));
});

await tally.check("every name that leaves a package is written out: no `export *`", () => {
  expectNone(report((_path, file) => file.imports.filter(({ isStar }) => isStar).map(({ line }) => [line, "star export: list the names"])));
});

await tally.check("relative imports name the file with its extension", () => {
  const isVague = ({ specifier }) => specifier.startsWith(".") && !/\.(ts|json)$/.test(specifier);
  expectNone(report((_path, file) => file.imports.filter(isVague).map(({ line, specifier }) => [line, `import "${specifier}" lacks .ts`])));
});

await tally.check("a library never writes to the console", () => {
  expectNone(
    report((_path, file) => (file.unit.isApp ? [] : file.consoleUses.map(({ line }) => [line, "console: publish an event instead"]))),
  );
});

await tally.check("cache-core has no runtime dependency", () => {
  const core = packages.find(({ name }) => name === "@larder/cache-core");
  const declared = ["dependencies", "peerDependencies", "optionalDependencies"].flatMap((kind) => Object.keys(core.manifest[kind] ?? {}));
  const imported = report((_path, file) =>
    file.unit === core ? bareImports(file).map(({ line, specifier }) => [line, `imports ${specifier}`]) : [],
  );
  expectNone([...declared.map((name) => `package.json declares ${name}`), ...imported]);
});

await tally.check("implementations import the contract and never each other", () => {
  expectNone(
    report((_path, { unit, ...file }) => {
      const allowed = unit.isApp ? packages.map(({ name }) => name) : (ALLOWED_SIBLINGS[unit.name] ?? []);
      const siblings = bareImports(file).filter(({ specifier }) => specifier.startsWith("@larder/"));
      return siblings
        .filter(({ specifier }) => !allowed.includes(packageOf(specifier)))
        .map(({ line, specifier }) => [line, `${unit.name} may not import ${specifier}`]);
    }),
  );
});

await tally.check("what a package imports, its manifest declares", () => {
  expectNone(
    report((_path, { unit, ...file }) => {
      const { dependencies, peerDependencies, optionalDependencies } = unit.manifest;
      const declared = new Set(Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies, [unit.name]: "" }));
      return bareImports(file)
        .filter(({ specifier }) => !declared.has(packageOf(specifier)))
        .map(({ line, specifier }) => [line, `imports ${specifier}, which is neither a dependency nor a peer`]);
    }),
  );
});

await tally.check("time and chance come from the injected Clock and RandomSource", () => {
  const allowedUses = (path) => ambientAllowList.find(({ file }) => file === place(path))?.uses ?? [];
  const found = report((path, file) => {
    if (file.unit.isApp) return [];
    const hidden = file.ambientUses.filter(({ use }) => !allowedUses(path).includes(use));
    return hidden.map(({ line, use }) => [
      line,
      `${use}: take it from the injected clock or random source, or give a reason in scripts/ambient-allow-list.mjs`,
    ]);
  });
  const isUsed = ({ file, use }) => files.get(resolve(root, file))?.ambientUses.some((found) => found.use === use);
  const stale = ambientAllowList.flatMap(({ file, uses }) =>
    uses.filter((use) => !isUsed({ file, use })).map((use) => `${file}  no longer uses ${use}: drop it from the allow-list`),
  );
  expectNone([...found, ...stale]);
});

tally.close();
