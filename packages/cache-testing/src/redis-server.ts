import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { redisCommand } from "./redis-command.ts";

const START_TIMEOUT_MS = 15_000;
const POLL_MS = 15;

/** How a server of one's own is started. */
export interface RedisServerOptions {
  /** Whether it keeps its data over `restart()`, by an append-only file synced on every write. @default false */
  readonly isPersistent?: boolean;
  /** Further settings of redis.conf by name, as `{ maxmemory: "8mb", replicaof: ["127.0.0.1", "6379"] }`. They win over ours. @default none */
  readonly settings?: Readonly<Record<string, string | readonly string[]>>;
  /** A sentinel's configuration file: then it is started as one. @default none */
  readonly sentinelFile?: string;
  /** Port on 127.0.0.1. @default a free one */
  readonly port?: number;
  /** The server's program. @default LARDER_REDIS_SERVER, else redis-server, else valkey-server from the PATH */
  readonly program?: string;
}

function findProgram(): string {
  const named = process.env.LARDER_REDIS_SERVER;
  if (named) return named;
  const found = ["redis-server", "valkey-server"].find((program) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0);
  if (!found) throw new Error("no redis-server or valkey-server on the PATH: install one, or name it in LARDER_REDIS_SERVER");
  return found;
}

const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

/** Polls until `check` holds. @throws when it did not within `timeoutMs` */
export async function waitUntil(
  what: string,
  check: () => Promise<boolean> | boolean,
  timeoutMs: number = START_TIMEOUT_MS,
): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs;
  while (performance.now() < giveUpAt) {
    if (await check()) return;
    await sleep(POLL_MS);
  }
  throw new Error(`${what}: not within ${timeoutMs} ms`);
}

/** Whether a server can be used: it answers with PONG, or asks for a password. One that still loads its data takes no commands. */
async function isUsable(port: number): Promise<boolean> {
  try {
    return (await redisCommand(port, ["PING"], 500)) === "PONG";
  } catch (error) {
    return error instanceof Error && /^(NOAUTH|DENIED)/.test(error.message);
  }
}

/**
 * A Redis (or Valkey) of the test's own, to be stopped, killed, frozen and restarted at will. Listens on 127.0.0.1 alone, and dies with
 * the process that started it, however that one ends: a second process holds a pipe from us and kills the server when it closes.
 */
export class RedisServer {
  readonly port: number;
  /** Where its files are; removed by `stop()`. */
  readonly directory: string;
  readonly #options: RedisServerOptions;
  readonly #program: string;
  #process: ChildProcess | undefined;
  #tether: ChildProcess | undefined;

  /** @internal use `startRedisServer` */
  constructor(port: number, options: RedisServerOptions) {
    this.port = port;
    this.#options = options;
    this.#program = options.program ?? findProgram();
    this.directory = mkdtempSync(join(tmpdir(), "larder-redis-"));
  }

  /** For clients: `redis://127.0.0.1:PORT`. */
  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  #flags(): string[] {
    const { sentinelFile, isPersistent = false } = this.#options;
    const ofData = { save: "", appendonly: isPersistent ? "yes" : "no", appendfsync: isPersistent ? "always" : "no" };
    const settings: Record<string, string | readonly string[]> = {
      port: String(this.port),
      bind: "127.0.0.1",
      dir: this.directory,
      // A sentinel refuses the settings of a data server.
      ...(sentinelFile === undefined ? ofData : {}),
      ...this.#options.settings,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value].flat());
    return sentinelFile === undefined ? flags : [sentinelFile, "--sentinel", ...flags];
  }

  /** Starts it, again after `kill()` on the same port and directory, and waits until it answers. */
  async start(): Promise<void> {
    const server = spawn(this.#program, this.#flags(), { stdio: "ignore" });
    this.#process = server;
    server.on("error", () => {});
    const tether = spawn("sh", ["-c", `read _; kill -9 ${server.pid}`], { stdio: ["pipe", "ignore", "ignore"] });
    tether.stdin?.on("error", () => {});
    this.#tether = tether;
    // Neither keeps the test's process alive.
    server.unref();
    tether.unref();
    (tether.stdin as unknown as { unref?: () => void } | null)?.unref?.();
    await waitUntil(`${this.#program} on port ${this.port}`, () => {
      if (server.exitCode !== null) throw new Error(`${this.#program} ended with code ${server.exitCode} while starting`);
      return isUsable(this.port);
    });
  }

  /** Ends it at once, as a crash does (SIGKILL), and waits until it is gone. Its files stay. */
  async kill(): Promise<void> {
    const server = this.#process;
    this.#process = undefined;
    this.#tether?.kill("SIGKILL");
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    server.ref();
    const gone = once(server, "exit");
    server.kill("SIGKILL");
    await gone;
  }

  /** Kills and starts it again: empty, or with its data when it is persistent. */
  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** Freezes it (SIGSTOP): connections stay open and nothing is answered. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  /** Lets it go on after `pause()`. */
  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Runs one command on it over a connection of its own. */
  command(...args: string[]): ReturnType<typeof redisCommand> {
    return redisCommand(this.port, args);
  }

  /** Ends it and removes its files. Calling it again is fine. */
  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Starts a server of the test's own and waits until it answers (about 20 ms). */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const server = new RedisServer(options.port ?? (await freePort()), options);
  try {
    await server.start();
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}
