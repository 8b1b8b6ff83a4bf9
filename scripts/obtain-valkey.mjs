#!/usr/bin/env node
// Prints the path of a Valkey server: `node scripts/obtain-valkey.mjs`. Exit code 1 where none can be had.
//
// The one on the PATH, else that of Debian's backports, unpacked once per machine into a temporary folder: nothing is installed, and the
// lists of the system's own packages stay as they are. It was built for Debian 12 and runs on later ones.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathOf } from "./find-program.mjs";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const SUITE = "bookworm-backports";
/** The server's program is in the tools; the other one names it. */
const PACKAGES = ["valkey-tools", "valkey-server"];

const runs = (program) => spawnSync(program, ["--version"], { encoding: "utf8" }).stdout?.startsWith("Valkey");

function run(program, args, cwd) {
  // What it writes to stdout is not the path that a caller waits for.
  if (spawnSync(program, args, { cwd, stdio: ["ignore", "ignore", "inherit"], timeout: 120_000 }).status !== 0)
    throw new Error(`${program} ${args.at(-1)} failed`);
}

/** Settings that keep apt to a folder of its own. */
function aptOptions(folder) {
  const settings = {
    "Dir::Etc::sourcelist": join(folder, "sources.list"),
    "Dir::Etc::sourceparts": "-",
    "Dir::State::lists": join(folder, "lists"),
    "Dir::Cache": join(folder, "cache"),
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
  };
  return ["-q", ...Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`])];
}

function unpack(folder) {
  for (const name of ["lists/partial", "cache/archives/partial", "debs"]) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, "sources.list"), `deb [signed-by=${KEYRING}] http://deb.debian.org/debian ${SUITE} main\n`);
  const debs = join(folder, "debs");
  run("apt-get", [...aptOptions(folder), "update"], folder);
  run("apt-get", [...aptOptions(folder), "download", ...PACKAGES.map((name) => `${name}/${SUITE}`)], debs);
  for (const file of readdirSync(debs)) run("dpkg-deb", ["-x", join(debs, file), folder], folder);
}

/** Unpacks it beside its place and moves it there whole: a run that was cut off leaves nothing that looks like a server. */
function obtain() {
  const folder = join(tmpdir(), "larder-valkey");
  const program = join(folder, "usr/bin/valkey-server");
  if (existsSync(program)) return program;
  if (!pathOf("apt-get") || !pathOf("dpkg-deb") || !existsSync(KEYRING)) return undefined;
  const making = mkdtempSync(`${folder}-`);
  try {
    unpack(making);
    renameSync(making, folder);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    // Another one was first.
    if (!existsSync(program)) console.error(`obtain-valkey: ${error.message}`);
  }
  return program;
}

const program = pathOf("valkey-server") || obtain();
if (!program || !runs(program)) {
  console.error("obtain-valkey: no valkey-server on the PATH, and none that runs here among Debian's packages");
  process.exit(1);
}
console.log(program);
