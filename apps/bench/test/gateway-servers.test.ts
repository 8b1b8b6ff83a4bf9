import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitUntil } from "@larder/cache-testing";
import { readSettings } from "@larder/gateway";
import { describe, expect, it, onTestFinished } from "vitest";
import type { TaskContext } from "../src/scenario.ts";
import { gatewayServer, larderEnvironment } from "../src/scenarios/gateway-servers.ts";

/** A program in the place of Portkey's, which says who it is and never listens. */
const neverUp = (pidFile: string): string =>
  `require("node:fs").writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); setInterval(() => {}, 60_000);`;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("the gateway under test", () => {
  it("asks no source of providers: the bench does not leave the machine, and what is downloaded is not measured", () => {
    const settings = readSettings(larderEnvironment("/none", 1, 2, undefined), "/none");
    expect(settings.openaiBaseUrl).toBe("http://127.0.0.1:2/v1");
    expect(settings.syncSources).toEqual(["none"]);
  });

  it("is ended while it starts, too: its process is gone before that of the task, which an interrupted run kills soon", async () => {
    const folder = await mkdtemp(join(tmpdir(), "larder-never-up-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await mkdir(join(folder, "build"));
    const pidFile = join(folder, "pid");
    await writeFile(join(folder, "build/start-server.js"), neverUp(pidFile));
    const stopping = new AbortController();
    const task: TaskContext = { signal: stopping.signal, send: () => {}, onMessage: () => {} };
    const ended = gatewayServer({ gateway: "portkey", upstreamPort: 1, folder }, task).then(
      () => "nothing",
      (error: Error) => error.message,
    );
    await waitUntil("the program has begun", () => existsSync(pidFile));
    const pid = Number(await readFile(pidFile, "utf8"));
    stopping.abort(new Error("stopped"));
    expect(await ended).toBe("stopped");
    await waitUntil("the program is gone", () => !isAlive(pid), 5_000);
  });
});
