#!/usr/bin/env node
// Writes api/<package>.api.md: every name a package exports, with its signature, from the built declarations. A change of the public
// surface thus shows in review as a change of this file. `--check` writes nothing and fails when a report is not what it would write.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import ts from "typescript";
import { Tally } from "./tally.mjs";
import { root, workspacePackages } from "./workspace-packages.mjs";

const isChecking = process.argv.includes("--check");
const printer = ts.createPrinter({ removeComments: true });

/** A declaration as one block of text, without comments, bodies and private members: what a caller can see. */
function signature(declaration) {
  const statement = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  const text = printer.printNode(ts.EmitHint.Unspecified, statement, declaration.getSourceFile());
  return text
    .replace(/^(export |declare )+/, "")
    .split("\n")
    .filter((line) => !/^\s+(#private|private )/.test(line))
    .join("\n");
}

function describeExport(symbol, checker) {
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const declarations = target.declarations ?? [];
  const from = declarations[0]?.getSourceFile().fileName ?? "";
  const owner = /packages\/([^/]+)\/dist\//.exec(from)?.[1];
  return { name: symbol.name, owner, text: declarations.map(signature).join("\n") };
}

/** The report of one package: a section an entry, names in alphabetical order. */
function report({ name, path, manifest }) {
  const entries = Object.entries(manifest.exports).filter(([, entry]) => entry.import);
  const files = entries.map(([, entry]) => join(path, entry.import.types));
  const missing = files.filter((file) => !existsSync(file));
  if (missing.length > 0) throw new Error(`not built: ${missing.join(", ")}`);
  const options = {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    skipLibCheck: true,
    types: ["node"],
  };
  const program = ts.createProgram(files, options);
  const checker = program.getTypeChecker();
  const sections = entries.map(([subpath], at) => {
    const symbol = checker.getSymbolAtLocation(program.getSourceFile(files[at]));
    const found = symbol ? checker.getExportsOfModule(symbol).map((exported) => describeExport(exported, checker)) : [];
    const sorted = found.sort((a, b) => (a.name < b.name ? -1 : 1));
    const lines = sorted.map(({ name: exported, owner, text }) =>
      owner && owner !== basename(path) ? `// ${exported}: from @larder/${owner}` : text.startsWith("import") ? `// ${exported}` : text,
    );
    return `## \`${name}${subpath.slice(1)}\`\n\n${sorted.length} names.\n\n\`\`\`ts no-check: signatures alone\n${lines.join("\n\n")}\n\`\`\``;
  });
  return `# API of ${name}\n\nWritten by \`scripts/api-report.mjs\` from the built declarations; do not edit.\n\n${sections.join("\n\n")}\n`;
}

const tally = new Tally();
mkdirSync(join(root, "api"), { recursive: true });
for (const unit of workspacePackages()) {
  await tally.check(`${unit.name}: API report`, () => {
    const file = join(root, "api", `${basename(unit.path)}.api.md`);
    const now = report(unit);
    const before = existsSync(file) ? readFileSync(file, "utf8") : "";
    if (now === before) return;
    if (!isChecking) return writeFileSync(file, now);
    const [then, lines] = [new Set(before.split("\n")), new Set(now.split("\n"))];
    const added = [...lines].filter((line) => !then.has(line)).map((line) => `+ ${line}`);
    const gone = [...then].filter((line) => !lines.has(line)).map((line) => `- ${line}`);
    throw new Error(
      `the public surface changed; if that is meant: pnpm build, pnpm docs:write, and commit\n${[...gone, ...added].slice(0, 30).join("\n")}`,
    );
  });
}
tally.close();
