#!/usr/bin/env node
// Runs a command on another Node release: `node scripts/with-node.mjs 24 CMD [ARG…]`. `node` in it, and in its children, is that release.
import { spawn } from "node:child_process";
import { delimiter, dirname } from "node:path";
import { obtainNode } from "./obtain-node.mjs";

const [major, command, ...args] = process.argv.slice(2);
if (!command) {
  console.error("usage: node scripts/with-node.mjs MAJOR CMD [ARG…]");
  process.exit(2);
}
const program = await obtainNode(major);
const env = { ...process.env, PATH: `${dirname(program)}${delimiter}${process.env.PATH}` };
const child = spawn(command, args, { stdio: "inherit", env });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.once("error", (error) => {
  console.error(`with-node: cannot run ${command}: ${error.message}`);
  process.exit(127);
});
child.once("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
