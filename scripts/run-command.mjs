import { spawn } from "node:child_process";

/**
 * Runs a program to its end. @returns what it wrote to stdout; a non-zero exit or a time-out throws with everything it wrote.
 * A command that hangs is ended with its children: it leads a process group of its own.
 */
export function runCommand(command, args, { cwd, env = process.env, timeoutMs = 120_000, input } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"], detached: true });
    const output = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"]) {
      child[stream].setEncoding("utf8").on("data", (text) => {
        output[stream] += text;
      });
    }
    if (input !== undefined) child.stdin.end(input);
    let isTimedOut = false;
    const timer = setTimeout(() => {
      isTimedOut = true;
      process.kill(-child.pid, "SIGKILL");
    }, timeoutMs);
    const fail = (why) =>
      reject(new Error(`${command} ${args.join(" ")}: ${why}\n${`${output.stdout}${output.stderr}`.trim().slice(-6000)}`));
    child.once("error", (error) => {
      clearTimeout(timer);
      fail(error.message);
    });
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (isTimedOut) fail(`still running after ${timeoutMs} ms`);
      else if (code === 0) resolve(output.stdout);
      else fail(signal ? `ended by ${signal}` : `exit code ${code}`);
    });
  });
}
