#!/usr/bin/env node
// Proves the release flow without releasing: in a clone of HEAD, one changeset for one package is turned into versions and changelogs,
// and everything is published to a registry that lasts as long as the check. The packages must be built.
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startScopeRegistry } from "./packages/scope-registry.mjs";
import { runCommand } from "./run-command.mjs";
import { expectNone, Tally } from "./tally.mjs";
import { root, workspacePackages } from "./workspace-packages.mjs";

const CHANGED = "@larder/cache-memory";
const NOTE = "Entries can be weighed by their owner.";

const units = workspacePackages();
const folder = mkdtempSync(join(tmpdir(), "larder-release-"));
const clone = join(folder, "larder");
const inClone = (command, args) => runCommand(command, args, { cwd: clone });
const manifestOf = (unit) => JSON.parse(readFileSync(join(clone, unit.folder, "package.json"), "utf8"));
const parts = (version) => version.split(".").map(Number);

/** What a version became: "major", "minor", "patch" or "none". */
function bumpOf(before, after) {
  const at = parts(before).findIndex((part, index) => part !== parts(after)[index]);
  return ["major", "minor", "patch"][at] ?? "none";
}

/** Takes out what only a hosted job can do: npm signs the place of a build by that job's identity, and refuses to publish without one. */
function leaveUnsigned(path) {
  const manifest = JSON.parse(readFileSync(path, "utf8"));
  if (manifest.publishConfig?.provenance !== true) throw new Error(`${path}: publishConfig.provenance is not true`);
  writeFileSync(path, JSON.stringify({ ...manifest, publishConfig: { ...manifest.publishConfig, provenance: false } }, undefined, 2));
}

/** A clone as a release job has it: installed, built, and without the changesets that wait in it now. */
async function prepareClone() {
  await runCommand("git", ["clone", "--quiet", root, clone]);
  await inClone("npx", ["--yes", "pnpm@10.34.9", "install", "--frozen-lockfile", "--prefer-offline"]);
  for (const unit of units) {
    if (existsSync(join(unit.path, "dist"))) cpSync(join(unit.path, "dist"), join(clone, unit.folder, "dist"), { recursive: true });
  }
  const waiting = readdirSync(join(clone, ".changeset")).filter((name) => name.endsWith(".md") && name !== "README.md");
  for (const name of waiting) rmSync(join(clone, ".changeset", name));
}

const tally = new Tally();
console.log("check-release: in a clone");
try {
  await tally.check("every waiting changeset can be read", () =>
    runCommand(join(root, "node_modules/.bin/changeset"), ["status"], { cwd: root }),
  );
  await tally.check("a clone stands", prepareClone);
  await tally.check("a minor change of one package moves it, its users by a patch, and nothing else", async () => {
    writeFileSync(join(clone, ".changeset/proof.md"), `---\n"${CHANGED}": minor\n---\n\n${NOTE}\n`);
    await inClone("node_modules/.bin/changeset", ["version"]);
    expectNone(
      units.flatMap((unit) => {
        const isUser = CHANGED in (unit.manifest.dependencies ?? {});
        const usesUser = units.some(
          ({ name, manifest }) => CHANGED in (manifest.dependencies ?? {}) && name in (unit.manifest.dependencies ?? {}),
        );
        const expected = unit.name === CHANGED ? "minor" : isUser || usesUser ? "patch" : "none";
        const bump = bumpOf(unit.manifest.version, manifestOf(unit).version);
        return bump === expected ? [] : [`${unit.name}: ${bump}, expected ${expected}`];
      }),
    );
  });
  await tally.check("the changelog tells it", () => {
    const changed = units.find(({ name }) => name === CHANGED);
    const changelog = readFileSync(join(clone, changed.folder, "CHANGELOG.md"), "utf8");
    if (!changelog.includes(NOTE) || !changelog.includes(`## ${manifestOf(changed).version}`)) throw new Error(changelog.slice(0, 600));
  });
  await tally.check("the release command publishes every package in its new version, and tags it", async () => {
    const { release } = JSON.parse(readFileSync(join(clone, "package.json"), "utf8")).scripts;
    // The builds stand already; what is proven is what comes after them.
    if (!release.endsWith("&& changeset publish")) throw new Error(`the release script is not what is proven here: ${release}`);
    const expected = units.map((unit) => `${unit.name}@${manifestOf(unit).version}`);
    const registry = await startScopeRegistry(new Map());
    try {
      for (const unit of units) leaveUnsigned(join(clone, unit.folder, "package.json"));
      const userConfig = join(folder, "npmrc");
      writeFileSync(userConfig, `registry=${registry.url}\n//${new URL(registry.url).host}/:_authToken=proof\n`);
      const identity = {
        GIT_AUTHOR_NAME: "proof",
        GIT_COMMITTER_NAME: "proof",
        GIT_AUTHOR_EMAIL: "proof@localhost",
        GIT_COMMITTER_EMAIL: "proof@localhost",
      };
      const env = { ...process.env, ...identity, CI: "true" };
      // Only the publishing is to see this registry: npx gets pnpm from the usual one.
      const settings = [`npm_config_registry=${registry.url}`, `NPM_CONFIG_USERCONFIG=${userConfig}`];
      const command = ["--yes", "pnpm@10.34.9", "exec", "env", ...settings, "changeset", "publish"];
      await runCommand("npx", command, { cwd: clone, env, timeoutMs: 300_000 });
      expectNone(expected.filter((name) => !registry.published.has(name)));
    } finally {
      registry.close();
    }
    const tags = (await inClone("git", ["tag"])).split("\n");
    expectNone(expected.filter((tag) => !tags.includes(tag)));
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
tally.close();
