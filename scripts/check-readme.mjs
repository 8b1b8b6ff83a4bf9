#!/usr/bin/env node
// Compiles and runs the ts blocks of every README and docs page and the `@example`s of doc comments against the built packages, and
// compiles the files of every examples/ folder, which the check of the packed packages runs. A page that shows code which does not work
// fails here. How a block is left out: code-blocks.mjs; each that is stands in the output with its reason.
//
//   node scripts/with-redis.mjs node scripts/check-readme.mjs [PAGE…]
//
// Pages that call the gateway find it where they say, on http://127.0.0.1:8787 with its sandbox provider, for as long as the check runs;
// the upstreams that provider-sync reads are stood in for by markdown/upstreams.mjs.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { transform } from "esbuild";
import { docCommentExamples } from "./markdown/doc-comment-examples.mjs";
import { documentationPages } from "./markdown/documentation-pages.mjs";
import { programsOf, SKIPS } from "./markdown/programs.mjs";
import { startSandboxGateway } from "./markdown/sandbox-gateway.mjs";
import { runCommand } from "./run-command.mjs";
import { expectNone, Tally } from "./tally.mjs";
import { filesBelow, root, workspacePackages } from "./workspace-packages.mjs";

const RUN_TIMEOUT_MS = 30_000;
const AT_ONCE = 3;
const GATEWAY_PORT = 8787;
/** Below the package that has everything a page may import. */
const folder = join(root, "docs/.check");

const shown = (path) => relative(root, path);
const slugOf = (path, line) =>
  `${shown(path)
    .replace(/\.(md|ts)$/, "")
    .replace(/[^A-Za-z0-9]+/g, "-")}-${line}`;

/** All programs, which resolve from the docs folder: it has everything a page may import. */
function collect(wanted) {
  const isWanted = (path) => wanted.length === 0 || wanted.includes(path);
  const programs = [];
  const problems = [];
  const leftOut = [];
  for (const path of documentationPages().filter(isWanted)) {
    const page = programsOf(readFileSync(path, "utf8"));
    problems.push(...page.problems.map((problem) => `${shown(path)}: ${problem}`));
    leftOut.push(...page.leftOut.map((block) => ({ ...block, path })));
    programs.push(...page.programs.map((program) => ({ ...program, path })));
  }
  for (const unit of workspacePackages()) {
    const sources = filesBelow(join(unit.path, "src"), (file) => /\.ts$/.test(file) && !/\.test(-d)?\.ts$/.test(file)).filter(isWanted);
    programs.push(...docCommentExamples(unit, sources));
    for (const path of filesBelow(join(unit.path, "examples"), (file) => file.endsWith(".ts")).filter(isWanted)) {
      programs.push({ path, line: 1, code: readFileSync(path, "utf8"), isRun: false });
    }
  }
  return { programs: programs.map((program) => ({ ...program, slug: slugOf(program.path, program.line) })), problems, leftOut };
}

/** Writes the programs where their imports are found, and compiles them all at once. @returns complaints by program */
async function compile(programs) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const { slug, code } of programs) {
    writeFileSync(join(folder, `${slug}.mts`), `${code}\nexport {};\n`);
    writeFileSync(join(folder, `${slug}.mjs`), (await transform(code, { loader: "ts", format: "esm", target: "node20" })).code);
  }
  const compilerOptions = {
    target: "es2023",
    lib: ["es2023", "esnext.disposable", "dom"],
    module: "nodenext",
    moduleResolution: "nodenext",
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ["node"],
    typeRoots: [join(root, "node_modules/@types")],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.mts"] }));
  const compiler = join(root, "node_modules/typescript-native/bin/tsc");
  return runCommand(process.execPath, [compiler, "-p", "tsconfig.json", "--pretty", "false"], { cwd: folder }).then(
    () => new Map(),
    (error) => groupErrors(error.message, programs),
  );
}

/** Compiler complaints by program, pointing at the page. */
function groupErrors(text, programs) {
  const bySlug = new Map(programs.map((program) => [program.slug, program]));
  const errors = new Map();
  for (const [, slug, line, message] of text.matchAll(/^(\S+)\.mts\((\d+),\d+\): (error .*)$/gm)) {
    const { path } = bySlug.get(slug) ?? { path: slug };
    errors.set(slug, [...(errors.get(slug) ?? []), `${shown(path)}:${line}  ${message}`]);
  }
  if (errors.size === 0) throw new Error(text);
  return errors;
}

const isTestProgram = (code) => /from "vitest"/.test(code);

async function run({ slug, code }) {
  if (!isTestProgram(code)) {
    const args = ["--import", pathToFileURL(join(import.meta.dirname, "markdown/upstreams.mjs")).href, `${slug}.mjs`];
    return runCommand(process.execPath, args, { cwd: folder, timeoutMs: RUN_TIMEOUT_MS });
  }
  const test = `${slug}.test.mjs`;
  cpSync(join(folder, `${slug}.mjs`), join(folder, test));
  const config = join(import.meta.dirname, "markdown/vitest.config.mjs");
  const args = [join(root, "node_modules/vitest/vitest.mjs"), "run", "--root", folder, "--config", config, test];
  return runCommand(process.execPath, args, { cwd: folder, timeoutMs: RUN_TIMEOUT_MS });
}

const tally = new Tally();
const wanted = process.argv.slice(2).map((path) => resolve(path));
const { programs, problems, leftOut } = collect(wanted);
console.log(`check-readme: ${programs.length} programs in ${new Set(programs.map(({ path }) => path)).size} files`);
await tally.check("every block is either checked or says why not", () => expectNone(problems));
for (const { path, line, mark, reason } of leftOut) tally.skip(`${shown(path)}:${line} ${SKIPS[mark]}`, reason);
const errors = (await tally.check("the programs can be compiled", () => compile(programs))) ?? new Map();

const needsGateway = programs.some(({ code, isRun }) => isRun && code.includes(`:${GATEWAY_PORT}`));
const gateway = needsGateway ? await tally.check("the gateway that pages call is up", () => startSandboxGateway(GATEWAY_PORT)) : undefined;
const queue = [...programs];
const work = async () => {
  for (let program = queue.shift(); program; program = queue.shift()) {
    const current = program;
    await tally.check(`${shown(current.path)}:${current.line} ${current.isRun ? "compiles and runs" : "compiles"}`, async () => {
      expectNone(errors.get(current.slug) ?? []);
      if (current.isRun) await run(current);
    });
  }
};
await Promise.all(Array.from({ length: AT_ONCE }, work));
await gateway?.stop();
rmSync(folder, { recursive: true, force: true });
tally.close();
