import { misspeltVariables } from "./config/misspelt-variables.ts";
import { readSettings, SettingsError, settingVariables } from "./config/read-settings.ts";
import type { Settings } from "./config/schema.ts";
import { type RunningGateway, startGateway } from "./start-gateway.ts";
import { isInMemory } from "./storage/sql.ts";
import { type Announcement, failWorker, isWorker, runWorker, WorkerFleet, WorkerStartError, workerCount } from "./workers.ts";

const HELP = `larder-gateway: an OpenAI-compatible caching gateway for LLM providers

usage: larder-gateway [--help]

Settings come from the environment and from larder.config.json (or the file named by LARDER_CONFIG); the environment wins.
With nothing set it listens on http://127.0.0.1:8787 and answers from a built-in sandbox provider.

Environment:
${settingVariables.map((name) => `  ${name}`).join("\n")}
  LARDER_SYNC_KEY_<NAME>   the key of a source of LARDER_SYNC_SOURCES that needs one

The meaning of each stands in the package's README; the file's JSON schema is served at /larder.config.schema.json.
`;

/** What is told at the start may be read by nobody, or not be written: no reason not to serve. */
function outliveOutput(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
}

/** Runs the gateway until a signal ends it. The exit code is 0 after a drained stop, 2 for unusable settings, 1 for anything else. */
export async function main(args: readonly string[]): Promise<void> {
  outliveOutput();
  if (args.includes("--help") || args.includes("-h")) return void process.stdout.write(HELP);
  if (args.length > 0) {
    process.stderr.write(`larder-gateway: unknown argument; --help tells what there is\n`);
    process.exitCode = 2;
    return;
  }
  try {
    if (isWorker()) return await runWorker();
    const settings = readSettings();
    for (const { variable, meant } of misspeltVariables(process.env, settingVariables))
      complain(`${variable} is no setting and does nothing: is ${meant} meant?`);
    const running = workerCount(settings) > 1 ? await startWorkers(settings) : await startGateway(settings);
    // Before it is told that it listens: whoever waits for that may stop it at once.
    stopOnSignal(running);
    announce(running);
  } catch (error) {
    const message = describeStartError(error);
    const exitCode = error instanceof SettingsError ? 2 : error instanceof WorkerStartError ? error.exitCode : 1;
    if (isWorker()) return failWorker(message, exitCode);
    complain(message);
    process.exitCode = exitCode;
  }
}

function complain(message: string): void {
  process.stderr.write(`larder-gateway: ${message}\n`);
}

async function startWorkers(settings: Settings): Promise<Announcement & Pick<RunningGateway, "drain" | "close">> {
  if (isInMemory(settings.databaseUrl))
    throw new SettingsError([
      "DATABASE_URL must be a file with LARDER_WORKERS: in memory each worker has a database of its own, and knows no other's keys",
    ]);
  const fleet = new WorkerFleet(settings, complain);
  return { ...(await fleet.start(workerCount(settings))), drain: () => fleet.drain(), close: () => fleet.close() };
}

function announce(gateway: Announcement): void {
  const { url } = gateway;
  const lines = [`larder gateway listening on ${url}`, `dashboard:        ${url}/`, `OpenAI base URL:  ${url}/v1`];
  if (gateway.adminTokenFile) lines.push(`admin token file: ${gateway.adminTokenFile}`);
  // Logs are kept and shipped; a terminal is looked at. The token goes only there, and once.
  if (gateway.newAdminToken && process.stdout.isTTY) lines.push(`admin token:      ${gateway.newAdminToken} (shown once)`);
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** The first signal drains, SIGTERM with a grace for load balancers; a second one does not wait. */
function stopOnSignal(gateway: Pick<RunningGateway, "drain" | "close">): void {
  let isStopping = false;
  const stop = (end: () => Promise<void>): void => {
    if (isStopping) {
      gateway.close().catch(() => undefined);
      process.exit(130);
    }
    isStopping = true;
    end().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  // Nobody balances load onto a program that somebody ends with Ctrl-C.
  process.on("SIGINT", () => stop(() => gateway.close()));
  process.on("SIGTERM", () => stop(() => gateway.drain()));
}

function describeStartError(error: unknown): string {
  if (error instanceof SettingsError) return error.message;
  const { code, port, address, hostname, syscall, path } = error as NodeJS.ErrnoException &
    Record<"port" | "address" | "hostname", unknown>;
  if (code === "EADDRINUSE") return `${address}:${port} is in use by another program: choose another PORT`;
  if (code === "EACCES" && syscall === "listen") return `${address}:${port} may not be listened on: choose a PORT above 1023`;
  if (code === "EADDRNOTAVAIL" || syscall === "getaddrinfo") return `HOST ${address ?? hostname} is not an address of this machine`;
  // Secrets that were not configured, and the database, are made in the folder of the one.
  if (path !== undefined) return `${path} cannot be read or made (${code}): DATABASE_URL tells where the gateway keeps its files`;
  return error instanceof Error ? error.message : "the gateway could not start";
}
