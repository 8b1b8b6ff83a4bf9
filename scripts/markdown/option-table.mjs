import { readFileSync } from "node:fs";
import ts from "typescript";

/** Every interface declared in `files`, by name; two of one name are an error, for a page could not say which it means. */
export function interfacesIn(files) {
  const found = new Map();
  for (const path of files) {
    const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
    for (const statement of source.statements.filter(ts.isInterfaceDeclaration)) {
      if (!found.has(statement.name.text)) found.set(statement.name.text, statement);
    }
  }
  return found;
}

/** The members of an interface with those it inherits, its own first. */
function membersOf(name, interfaces) {
  const declaration = interfaces.get(name);
  if (!declaration) throw new Error(`there is no interface ${name}`);
  const own = declaration.members.filter((member) => ts.isPropertySignature(member) || ts.isMethodSignature(member));
  const parents = (declaration.heritageClauses ?? []).flatMap(({ types }) => types.map(({ expression }) => expression.getText()));
  const names = new Set(own.map((member) => member.name.getText()));
  const inherited = parents.filter((parent) => interfaces.has(parent)).flatMap((parent) => membersOf(parent, interfaces));
  return [...own, ...inherited.filter((member) => !names.has(member.name.getText()))];
}

const oneLine = (text) => text.replace(/\s+/g, " ").trim();
const cell = (text) => oneLine(text).replaceAll("|", "\\|");
const plain = (comment) => (ts.getTextOfJSDocComment(comment) ?? "").replace(/\{@link(?:code|plain)? ([^}]+)\}/g, "`$1`");

/** Members that are the same everywhere and whose sources tell the default alone. */
const INJECTED = { clock: "Where time comes from.", random: "Where randomness comes from." };

function rowOf(member, interfaceName) {
  const name = member.name.getText();
  const comments = ts.getJSDocCommentsAndTags(member).filter(ts.isJSDoc);
  const meaning =
    comments
      .map(({ comment }) => plain(comment))
      .join(" ")
      .trim() || INJECTED[name];
  // A required member without a comment is one whose name and type say all; an optional one must say what leaving it out means.
  if (!meaning && member.questionToken && ts.getJSDocTags(member).length === 0)
    throw new Error(`${interfaceName}.${name} has no doc comment`);
  const defaults = ts.getJSDocTags(member).filter(({ tagName }) => tagName.text === "default");
  const fallback = defaults.map(({ comment }) => plain(comment)).join(" ");
  const type =
    member.type && ts.isPropertySignature(member)
      ? member.type.getText()
      : member
          .getText()
          .replace(/^readonly /, "")
          .replace(/;$/, "");
  const needed = member.questionToken ? "none" : "required";
  const shownDefault = fallback ? (/^[`\w.-]+$/.test(fallback) ? `\`${fallback.replaceAll("`", "")}\`` : cell(fallback)) : needed;
  return `| \`${name}\` | \`${cell(type)}\` | ${shownDefault} | ${cell(meaning ?? "")} |`;
}

/** The table of an options interface, written from its doc comments. */
export function optionTable(name, interfaces) {
  const rows = membersOf(name, interfaces).map((member) => rowOf(member, name));
  return ["| option | type | default | meaning |", "|---|---|---|---|", ...rows].join("\n");
}
