import { readFileSync } from "node:fs";
import ts from "typescript";

const LITERAL = /^`?(-?[\d.]+|Infinity|true|false|"[^"]*"|\[[-\d., ]*\])`?(?: \(.*\))?$/s;

/** The value that a doc comment's `@default` tells, in an array; none when it tells in words. */
function literalOf(text) {
  const literal = LITERAL.exec(text.replace(/\s+/g, " ").trim())?.[1];
  if (literal === undefined) return [];
  return [literal === "Infinity" ? Number.POSITIVE_INFINITY : JSON.parse(literal)];
}

/** The constants of a file by name, as expressions. */
function constantsIn(source) {
  const declarations = source.statements.filter(ts.isVariableStatement).flatMap(({ declarationList }) => [...declarationList.declarations]);
  return new Map(declarations.map(({ name, initializer }) => [name.getText(), initializer]));
}

/** The values that an expression of literals and constants can have; none when that takes running it. */
function valuesOf(expression, constants) {
  const go = (node) => valuesOf(node, constants);
  if (expression === undefined) return [];
  if (ts.isNumericLiteral(expression)) return [Number(expression.text)];
  if (ts.isStringLiteralLike(expression)) return [expression.text];
  if (expression.kind === ts.SyntaxKind.TrueKeyword) return [true];
  if (expression.kind === ts.SyntaxKind.FalseKeyword) return [false];
  if (/^(Number\.POSITIVE_INFINITY|Infinity)$/.test(expression.getText())) return [Number.POSITIVE_INFINITY];
  if (ts.isParenthesizedExpression(expression) || ts.isAsExpression(expression)) return go(expression.expression);
  if (ts.isIdentifier(expression)) return go(constants.get(expression.text));
  if (ts.isArrayLiteralExpression(expression)) {
    const items = expression.elements.map(go);
    return items.every(({ length }) => length === 1) ? [items.flat()] : [];
  }
  if (!ts.isBinaryExpression(expression)) return [];
  const [left] = go(expression.left);
  const [right] = go(expression.right);
  if (typeof left !== "number" || typeof right !== "number") return [];
  const { kind } = expression.operatorToken;
  if (kind === ts.SyntaxKind.AsteriskToken) return [left * right];
  return kind === ts.SyntaxKind.AsteriskAsteriskToken ? [left ** right] : [];
}

/** What a file gives for what is left out: `{ name = value } = options`, `(name = value) =>`, `options.name ?? value`, fields of constants. */
function defaultsIn(source) {
  const constants = constantsIn(source);
  const found = [];
  const add = (name, expression) => found.push(...valuesOf(expression, constants).map((value) => ({ name, value })));
  const visit = (node) => {
    if (ts.isParameter(node) && node.initializer) add(node.name.getText(), node.initializer);
    else if (ts.isBindingElement(node) && node.initializer) add((node.propertyName ?? node.name).getText(), node.initializer);
    else if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken) {
      const asked = ts.isAwaitExpression(node.left) ? node.left.expression : node.left;
      if (ts.isPropertyAccessExpression(asked) || ts.isIdentifier(asked)) add((asked.name ?? asked).getText(), node.right);
    } else if (ts.isPropertyAssignment(node) && isOfConstant(node)) add(node.name.getText(), node.initializer);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** A list of names (`OptionNames`) gives nothing a value. */
function isOfConstant(property) {
  const declaration = ts.findAncestor(property, ts.isVariableDeclaration);
  if (declaration === undefined || declaration.type?.getText().startsWith("OptionNames<")) return false;
  return ts.isSourceFile(declaration.parent.parent.parent);
}

/**
 * The options of `files` whose doc comments tell a default as a literal, each with the values that the code of those files gives it: in the
 * files that name the option's interface, else in any.
 */
export function documentedDefaults(files) {
  const sources = files.map((path) => ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true));
  const inCode = new Map(sources.map((source) => [source, defaultsIn(source)]));
  const given = (name, isMeant) => sources.filter(isMeant).flatMap((source) => inCode.get(source).filter((each) => each.name === name));
  return sources.flatMap((source) =>
    source.statements.filter(ts.isInterfaceDeclaration).flatMap(({ name: owner, members }) =>
      members.flatMap((member) => {
        const name = member.name?.getText();
        const tags = ts.getJSDocTags(member).filter(({ tagName }) => tagName.text === "default");
        return tags
          .flatMap(({ comment }) => literalOf(ts.getTextOfJSDocComment(comment) ?? ""))
          .map((documented) => {
            const near = given(name, (other) => other.text.includes(owner.text));
            const code = (near.length > 0 ? near : given(name, () => true)).map(({ value }) => value);
            return { owner: owner.text, name, documented, code };
          });
      }),
    ),
  );
}
