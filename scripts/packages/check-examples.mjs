import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { transform } from "esbuild";
import { runCommand } from "../run-command.mjs";
import { filesBelow, root } from "../workspace-packages.mjs";

const RUN_TIMEOUT_MS = 120_000;
const LINES = { least: 20, most: 60 };
/** From this release on Node runs TypeScript as it is; before it, types are stripped as `npx tsx` would. */
const STRIPS_TYPES_FROM = 23;

/**
 * Checks of a package's examples/, each in an empty folder of its own: installs what the file's own `// npm install …` line says, from
 * the packed bytes, and runs the file. Each is `[title, run]`.
 */
export function exampleChecks(unit, createConsumer, nodes) {
  const files = filesBelow(join(unit.path, "examples"), (path) => path.endsWith(".ts"));
  const checks = files.map((path) => {
    const name = basename(path, ".ts");
    const consumer = () => createConsumer(`${basename(unit.folder)}-${name}`);
    return [`${unit.name}'s examples/${name}.ts runs after its own install line`, () => runExample(path, unit, consumer(), nodes)];
  });
  return [
    [
      `${unit.name} has an example, and its README names each`,
      () => {
        const readme = readFileSync(join(unit.path, "README.md"), "utf8");
        const unnamed = files.map((path) => `examples/${basename(path)}`).filter((name) => !readme.includes(`(${name})`));
        if (files.length === 0) throw new Error(`put a program of ${LINES.least} to ${LINES.most} lines into ${unit.folder}/examples`);
        if (unnamed.length > 0) throw new Error(`${unit.folder}/README.md has no link to ${unnamed.join(", ")}`);
      },
    ],
    ...checks,
  ];
}

async function runExample(path, unit, consumer, nodes) {
  const code = readFileSync(path, "utf8");
  const lines = code.trimEnd().split("\n").length;
  if (lines < LINES.least || lines > LINES.most) throw new Error(`${lines} lines: an example has ${LINES.least} to ${LINES.most}`);
  const install = /^\/\/ npm install (.+)$/m.exec(code)?.[1].split(/\s+/);
  if (!install?.includes(unit.name)) throw new Error(`it has no line "// npm install ${unit.name} …" that says what it needs`);
  await consumer.install(install);
  const { major, program } = nodes.find((node) => Number(node.major) >= STRIPS_TYPES_FROM) ?? nodes[0];
  const isStripped = Number(major) < STRIPS_TYPES_FROM;
  const file = isStripped ? "example.mjs" : "example.mts";
  const stripped = isStripped ? (await transform(code, { loader: "ts", format: "esm", target: "node20" })).code : code;
  writeFileSync(join(consumer.folder, file), stripped);
  await runCommand(program, [...STAND_INS, file], { cwd: consumer.folder, timeoutMs: RUN_TIMEOUT_MS });
}

/** Puts the upstreams of provider-sync in their place, so that no check depends on the network. */
export const STAND_INS = ["--import", pathToFileURL(join(root, "scripts/markdown/upstreams.mjs")).href];
