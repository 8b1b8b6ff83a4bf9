import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../workspace-packages.mjs";

const START_TIMEOUT_MS = 20_000;

const BUILT = join(root, "apps/gateway/dist/main.js");

/** The gateway with its sandbox provider and nothing else configured, in a folder of its own: the built one, or another `program`. */
export async function startSandboxGateway(port, program = BUILT) {
  const folder = mkdtempSync(join(tmpdir(), "larder-gateway-"));
  const { PATH, HOME } = process.env;
  const env = { PATH, HOME, PORT: String(port), HOST: "127.0.0.1", DATABASE_URL: `file:${join(folder, "gateway.db")}` };
  const child = spawn(process.execPath, [program], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < giveUpAt && child.exitCode === null) {
    const isReady = await fetch(`http://127.0.0.1:${port}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
    // Somebody else's server on the port would answer as well.
    if (isReady && child.exitCode === null) return { stop };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await stop();
  throw new Error(`the gateway was not ready on port ${port} within ${START_TIMEOUT_MS} ms:\n${output.slice(-2000)}`);
}
