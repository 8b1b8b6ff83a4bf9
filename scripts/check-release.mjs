#!/usr/bin/env node
// Proves the release flow without releasing: in a clone of HEAD, one changeset for one package is turned into versions and changelogs,
// and everything is published dry. The packages must be built.
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
  await tally.check("every package would be published, with its siblings' new versions", async () => {
    const output = await inClone("npx", ["--yes", "pnpm@10.34.9", "publish", "-r", "--dry-run", "--no-git-checks", "--access", "public"]);
    expectNone(units.map((unit) => `${unit.name}@${manifestOf(unit).version}`).filter((expected) => !output.includes(expected)));
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
tally.close();
