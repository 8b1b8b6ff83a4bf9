import { codeBlocks } from "./code-blocks.mjs";

/** What a mark leaves undone. */
export const SKIPS = { "no-run": "compiled, not run", "no-check": "neither compiled nor run" };

/**
 * The programs of one page. A ts block that begins with an import (comments aside) starts a program, and the ts blocks after it that
 * import nothing go on with it, so that a page can explain its example piece by piece. A mark leaves out that block alone.
 * @returns `{ programs, problems, leftOut }`; a program has `line`, `code` and `isRun`; what a mark left out has `line`, `mark` and `reason`
 */
export function programsOf(markdown) {
  const programs = [];
  const problems = [];
  const leftOut = [];
  for (const { language, mark, reason, line, code } of codeBlocks(markdown)) {
    if (!["ts", "tsx", "js", "typescript", "javascript"].includes(language)) continue;
    if (language !== "ts") problems.push(`line ${line}: a ${language} block is not checked; write it as ts`);
    if (mark && !(mark in SKIPS)) problems.push(`line ${line}: unknown mark "${mark}"; known are ${Object.keys(SKIPS).join(", ")}`);
    if (mark && !reason) problems.push(`line ${line}: ${mark} needs a reason, as in "ts ${mark}: why"`);
    if (mark in SKIPS) leftOut.push({ line, mark, reason });
    if (mark === "no-check") continue;
    const begins = /^(?:\s*(?:\/\/.*|\/\*[\s\S]*?\*\/)?\n)*\s*import\b/.test(`${code}\n`);
    const last = programs.at(-1);
    // Blank lines keep the line numbers of the page, so that an error points at the page itself.
    const pad = (from) => "\n".repeat(Math.max(0, line - 1 - from));
    if (begins || !last || mark === "no-run" || !last.isRun) {
      programs.push({ line, code: `${pad(0)}${code}\n`, isRun: mark !== "no-run" });
    } else {
      last.code += `${pad(last.code.split("\n").length - 1)}${code}\n`;
    }
  }
  return { programs, problems, leftOut };
}
