import { spawn } from "node:child_process";

/**
 * The whole of a launcher `node LAUNCHER CMD [ARG…]`: obtains a server, runs the command with what it needs to know of the server in its
 * environment, stops the server after it, and ends as the command ended. No command, or no server to be had: a message that says what to
 * do, and exit code 2.
 *
 * `obtain` gives `{ env, stop }`, or `undefined` where there is no server to be had.
 */
export async function runBesideServer(launcher, { obtain, advice }) {
  const refuse = (message) => {
    console.error(message);
    process.exit(2);
  };
  const [command, ...args] = process.argv.slice(2);
  if (!command) refuse(`usage: node scripts/${launcher}.mjs CMD [ARG…]`);
  const server = await obtain();
  if (!server) refuse(`${launcher}: ${advice}`);
  const child = spawn(command, args, { stdio: "inherit", env: { ...process.env, ...server.env } });
  // The child is in our process group and gets Ctrl-C by itself; we stay to stop the server after it.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  const end = async (code) => {
    await server.stop();
    process.exit(code);
  };
  child.once("error", (error) => {
    console.error(`${launcher}: cannot run ${command}: ${error.message}`);
    end(127);
  });
  child.once("exit", (code, signal) => end(signal ? 1 : (code ?? 1)));
}
