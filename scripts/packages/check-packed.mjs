import { readFileSync } from "node:fs";
import { join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { runCommand } from "../run-command.mjs";
import { expectNone } from "../tally.mjs";
import { root } from "../workspace-packages.mjs";

const TOP_FILES = new Set(["package.json", "README.md", "LICENSE", "CHANGELOG.md"]);
/**
 * What a library puts into dist: a file for each entry, and what several entries share, which the bundler names with a hash.
 * An app's dist also holds shared chunks of code, and the assets that its pages and its configuration are made of.
 */
const LIBRARY_FILE = /^dist\/[\w-]+\.(?:js|cjs|d\.ts|d\.cts)$/;
const APP_FILE = /^dist\/[\w/.-]+\.(?:js|cjs|d\.ts|d\.cts|json|html|css|svg)$/;

/** Only what a user needs is packed: no sources, no tests, no source maps, nothing that names the machine it was built on. */
export function checkContents({ files, manifest }, { isApp, manifest: source }) {
  const pattern = isApp ? APP_FILE : LIBRARY_FILE;
  const surprising = files.filter(({ path }) => !TOP_FILES.has(path) && !pattern.test(path)).map(({ path }) => `packs ${path}`);
  const missing = [...TOP_FILES].filter((name) => !files.some(({ path }) => path === name)).map((name) => `lacks ${name}`);
  const texts = files
    .filter(({ path }) => path.startsWith("dist/"))
    .map(({ path, absolute }) => ({ path, text: readFileSync(absolute, "utf8") }));
  const machine = texts.filter(({ text }) => text.includes(root)).map(({ path }) => `${path} names the folder it was built in`);
  const mapped = texts
    .filter(({ text }) => text.includes("sourceMappingURL="))
    .map(({ path }) => `${path} points to a source map that is not packed`);
  const left = JSON.stringify(manifest).match(/"(?:workspace|catalog):[^"]*"|@larder\/source/g) ?? [];
  const versions = manifest.version === source.version ? [] : [`packed as ${manifest.version}, is ${source.version}`];
  expectNone([
    ...surprising,
    ...missing,
    ...machine,
    ...mapped,
    ...versions,
    ...left.map((text) => `the packed manifest still holds ${text}`),
  ]);
}

/** publint, warnings being errors. */
export async function checkWithPublint({ tarball }) {
  const bytes = readFileSync(tarball);
  const { messages, pkg } = await publint({
    pack: { tarball: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) },
    strict: true,
  });
  expectNone(messages.filter(({ type }) => type !== "suggestion").map((message) => formatMessage(message, pkg, { color: false })));
}

/** "Are the types wrong?" in its strict profile, that is: for every way of resolving modules that compilers still have. */
export async function checkWithAttw({ tarball }) {
  await runCommand(join(root, "node_modules/.bin/attw"), [tarball, "--no-emoji", "--no-color"], { cwd: root });
}
