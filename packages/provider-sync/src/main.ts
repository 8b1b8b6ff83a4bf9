#!/usr/bin/env node
import { runCli } from "./cli/run-cli.ts";
import { keepAlive } from "./keep-alive.ts";

process.exitCode = await keepAlive(() =>
  runCli({
    argv: process.argv.slice(2),
    environment: process.env,
    write: (text) => process.stdout.write(text),
    writeError: (text) => process.stderr.write(text),
  }),
);
