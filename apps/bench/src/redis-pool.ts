import { spawnSync } from "node:child_process";
import { type RedisServer, startRedisServer } from "@larder/cache-testing";
import type { LaunchedRedis, LaunchRedisOptions, RedisLauncher } from "./redis-launcher.ts";
import { ScenarioUnavailable } from "./scenario.ts";

const INSTALL =
  "install redis-server (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis) or name the program in LARDER_REDIS_SERVER";

function hasProgram(): boolean {
  if (process.env.LARDER_REDIS_SERVER) return true;
  return ["redis-server", "valkey-server"].some((program) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0);
}

async function versionOf(server: RedisServer): Promise<string> {
  const information = String(await server.command("INFO", "server"));
  return /(?:valkey|redis)_version:(\S+)/.exec(information)?.[1] ?? "unknown";
}

/** The servers of one run of the bench. `close` stops those that scenarios left running. */
export class RedisPool implements RedisLauncher {
  readonly #running: Set<RedisServer> = new Set();
  #isKnown: boolean | undefined;

  isAvailable(): boolean {
    this.#isKnown ??= hasProgram();
    return this.#isKnown;
  }

  async start(options: LaunchRedisOptions = {}): Promise<LaunchedRedis> {
    if (!this.isAvailable()) throw new ScenarioUnavailable("there is no Redis to start", INSTALL);
    const server = await startRedisServer(options);
    this.#running.add(server);
    // A pid of -1 would be everybody's processes to `kill`.
    if (server.pid === undefined) throw new Error("the Redis that was started has no process");
    return {
      url: server.url,
      port: server.port,
      pid: server.pid,
      version: await versionOf(server),
      server,
      stop: async () => {
        this.#running.delete(server);
        await server.stop();
      },
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((server) => server.stop()));
    this.#running.clear();
  }
}
