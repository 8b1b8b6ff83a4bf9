import { Budget, systemClock } from "@larder/cache-core";
import {
  BusRecorder,
  type RedisCluster,
  type RedisServer,
  startRedisCluster,
  startRedisServer,
  uniquePrefix,
  waitUntil,
} from "@larder/cache-testing";
import { Cluster as Cluster5, type ClusterOptions, Redis as Redis5, type RedisOptions } from "ioredis";
import { Cluster as Cluster6, Redis as Redis6 } from "ioredis-6";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { IoredisClient } from "../src/duplicate-client.ts";
import { RedisInvalidationBus } from "../src/index.ts";

/** What a caller's client may be set to for the caller's own purposes: the bus behaves as it must on connections of its own. */
const OF_CONNECTION: Readonly<Record<string, RedisOptions & { protocol?: number }>> = {
  // Regression: ioredis compared slots as text, found masters for two thirds of them, and no shard's subscriber was ever made.
  "replies with numbers as text": { stringNumbers: true },
  "no queue while offline": { enableOfflineQueue: false, maxRetriesPerRequest: 0 },
  "repetitions without end": { maxRetriesPerRequest: null },
  "no check whether a server is ready": { enableReadyCheck: false },
  "no second attempt to connect": { retryStrategy: () => null },
  "a time limit for commands": { commandTimeout: 300, socketTimeout: 300 },
  "reads from replicas of its own accord": { readOnly: true },
  "commands gathered by the client": { enableAutoPipelining: true },
  "stacks of the caller": { showFriendlyErrorStack: true },
  "a protocol of its own": { protocol: 2 },
};

const OF_CLUSTER: Readonly<Record<string, ClusterOptions>> = {
  "reads by replicas": { scaleReads: "slave" },
  "shards' subscribers of its own": { shardedSubscribers: true },
  "nodes behind a translated address": {
    natMap: (node) => ({ host: "localhost", port: Number(node.split(":")[1]) }),
  },
  "no second attempt to connect to the cluster": { clusterRetryStrategy: () => null },
  "no queue and no waiting": { enableOfflineQueue: false, enableReadyCheck: false, lazyConnect: true },
};

let server: RedisServer;
let cluster: RedisCluster;
beforeAll(async () => {
  [server, cluster] = await Promise.all([startRedisServer(), startRedisCluster()]);
});
afterAll(() => Promise.all([server.stop(), cluster.stop()]));

/** Two caches on a bus, of which one is told what the other invalidates, in each of its lanes. */
async function works(client: IoredisClient): Promise<void> {
  client.on("error", () => {});
  const bus = new RedisInvalidationBus({ client, heartbeatMs: 50 });
  const namespace = uniquePrefix();
  const heard = new BusRecorder();
  const [issuer, peer] = [bus.join(namespace, new BusRecorder()), bus.join(namespace, heard)];
  await Promise.all([issuer.ready(), peer.ready()]);
  await issuer.invalidate({ kind: "all" }, { budget: new Budget(2_000, systemClock) });
  await heard.until("every lane's", () => heard.targets.length === peer.laneCount);
  expect(new Set(heard.targets.map(({ kind }) => kind))).toEqual(new Set(["all"]));
  bus.close();
  client.disconnect();
}

describe.each([
  ["5", Redis5, Cluster5],
  ["6", Redis6 as unknown as typeof Redis5, Cluster6 as unknown as typeof Cluster5],
])("the bus takes a client of ioredis %s that has", (_, Redis, Cluster) => {
  it.each(Object.entries(OF_CONNECTION))("%s", async (_title, options) => {
    await works(new Redis(server.port, "127.0.0.1", options));
    await works(new Cluster([...cluster.nodes], { redisOptions: options }));
  });

  // Regression: both connections kept what the client had been made with: where tokens run out they were refused from the first time on that they were cut, for good.
  it("a password that is changed while it lives", async () => {
    await server.command("ACL", "SETUSER", "app", "on", ">first", "~*", "&*", "+@all");
    const client = new Redis(server.port, "127.0.0.1", { username: "app", password: "first" });
    client.on("error", () => {});
    const bus = new RedisInvalidationBus({ client, heartbeatMs: 50 });
    const channel = bus.join(uniquePrefix(), new BusRecorder());
    await channel.ready();
    await server.command("ACL", "SETUSER", "app", "<first", ">second");
    client.options.password = "second";
    await server.command("CLIENT", "KILL", "USER", "app");
    const since = systemClock.now();
    await waitUntil("it is proved again", () => channel.lastProofAt > since);
    bus.close();
    client.disconnect();
    await server.command("ACL", "DELUSER", "app");
  });

  it.each(Object.entries(OF_CLUSTER))("%s", (_title, options) => works(new Cluster([...cluster.nodes], options)));
});
