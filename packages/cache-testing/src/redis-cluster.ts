import { redisCommand } from "./redis-command.ts";
import { type RedisServer, type RedisServerOptions, startRedisServer, waitUntil } from "./redis-server.ts";

const SLOTS = 16_384;

/** A cluster of masters without replicas, on 127.0.0.1. */
export interface RedisCluster {
  readonly servers: readonly RedisServer[];
  /** What ioredis' `new Cluster(nodes)` takes. */
  readonly nodes: ReadonlyArray<{ readonly host: string; readonly port: number }>;
  /** The nodes as one comma-separated URL. */
  readonly url: string;
  /** Ends all servers and removes their files. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

async function assignSlots(servers: readonly RedisServer[]): Promise<void> {
  const share = Math.ceil(SLOTS / servers.length);
  await Promise.all(
    servers.map(({ port }, index) => {
      const slots = Array.from({ length: Math.min(share, SLOTS - index * share) }, (_, offset) => String(index * share + offset));
      return redisCommand(port, ["CLUSTER", "ADDSLOTS", ...slots]);
    }),
  );
}

async function isWhole(port: number, count: number): Promise<boolean> {
  const info = String(await redisCommand(port, ["CLUSTER", "INFO"]));
  return info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:${count}`);
}

/** Starts a cluster without redis-cli, usable in about two seconds. */
export async function startRedisCluster(masters = 3, options: RedisServerOptions = {}): Promise<RedisCluster> {
  const settings = { "cluster-enabled": "yes", "cluster-node-timeout": "1000", "cluster-config-file": "nodes.conf", ...options.settings };
  const servers: RedisServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    // One after the other: free ports are found by asking, and two askers could get the same one.
    for (let index = 0; index < masters; index += 1) servers.push(await startRedisServer({ ...options, settings }));
    await assignSlots(servers);
    const first = servers[0] as RedisServer;
    for (const { port } of servers.slice(1)) await redisCommand(first.port, ["CLUSTER", "MEET", "127.0.0.1", String(port)]);
    for (const { port } of servers) await waitUntil(`cluster node ${port}`, () => isWhole(port, masters));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    servers,
    nodes: servers.map(({ port }) => ({ host: "127.0.0.1", port })),
    url: `redis://${servers.map(({ port }) => `127.0.0.1:${port}`).join(",")}`,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
