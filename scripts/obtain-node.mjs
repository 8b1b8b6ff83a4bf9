import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "./run-command.mjs";

/**
 * The program of another Node release, installed once per machine through npm's `node` package (about 130 MB and 5 s each).
 * @returns the running Node for its own major version
 */
export async function obtainNode(major) {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const folder = join(tmpdir(), `larder-node-${major}`);
  const program = join(folder, "node_modules/node/bin/node");
  if (!existsSync(program)) {
    await install(major, folder);
  }
  const version = (await runCommand(program, ["--version"])).trim();
  if (!version.startsWith(`v${major}.`)) throw new Error(`${program} is ${version}, expected v${major}`);
  return program;
}

/** Installs it beside its place and moves it there whole: several steps of CI may want the same release at once. */
async function install(major, folder) {
  const making = mkdtempSync(`${folder}-`);
  writeFileSync(join(making, "package.json"), '{ "private": true }\n');
  await runCommand("npm", ["install", "--no-audit", "--no-fund", `node@${major}`], { cwd: making, timeoutMs: 300_000 });
  try {
    renameSync(making, folder);
  } catch (error) {
    // Another one was first.
    if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    rmSync(making, { recursive: true, force: true });
  }
}
