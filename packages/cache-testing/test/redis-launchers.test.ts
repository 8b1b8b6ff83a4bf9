import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { startRedisCluster } from "../src/redis-cluster.ts";
import { startRedisSentinel } from "../src/redis-sentinel.ts";
import { startRedisServer, waitUntil } from "../src/redis-server.ts";
import { uniquePrefix } from "../src/unique-key.ts";

test("a server restarts empty on the same port unless it is persistent", async () => {
  await using server = await startRedisServer();
  await server.command("SET", "key", "value");
  await server.restart();
  expect(await server.command("GET", "key")).toBeNull();

  await using kept = await startRedisServer({ isPersistent: true });
  await kept.command("SET", "key", "value");
  await kept.restart();
  expect(await kept.command("GET", "key")).toBe("value");
});

test("a paused server accepts and does not answer, until it is resumed", async () => {
  await using server = await startRedisServer();
  const client = new Redis(server.port, "127.0.0.1");
  await client.ping();
  server.pause();
  const answer = client.ping();
  const first = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 60, "silence"))]);
  expect(first).toBe("silence");
  server.resume();
  expect(await answer).toBe("PONG");
  client.disconnect();
});

test("settings reach the server", async () => {
  await using server = await startRedisServer({ settings: { maxmemory: "7mb", requirepass: "secret" } });
  await expect(server.command("GET", "key")).rejects.toThrow(/NOAUTH/);
});

test("a cluster of three masters serves every slot", async () => {
  await using cluster = await startRedisCluster();
  expect(cluster.servers).toHaveLength(3);
  for (const server of cluster.servers) expect(await server.command("CLUSTER", "INFO")).toMatch(/cluster_slots_ok:16384/);
});

test("sentinels promote the replica when the master is killed", async () => {
  await using set = await startRedisSentinel();
  expect(await set.masterPort()).toBe(set.master.port);
  await set.master.kill();
  await waitUntil("failover", async () => (await set.masterPort()) === set.replica.port);
});

test("unique prefixes differ and need no escaping", () => {
  const first = uniquePrefix("a test");
  expect(first).not.toBe(uniquePrefix("a test"));
  expect(first).toMatch(/^[A-Za-z0-9-]+$/);
});
