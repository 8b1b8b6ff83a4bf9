import { readFileSync } from "node:fs";
import ts from "typescript";

/** Reads of the machine's own time or chance, by how they are written. */
const AMBIENT_PROPERTIES = new Set(["Date.now", "Math.random", "performance.now", "process.hrtime"]);
const AMBIENT_CALLS = new Set(["setTimeout", "setInterval", "randomBytes", "randomUUID", "randomInt"]);

const isTypeOnly = (node) => {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  const clause = node.importClause;
  if (!clause) return false;
  const named = clause.namedBindings;
  const areNamesTypes =
    named !== undefined && ts.isNamedImports(named) && named.elements.length > 0 && named.elements.every((element) => element.isTypeOnly);
  return clause.isTypeOnly || (!clause.name && areNamesTypes);
};

function importOf(node) {
  if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier) {
    const isStar = ts.isExportDeclaration(node) && node.exportClause === undefined;
    return { specifier: node.moduleSpecifier.text, isType: isTypeOnly(node), isStar, isDynamic: false };
  }
  const isDynamicImport = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword;
  if (isDynamicImport && node.arguments[0] && ts.isStringLiteralLike(node.arguments[0])) {
    return { specifier: node.arguments[0].text, isType: false, isStar: false, isDynamic: true };
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return { specifier: node.argument.literal.text, isType: true, isStar: false, isDynamic: false };
  }
  return undefined;
}

function ambientUseOf(node) {
  if (ts.isPropertyAccessExpression(node)) {
    const written = `${node.expression.getText()}.${node.name.text}`.replace("globalThis.", "");
    if (AMBIENT_PROPERTIES.has(written)) return written;
  }
  if (ts.isCallExpression(node)) {
    const written = node.expression.getText().replace(/^(globalThis|crypto)\./, "");
    if (AMBIENT_CALLS.has(written)) return written;
  }
  if (ts.isNewExpression(node) && node.expression.getText() === "Date" && (node.arguments?.length ?? 0) === 0) return "new Date()";
  return undefined;
}

/** What one source file imports, where it reads the machine's time or chance, and where it writes to the console; each with its line. */
export function sourceFacts(path) {
  const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
  const facts = { imports: [], ambientUses: [], consoleUses: [] };
  const visit = (node) => {
    const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
    const found = importOf(node);
    if (found) facts.imports.push({ ...found, line });
    const use = ambientUseOf(node);
    if (use) facts.ambientUses.push({ use, line });
    if (ts.isPropertyAccessExpression(node) && node.expression.getText(source) === "console") facts.consoleUses.push({ line });
    ts.forEachChild(node, visit);
  };
  visit(source);
  return facts;
}
