// The program of a scenario: started by `runInProcess`, told over IPC what to do, gone with its parent.

import { createPeers } from "./contenders/peer-installer.ts";
import { runScenario } from "./run-scenario.ts";
import type { Progress } from "./scenario.ts";
import type { FromScenario, ToScenario } from "./scenario-process.ts";
import { scenarioLoaders } from "./scenarios/index.ts";

/** Telling more often would disturb what is measured. */
const UPDATE_MS = 100;

const stopping = new AbortController();
let updatedAt = Number.NEGATIVE_INFINITY;

const send = (message: FromScenario): Promise<void> =>
  new Promise((resolve) => {
    if (process.connected && process.send) process.send(message, undefined, {}, () => resolve());
    else resolve();
  });

const progress: Progress = {
  update: (done, label) => {
    const now = performance.now();
    if (now - updatedAt < UPDATE_MS) return;
    updatedAt = now;
    void send({ kind: "update", done, label });
  },
  log: (line) => void send({ kind: "log", line }),
};

async function run({ name, request }: ToScenario): Promise<void> {
  const { signal } = stopping;
  const peers = createPeers({ signal, onInstall: (peer, version) => progress.log(`installing ${peer} ${version} once`) });
  try {
    await send({ kind: "report", report: await runScenario(name, scenarioLoaders[name]!, { ...request, signal, peers, progress }) });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  process.exit(0);
}

process.once("message", (start: ToScenario) => void run(start));
// The parent asked us to stop, or is gone.
process.on("disconnect", () => stopping.abort(new Error("stopped")));
// Ctrl-C reaches the whole process group: the parent decides, and disconnects.
for (const signal of ["SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
