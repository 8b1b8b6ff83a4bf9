#!/usr/bin/env node
// Runs a command with a real PostgreSQL: `node scripts/with-postgres.mjs CMD [ARG…]`. The command finds it in
// LARDER_POSTGRES_URL; not in DATABASE_URL, which is the gateway's own setting and would move its tests to another database.
// Chains with the Redis launcher: `node scripts/with-redis.mjs node scripts/with-postgres.mjs vitest run`.
//
// Where it comes from, in this order: DATABASE_URL; PostgreSQL's programs on the PATH or where Debian keeps them; apt, as root.
// PostgreSQL refuses to run as root, so a root caller hands it to another user (postgres, else nobody).
// None of them: a message that says what to do, and exit code 2. Tests never pass by skipping PostgreSQL.
import { spawn, spawnSync } from "node:child_process";
import { chownSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { installWithApt, pathOf } from "./find-program.mjs";
import { freePort } from "./free-port.mjs";
import { runBesideServer } from "./run-beside-server.mjs";

const START_TIMEOUT_MS = 30_000;
const DEBIAN_HOME = "/usr/lib/postgresql";

const output = (program, args) => spawnSync(program, args, { encoding: "utf8" }).stdout?.trim() ?? "";

/** The folder that holds initdb and postgres, the newest where there are several. */
function findPrograms() {
  const found = pathOf("postgres");
  const folders = found ? [dirname(realpathSync(found))] : [];
  try {
    const versions = readdirSync(DEBIAN_HOME).sort((a, b) => Number(b) - Number(a));
    folders.push(...versions.map((version) => join(DEBIAN_HOME, version, "bin")));
  } catch {
    // Not a Debian.
  }
  return folders.find((folder) => ["initdb", "postgres"].every((program) => pathOf(join(folder, program))));
}

/** Numeric ids of the user that runs the server; `undefined` = the caller itself, who is not root. */
function findUser() {
  if (process.getuid?.() !== 0) return undefined;
  const user = ["postgres", "nobody"].find((name) => /^\d+$/.test(output("id", ["-u", name])));
  return user && { uid: Number(output("id", ["-u", user])), gid: Number(output("id", ["-g", user])) };
}

async function untilUp(folder, port, server, user) {
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < giveUpAt && server.exitCode === null) {
    if (spawnSync(join(folder, "pg_isready"), ["-q", "-h", "127.0.0.1", "-p", String(port)], user).status === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`PostgreSQL did not answer on port ${port} within ${START_TIMEOUT_MS} ms`);
}

async function startServer(folder) {
  const user = findUser();
  const home = mkdtempSync(join(tmpdir(), "larder-postgres-"));
  if (user) chownSync(home, user.uid, user.gid);
  const data = join(home, "data");
  const run = { cwd: home, ...user };
  const made = spawnSync(join(folder, "initdb"), ["-D", data, "-U", "larder", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"], {
    ...run,
    encoding: "utf8",
  });
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const port = await freePort();
  const settings = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: home,
    fsync: "off",
    max_connections: 60,
    shared_buffers: "32MB",
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const server = spawn(join(folder, "postgres"), ["-D", data, ...flags], { ...run, stdio: "ignore" });
  const stop = () =>
    new Promise((resolve) => {
      const remove = () => {
        rmSync(home, { recursive: true, force: true });
        resolve();
      };
      if (server.exitCode !== null || server.signalCode !== null) return remove();
      server.once("exit", remove);
      // Immediate shutdown: the server ends its own children, which a kill would leave behind with their shared memory.
      server.kill("SIGQUIT");
      setTimeout(() => server.kill("SIGKILL"), 5000).unref();
    });
  try {
    await untilUp(folder, port, server, run);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `postgres://larder@127.0.0.1:${port}/postgres`, stop };
}

async function obtainPostgres() {
  const { DATABASE_URL } = process.env;
  if (DATABASE_URL?.startsWith("postgres")) return { env: { LARDER_POSTGRES_URL: DATABASE_URL }, stop: () => {} };
  const folder = findPrograms() ?? installWithApt("with-postgres", "postgresql", findPrograms);
  if (!folder) return undefined;
  const { url, stop } = await startServer(folder);
  return { env: { LARDER_POSTGRES_URL: url }, stop };
}

await runBesideServer("with-postgres", {
  obtain: obtainPostgres,
  advice:
    "the tests need a real PostgreSQL and found none. Install it (Debian, Ubuntu: apt-get install postgresql;\n" +
    "macOS: brew install postgresql), or set DATABASE_URL=postgres://… to a database that tests may write to.",
});
