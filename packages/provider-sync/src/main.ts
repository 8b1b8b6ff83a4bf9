#!/usr/bin/env node
import { runCli } from "./cli/run-cli.ts";

// The library's timers do not keep a process alive; a run that waits for a retry must.
const keepAlive = setInterval(() => {}, 60_000);
process.exitCode = await runCli({
  argv: process.argv.slice(2),
  environment: process.env,
  write: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
});
clearInterval(keepAlive);
