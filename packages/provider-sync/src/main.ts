#!/usr/bin/env node
import { MessageChannel } from "node:worker_threads";
import { runCli } from "./cli/run-cli.ts";

// The library's timers do not keep a process alive; a run that waits for a retry must. A listening port does, until it is closed.
const { port1: keepAlive } = new MessageChannel();
keepAlive.on("message", () => {});
process.exitCode = await runCli({
  argv: process.argv.slice(2),
  environment: process.env,
  write: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
});
keepAlive.close();
