import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import ts from "typescript";

/** Names that a package's index exports, by reading its export lists. */
function exportedNames(indexPath) {
  const source = ts.createSourceFile(indexPath, readFileSync(indexPath, "utf8"), ts.ScriptTarget.Latest, true);
  const lists = source.statements.filter(
    (statement) => ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause),
  );
  return lists.flatMap(({ exportClause }) => exportClause.elements.map(({ name }) => name.text));
}

/** Where each entry of a package has its source: `[specifier, index path]`. */
const entriesOf = ({ name, path, manifest }) =>
  Object.entries(manifest.exports)
    .filter(([, entry]) => entry.import)
    .map(([subpath, entry]) => [name + subpath.slice(1), resolve(path, entry["@larder/source"])]);

/**
 * The `@example`s of a package's doc comments as programs. One that imports nothing gets the names it uses from the package itself; a
 * fence around the code may carry the marks of a page's blocks.
 */
export function docCommentExamples(unit, files) {
  const entries = entriesOf(unit).map(([specifier, index]) => ({ specifier, names: exportedNames(index), folder: dirname(index) }));
  return files.flatMap((path) => {
    const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
    const found = [];
    const visit = (node) => {
      for (const tag of ts.getJSDocTags(node).filter(({ tagName, parent }) => tagName.text === "example" && parent.parent === node)) {
        const text = ts.getTextOfJSDocComment(tag.comment) ?? "";
        const fence = /```ts *([\w-]*)[^\n]*\n([\s\S]*?)```/.exec(text);
        const [mark, code] = fence ? [fence[1], fence[2]] : ["", text];
        const line = source.getLineAndCharacterOfPosition(tag.getStart(source)).line + 1;
        if (mark !== "no-check" && code.trim())
          found.push({ path, line, code: `${importsFor(code, entries)}${code}\n`, isRun: mark !== "no-run" });
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
    return found;
  });
}

function importsFor(code, entries) {
  if (/^\s*import\b/m.test(code)) return "";
  const used = new Set(code.match(/\b[A-Za-z_]\w*\b/g));
  const lines = entries.map(({ specifier, names }) => [specifier, names.filter((name) => used.delete(name))]);
  return lines
    .filter(([, names]) => names.length > 0)
    .map(([specifier, names]) => `import { ${names.join(", ")} } from "${specifier}";\n`)
    .join("");
}
