import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { transform } from "esbuild";
import { codeBlocks } from "../markdown/code-blocks.mjs";
import { startSandboxGateway } from "../markdown/sandbox-gateway.mjs";
import { runCommand } from "../run-command.mjs";
import { root } from "../workspace-packages.mjs";
import { STAND_INS } from "./check-examples.mjs";
import { OLDEST_TYPESCRIPT, obtainTypescript } from "./obtain-typescript.mjs";

/** Where READMEs say that the gateway is. */
const GATEWAY_PORT = 8787;

const ofWorkspace = (file) => async () => join(root, "node_modules", file);
const oldest = () => obtainTypescript(OLDEST_TYPESCRIPT);

/** The compiler that says of each package, installed alone, whether its types lack anything; attw tries further ways of resolving. */
const COMPILERS = [
  ["TypeScript 7", ofWorkspace("typescript-native/bin/tsc"), "node16"],
  ["TypeScript 7", ofWorkspace("typescript-native/bin/tsc"), "bundler"],
];

/**
 * Compilers that may not understand what the types are written in. Each takes ten seconds of a core for the types of Node and of the language
 * alone, so it sees all packages at once; one way of resolving is enough for that, and each way is tried by one of them.
 */
const OLDER_COMPILERS = [
  [`TypeScript ${OLDEST_TYPESCRIPT}, the oldest`, oldest, "bundler"],
  ["TypeScript 5.9", ofWorkspace("typescript/lib/tsc.js"), "node16"],
];

/** What a user may import from a package: its name and its subpaths. */
export const entriesOf = ({ name, exports }) =>
  Object.entries(exports)
    .filter(([, entry]) => entry.import)
    .map(([subpath]) => name + subpath.slice(1));

/** Checks of one package in a folder of its own where nothing but it was installed. Each is `[title, run]`, in the order they must run. */
export function installedChecks({ manifest }, unit, consumer, nodes) {
  const { name } = manifest;
  const entries = entriesOf(manifest);
  const bins = Object.keys(manifest.bin ?? {});
  const optional = Object.keys(manifest.peerDependenciesMeta ?? {}).filter((peer) => manifest.peerDependenciesMeta[peer].optional);
  const load = (which) => nodes.map(({ major, program }) => [`${which} loads as ESM and as CJS on Node ${major}`, program]);
  const readme = readFileSync(join(unit.path, "README.md"), "utf8");
  // A README whose code cannot run here (it says why) is compiled by the documentation check; an app's help is an example as well.
  const { block } = readmeExample(readme);
  return [
    [`${name} installs alone`, () => consumer.install([name])],
    ...load(name).map(([title, program]) => [title, () => loadAll(consumer, [name], program)]),
    ...bins.map((bin) => [`${bin} --help explains itself`, () => checkHelp(consumer, bin)]),
    // What needs an optional peer is a subpath: the main entry has just been loaded without any.
    ...(optional.length > 0
      ? [
          [
            `${name} installs with ${optional.join(", ")}`,
            () => consumer.install(optional.map((peer) => `${peer}@${manifest.peerDependencies[peer]}`)),
          ],
        ]
      : []),
    ...(entries.length > 1
      ? load(`${name} with all its subpaths`).map(([title, program]) => [title, () => loadAll(consumer, entries, program)])
      : []),
    ...compileChecks(COMPILERS, name, entries, consumer),
    [
      `${name}'s README names the oldest Node and TypeScript`,
      () => {
        const claim = `Node 20.19 or later; types for TypeScript ${OLDEST_TYPESCRIPT} or later.`;
        if (!readme.includes(claim)) throw new Error(`it lacks the sentence "${claim}"`);
      },
    ],
    ...(block !== undefined
      ? [[`${name}'s README example runs unchanged after its install line`, () => runReadmeExample(manifest, readme, consumer, nodes)]]
      : []),
  ];
}

/** Checks of all packages in one folder where all of them were installed, with what their subpaths need. */
export function togetherChecks(packed, consumer) {
  const manifests = packed.map(({ manifest }) => manifest);
  const peers = manifests.flatMap(({ peerDependencies = {} }) =>
    Object.entries(peerDependencies).map(([peer, range]) => `${peer}@${range}`),
  );
  const specifiers = [...new Set([...manifests.map(({ name }) => name), ...peers])];
  return [
    ["all packages install together", () => consumer.install(specifiers)],
    ...compileChecks(OLDER_COMPILERS, "every package", manifests.flatMap(entriesOf), consumer),
  ];
}

function compileChecks(compilers, who, entries, consumer) {
  return compilers.map(([label, compiler, mode]) => [
    `${who} serves a strict consumer (${label}, ${mode})`,
    async () => consumer.compile(entries, mode, await compiler()),
  ]);
}

async function loadAll(consumer, entries, program) {
  const loaded = await consumer.load(entries, program);
  const empty = loaded.filter(({ count }) => count === 0).map(({ specifier }) => specifier);
  if (empty.length > 0) throw new Error(`exports nothing: ${empty.join(", ")}`);
}

async function checkHelp(consumer, bin) {
  const output = await consumer.run(join(consumer.folder, "node_modules/.bin", bin), ["--help"], { timeoutMs: 20_000 });
  if (!/usage/i.test(output)) throw new Error(`${bin} --help printed no usage:\n${output.slice(0, 400)}`);
}

/** The install line and the first program of a README: `npm install A B`, then the first ts block that may run. */
export function readmeExample(readme) {
  const install = /^npm install ([^\n#]+)/m.exec(readme)?.[1].trim().split(/\s+/);
  const block = codeBlocks(readme).find(({ language, mark }) => language === "ts" && mark === "");
  return { install, block };
}

/** Runs the README's first program after its install line. */
async function runReadmeExample({ name, bin }, readme, consumer, nodes) {
  const { install = [name], block } = readmeExample(readme);
  if (!/save it as `\S+\.m?ts`/i.test(readme)) throw new Error("the README does not say what to save its example as, nor how it is run");
  await consumer.install(install);
  // Where the README has its reader start the gateway first, that is the installed one, by its command.
  const [command] = Object.keys(bin ?? {});
  const program = join(consumer.folder, "node_modules/.bin", command ?? "");
  const gateway = block.code.includes(`:${GATEWAY_PORT}`) ? await startSandboxGateway(GATEWAY_PORT, program) : undefined;
  try {
    await runBlock(block, consumer, nodes);
  } finally {
    await gateway?.stop();
  }
}

/**
 * A program as it stands: byte for byte where Node strips types itself, else with its types stripped before. One that imports vitest is a
 * test file and runs under vitest.
 */
async function runBlock(block, consumer, nodes) {
  const run = (program, args) => runCommand(program, args, { cwd: consumer.folder, timeoutMs: 60_000 });
  if (/from "vitest"/.test(block.code)) {
    const vitest = "node_modules/vitest/vitest.mjs";
    if (!existsSync(join(consumer.folder, vitest))) throw new Error("the install line brings no vitest");
    writeFileSync(join(consumer.folder, "example.test.ts"), block.code);
    await run(nodes[0].program, [vitest, "run", "--root", "."]);
    return;
  }
  const { code } = await transform(block.code, { loader: "ts", format: "esm", target: "node20" });
  writeFileSync(join(consumer.folder, "example.mts"), block.code);
  writeFileSync(join(consumer.folder, "example.mjs"), code);
  for (const { major, program } of nodes) await run(program, [...STAND_INS, Number(major) >= 22 ? "example.mts" : "example.mjs"]);
}
