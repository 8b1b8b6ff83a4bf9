import { once } from "node:events";
import { Budget, KeySpace, systemClock, systemRandom } from "@larder/cache-core";
import { BusRecorder, type RedisCluster, startRedisCluster, uniquePrefix, waitUntil } from "@larder/cache-testing";
import { Cluster as Cluster5, type Redis } from "ioredis";
import { Cluster as Cluster6 } from "ioredis-6";
import { afterAll, beforeAll, expect, it } from "vitest";
import { duplicateClient, type IoredisClient } from "../src/duplicate-client.ts";
import { RedisInvalidationBus } from "../src/index.ts";
import { subscriberOptions } from "../src/ioredis-options.ts";

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startRedisCluster();
});
afterAll(() => cluster.stop());

/** Gives a slot with all that is in it to the next master. @returns which one has it then */
async function moveSlot(slot: string, from: number): Promise<number> {
  const to = (from + 1) % cluster.servers.length;
  const [source, target] = [cluster.servers[from], cluster.servers[to]];
  if (!source || !target) throw new Error("no such master");
  const [sourceId, targetId] = await Promise.all([source, target].map((server) => server.command("CLUSTER", "MYID")));
  await target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", String(sourceId));
  await source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", String(targetId));
  for (;;) {
    const keys = (await source.command("CLUSTER", "GETKEYSINSLOT", slot, "100")) as string[];
    if (keys.length === 0) break;
    await source.command("MIGRATE", "127.0.0.1", String(target.port), "", "0", "1000", "KEYS", ...keys);
  }
  for (const server of [target, source, ...cluster.servers]) await server.command("CLUSTER", "SETSLOT", slot, "NODE", String(targetId));
  return to;
}

it("goes on when its lane's slot moves from master to master, and proves itself there", async () => {
  const namespace = uniquePrefix();
  const lane = new KeySpace({ namespace });
  const slot = String(await cluster.servers[0]?.command("CLUSTER", "KEYSLOT", lane.record(0)));
  const client = new Cluster5([...cluster.nodes], { enableAutoPipelining: true });
  client.on("error", () => {});
  const [a, b] = [
    new RedisInvalidationBus({ client, lanes: 1, heartbeatMs: 50 }),
    new RedisInvalidationBus({ client, lanes: 1, heartbeatMs: 50 }),
  ];
  const heard = new BusRecorder();
  const [issuer, peer] = [a.join(namespace, new BusRecorder()), b.join(namespace, heard)];
  await Promise.all([issuer.ready(), peer.ready()]);
  let owner = 0;
  for (const [index, server] of cluster.servers.entries())
    if (((await server.command("CLUSTER", "COUNTKEYSINSLOT", slot)) as number) > 0) owner = index;
  for (const round of [1, 2, 3]) {
    owner = await moveSlot(slot, owner);
    const target = { kind: "key", key: `k${round}` } as const;
    await waitUntil("an invalidation is taken", () =>
      issuer.invalidate(target, { budget: new Budget(1_000, systemClock) }).then(
        () => true,
        () => false,
      ),
    );
    const since = systemClock.now();
    // The record is that of another server: everything was dropped, or this was heard.
    await waitUntil("the peer is proved again", () => peer.lastProofAt > since);
    expect(b.stats().isConnected).toBe(true);
  }
  for (const bus of [a, b]) bus.close();
  client.disconnect();
});

/*
 * Regression: a node that gave a slot away ended the subscriptions unasked, ioredis 5 told a connection that it had given up of an error, and the
 * process ended.
 */
it.each([
  ["5", Cluster5],
  ["6", Cluster6 as unknown as typeof Cluster5],
])("a shard's connection that ioredis %s has given up may still tell of an error", async (_, Cluster) => {
  const template = new Cluster([...cluster.nodes], { lazyConnect: true }) as IoredisClient;
  const client = duplicateClient(template, { settings: subscriberOptions(systemRandom), isSharded: true, random: systemRandom });
  await once(client, "ready");
  await client.ssubscribe("{a}");
  interface Shards {
    readonly shardedSubscribers: { readonly shardedSubscribers: ReadonlyMap<string, { getInstance(): Redis | null }> };
  }
  const shards = [...(client as unknown as Shards).shardedSubscribers.shardedSubscribers.values()].map((shard) => shard.getInstance());
  expect(shards).toHaveLength(3);
  client.disconnect();
  for (const shard of shards) expect(() => shard?.emit("error", new Error("Command queue state error"))).not.toThrow();
});

/*
 * Regression: ioredis looks up whose slot a channel is in, finds nobody, and throws at once instead of giving a promise that rejects: the `close` of a cache
 * rejected with its TypeError, and whoever shuts down by it did not end.
 */
it.each([
  ["5", Cluster5],
  ["6", Cluster6 as unknown as typeof Cluster5],
])("can be left where nobody serves its lane's slot: ioredis %s", async (_, Cluster) => {
  await using holey = await startRedisCluster(3, { settings: { "cluster-require-full-coverage": "no" } });
  const namespace = uniquePrefix();
  const slot = String(await holey.servers[0]?.command("CLUSTER", "KEYSLOT", new KeySpace({ namespace }).record(0)));
  for (const server of holey.servers) await server.command("CLUSTER", "DELSLOTS", slot);
  const client = new Cluster([...holey.nodes]);
  client.on("error", () => {});
  const bus = new RedisInvalidationBus({ client, lanes: 1, heartbeatMs: 50 });
  // The connection to subscribe by is made anew after each attempt: not all of them are left while there is none.
  const channels = Array.from({ length: 8 }, () => bus.join(namespace, new BusRecorder()));
  for (const channel of channels) {
    const { errors } = bus.stats();
    await waitUntil("it was tried again", () => bus.stats().errors > errors);
    expect(() => channel.leave()).not.toThrow();
  }
  bus.close();
  client.disconnect();
});
