import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../run-command.mjs";

/** The oldest compiler that the packed types are for, which every README names. With 5.3, zod's types are no longer understood. */
export const OLDEST_TYPESCRIPT = "5.4";

/** The compiler's program of a release that is not the workspace's own, installed once per machine (about 20 MB). */
export async function obtainTypescript(release) {
  const folder = join(tmpdir(), `larder-typescript-${release}`);
  const program = join(folder, "node_modules/typescript/lib/tsc.js");
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
    await runCommand("npm", ["install", "--no-audit", "--no-fund", `typescript@~${release}.0`], { cwd: folder, timeoutMs: 300_000 });
  }
  const version = (await runCommand(process.execPath, [program, "--version"])).trim();
  if (!version.startsWith(`Version ${release}.`)) throw new Error(`${program} is ${version}, expected ${release}`);
  return program;
}
