#!/usr/bin/env node
// Runs a command with a real Redis: `node scripts/with-redis.mjs CMD [ARG…]`. The command finds it in REDIS_URL, and the
// server's program, for tests that start servers of their own, in LARDER_REDIS_SERVER.
//
// Where the Redis comes from, in this order: REDIS_URL; redis-server or valkey-server on the PATH; apt, as root; docker.
// None of them: a message that says what to do, and exit code 2. Tests never pass by skipping Redis.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const START_TIMEOUT_MS = 15_000;

const onPath = (program) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
const findServer = () => ["redis-server", "valkey-server"].find(onPath);

function installWithApt() {
  if (process.getuid?.() !== 0 || !onPath("apt-get")) return undefined;
  console.error("with-redis: no Redis found, installing redis-server with apt");
  const quiet = { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
  // A service start at install would be a second server that nobody asked for.
  const install = () => spawnSync("apt-get", ["install", "-y", "-q", "--no-install-recommends", "redis-server"], quiet).status === 0;
  if (!install()) {
    spawnSync("apt-get", ["update", "-q"], quiet);
    install();
  }
  return findServer();
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Resolves when something at the port answers PING as a Redis does. */
function answersPing(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    socket.setTimeout(500, () => socket.destroy());
    socket.once("data", (data) => {
      resolve(data.toString().startsWith("+PONG"));
      socket.destroy();
    });
    socket.once("error", () => resolve(false)).once("close", () => resolve(false));
  });
}

async function untilUp(port, failed) {
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < giveUpAt && !failed()) {
    if (await answersPing(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`Redis did not answer on port ${port} within ${START_TIMEOUT_MS} ms`);
}

async function startServer(program) {
  const directory = mkdtempSync(join(tmpdir(), "larder-redis-"));
  const port = await freePort();
  const flags = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", directory];
  const server = spawn(program, flags, { stdio: "ignore" });
  const stop = () => {
    server.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  };
  await untilUp(port, () => server.exitCode !== null);
  return { url: `redis://127.0.0.1:${port}`, stop };
}

async function startContainer() {
  const port = await freePort();
  const run = spawnSync("docker", ["run", "-d", "--rm", "-p", `127.0.0.1:${port}:6379`, "redis:7"], { encoding: "utf8" });
  if (run.status !== 0) return undefined;
  const stop = () => spawnSync("docker", ["kill", run.stdout.trim()]);
  await untilUp(port, () => false);
  return { url: `redis://127.0.0.1:${port}`, stop };
}

async function obtainRedis() {
  const program = findServer() ?? (process.env.REDIS_URL ? undefined : installWithApt());
  if (process.env.REDIS_URL) return { url: process.env.REDIS_URL, program, stop: () => {} };
  if (program) return { ...(await startServer(program)), program };
  // `docker --version` also answers where only the client is installed; `docker info` needs the engine.
  if (onPath("docker") && spawnSync("docker", ["info"], { stdio: "ignore" }).status === 0) return startContainer();
  return undefined;
}

const [command, ...args] = process.argv.slice(2);
if (!command) {
  console.error("usage: node scripts/with-redis.mjs CMD [ARG…]");
  process.exit(2);
}
const redis = await obtainRedis();
if (!redis) {
  console.error(
    "with-redis: the tests need a real Redis and found none. Install redis-server (Debian, Ubuntu: apt-get install redis-server;\n" +
      "macOS: brew install redis), start docker, or set REDIS_URL=redis://HOST:PORT to a server that tests may write to.",
  );
  process.exit(2);
}
const env = { ...process.env, REDIS_URL: redis.url };
if (redis.program) env.LARDER_REDIS_SERVER = redis.program;
const child = spawn(command, args, { stdio: "inherit", env });
// The child is in our process group and gets Ctrl-C by itself; we stay to stop the server after it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.once("error", (error) => {
  console.error(`with-redis: cannot run ${command}: ${error.message}`);
  redis.stop();
  process.exit(127);
});
child.once("exit", (code, signal) => {
  redis.stop();
  process.exit(signal ? 1 : (code ?? 1));
});
