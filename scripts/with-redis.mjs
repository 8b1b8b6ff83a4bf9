#!/usr/bin/env node
// Runs a command with a real Redis: `node scripts/with-redis.mjs CMD [ARG…]`. The command finds it in REDIS_URL, and the
// server's program, for tests that start servers of their own, in LARDER_REDIS_SERVER.
//
// Where the Redis comes from, in this order: REDIS_URL; the program that LARDER_REDIS_SERVER names, redis-server or valkey-server on the
// PATH; apt, as root; docker.
// None of them: a message that says what to do, and exit code 2. Tests never pass by skipping Redis.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installWithApt, pathOf } from "./find-program.mjs";
import { freePort } from "./free-port.mjs";
import { runBesideServer } from "./run-beside-server.mjs";

const START_TIMEOUT_MS = 15_000;

const findServer = () => [process.env.LARDER_REDIS_SERVER, "redis-server", "valkey-server"].find((program) => program && pathOf(program));

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
  const { REDIS_URL } = process.env;
  const program = findServer() ?? (REDIS_URL ? undefined : installWithApt("with-redis", "redis-server", findServer));
  const ofProgram = program && { LARDER_REDIS_SERVER: program };
  if (REDIS_URL) return { env: { ...ofProgram }, stop: () => {} };
  // `docker --version` also answers where only the client is installed; `docker info` needs the engine.
  const hasDocker = () => pathOf("docker") && spawnSync("docker", ["info"], { stdio: "ignore" }).status === 0;
  const server = program ? await startServer(program) : hasDocker() ? await startContainer() : undefined;
  return server && { env: { ...ofProgram, REDIS_URL: server.url }, stop: server.stop };
}

await runBesideServer("with-redis", {
  obtain: obtainRedis,
  advice:
    "the tests need a real Redis and found none. Install redis-server (Debian, Ubuntu: apt-get install redis-server;\n" +
    "macOS: brew install redis), start docker, or set REDIS_URL=redis://HOST:PORT to a server that tests may write to.",
});
