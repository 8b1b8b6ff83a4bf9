import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { redisCommand } from "./redis-command.ts";
import { type RedisServer, startRedisServer, waitUntil } from "./redis-server.ts";

/** A master, a replica and three sentinels on 127.0.0.1. */
export interface RedisSentinelSet {
  /** The name under which the sentinels know the master. */
  readonly name: string;
  /** The server that was the master at the start. */
  readonly master: RedisServer;
  readonly replica: RedisServer;
  readonly sentinels: ReadonlyArray<{ readonly host: string; readonly port: number }>;
  /** `redis+sentinel://HOST:PORT,HOST:PORT,HOST:PORT/NAME`. */
  readonly url: string;
  /** The port of who is the master now, as the first sentinel sees it. */
  masterPort(): Promise<number>;
  /** Ends all servers and removes their files. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

async function startSentinel(name: string, masterPort: number, directory: string): Promise<RedisServer> {
  const port = await freePort();
  const file = join(directory, `sentinel-${port}.conf`);
  const lines = [
    `sentinel monitor ${name} 127.0.0.1 ${masterPort} 2`,
    `sentinel down-after-milliseconds ${name} 500`,
    `sentinel failover-timeout ${name} 2000`,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  return startRedisServer({ port, sentinelFile: file });
}

/** Starts the set; the whole topology is known to all after about two seconds. */
export async function startRedisSentinel(name = "larder"): Promise<RedisSentinelSet> {
  const directory = mkdtempSync(join(tmpdir(), "larder-sentinel-"));
  const servers: RedisServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const master = await startRedisServer({ settings: { "repl-diskless-sync-delay": "0" } });
    servers.push(master);
    const replica = await startRedisServer({ settings: { replicaof: ["127.0.0.1", String(master.port)] } });
    servers.push(replica);
    for (let index = 0; index < 3; index += 1) servers.push(await startSentinel(name, master.port, directory));
    const sentinels = servers.slice(2);
    for (const { port } of sentinels) {
      await waitUntil(`sentinel ${port}`, async () => {
        const text = String(await redisCommand(port, ["INFO", "sentinel"]));
        return text.includes("slaves=1") && text.includes("sentinels=3");
      });
    }
    return {
      name,
      master,
      replica,
      sentinels: sentinels.map(({ port }) => ({ host: "127.0.0.1", port })),
      url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",")}/${name}`,
      masterPort: async () => {
        const [sentinel] = sentinels;
        const reply = await redisCommand((sentinel as RedisServer).port, ["SENTINEL", "get-master-addr-by-name", name]);
        return Number(Array.isArray(reply) ? reply[1] : 0);
      },
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
