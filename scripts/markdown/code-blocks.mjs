/**
 * The fenced code blocks of a page. A fence reads "```ts", "```ts no-run: why" (compiled, not run) or "```ts no-check: why" (neither);
 * `mark` and `reason` are what stands after the language. `line` is where the code begins.
 */
export function codeBlocks(markdown) {
  const blocks = [];
  let open;
  for (const [at, line] of markdown.split("\n").entries()) {
    const fence = /^(\s*)(`{3,})(.*)$/.exec(line);
    if (open && fence && fence[2].length >= open.ticks && fence[3].trim() === "") {
      blocks.push({ language: open.language, mark: open.mark, reason: open.reason, line: open.line, code: open.lines.join("\n") });
      open = undefined;
    } else if (open) {
      open.lines.push(line.slice(Math.min(open.indent, line.length - line.trimStart().length)));
    } else if (fence) {
      const [, language, mark, reason] = /^(\w*)\s*([\w-]*)(?::\s*(.*))?/.exec(fence[3].trim()) ?? [];
      open = { ticks: fence[2].length, indent: fence[1].length, language, mark, reason: reason ?? "", line: at + 2, lines: [] };
    }
  }
  if (open) throw new Error(`the code block that begins at line ${open.line} has no end`);
  return blocks;
}
