import { Budget, KeySpace, systemClock } from "@larder/cache-core";
import { BusRecorder, startRedisCluster, uniquePrefix, waitUntil } from "@larder/cache-testing";
import { Cluster as Cluster5 } from "ioredis";
import { Cluster as Cluster6 } from "ioredis-6";
import { expect, it } from "vitest";
import { RedisInvalidationBus } from "../src/index.ts";

const LANES = 16;

/*
 * Regression: where one channel could not be subscribed to all were given up and asked for anew, several times a second: whoever started, or lost his connection,
 * while one master of a cluster was gone missed invalidations of all the others, and made all connections anew for as long.
 */
it.each([
  ["5", Cluster5],
  ["6", Cluster6 as unknown as typeof Cluster5],
])("a master that is gone takes its own lanes along and no others, until it is back: ioredis %s", async (_, Cluster) => {
  await using cluster = await startRedisCluster(3, { settings: { "cluster-require-full-coverage": "no" } });
  const [dead, alive] = cluster.servers;
  if (!dead || !alive) throw new Error("no servers");
  // Slots are shared out in order: of a third each, the first third is the first server's.
  const space = new KeySpace({ namespace: uniquePrefix(), lanes: LANES });
  const slots = await Promise.all(Array.from({ length: LANES }, (_each, lane) => alive.command("CLUSTER", "KEYSLOT", space.record(lane))));
  const isDead = (key: string): boolean => Number(slots[space.laneOf(space.nameOf(key))]) < 16_384 / 3;
  await dead.kill();
  await waitUntil("it is known to be gone", async () => String(await alive.command("CLUSTER", "NODES")).includes("master,fail "));

  const client = new Cluster([...cluster.nodes], { lazyConnect: true });
  const [a, b] = [new RedisInvalidationBus({ client, heartbeatMs: 50 }), new RedisInvalidationBus({ client, heartbeatMs: 50 })];
  const heard = new BusRecorder();
  const [issuer, peer] = [a.join(space.namespace, new BusRecorder()), b.join(space.namespace, heard)];
  await waitUntil("both are subscribed", () => a.stats().isConnected && b.stats().isConnected);
  const keys = Array.from({ length: 100 }, (_each, index) => `k${index}`).filter((key) => !isDead(key));
  expect(keys.length).toBeGreaterThan(30);
  for (const key of keys) await issuer.invalidate({ kind: "key", key }, { budget: new Budget(1_000, systemClock) });
  await waitUntil("all are heard", () => heard.heard.length >= keys.length);
  expect(b.stats().subscriptions).toBe(1);
  expect(peer.lastProofAt).toBe(-Infinity);

  await dead.start();
  await Promise.all([issuer.ready(), peer.ready()]);
  for (const bus of [a, b]) bus.close();
  client.disconnect();
});
