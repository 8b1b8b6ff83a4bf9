import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { freePort, startRedisServer, uniquePrefix, waitUntil } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, describe, expect, test } from "vitest";
import { RedisCache } from "../src/index.ts";
import { call, openCache, plain, prompt, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
afterAll(() => client.disconnect());

describe("a Redis that refuses", () => {
  test("for want of memory: what was there is gone, invalidations get through, the value is reported as not stored", async () => {
    await using server = await startRedisServer();
    const cache = await openCache<string>({ url: server.url });
    await cache.set("key", "old");
    await server.command("CONFIG", "SET", "maxmemory", "1");
    await expect(server.command("SET", "more", "x")).rejects.toThrow(/OOM/);
    expect(await cache.set("key", "new")).toBe(false);
    expect(await cache.get("key")).toBe(undefined);
    expect(cache.stats().rejectedSets).toBe(1);
    await cache.invalidate({ kind: "key", key: "key" }, call());
    await cache.invalidate({ kind: "tag", tag: "red" }, call());
    await cache.invalidate({ kind: "all" }, call());
    const { version, isStored } = await cache.replace("key", "newer", plain, call());
    expect(version.seq).toBeGreaterThan(0);
    expect(isStored).toBe(false);
    expect(await cache.get("key")).toBe(undefined);
    await cache.close();
  });

  test("nothing, when it is the cache that does: a replacement tells that the value is not stored, and the old one is gone", async () => {
    const cache = await openCache<unknown>({ client, maxValueBytes: 100 });
    await cache.set("key", "old");
    const { version, isStored } = await cache.replace("key", "x".repeat(1_000), plain, call());
    expect([version.seq > 0, isStored]).toEqual([true, false]);
    expect(await cache.get("key")).toBe(undefined);
    expect(await cache.replace("key", "short", plain, call())).toMatchObject({ isStored: true });
    expect(await cache.get("key")).toBe("short");
    // What no codec can hold is the caller's mistake: it is told, nothing happens, and nothing waits for a retry.
    await expect(cache.replace("key", { big: 1n }, plain, call())).rejects.toMatchObject({ code: "ERR_CACHE_CODEC" });
    await expect(cache.set("key", { big: 1n })).rejects.toMatchObject({ code: "ERR_CACHE_CODEC" });
    expect(await cache.get("key")).toBe("short");
    await cache.close();
  });

  // Regression: the client told an error and went on in database 0, which is somebody else's.
  test("its database: the cache counts it as away, and writes nothing into another one", async () => {
    await using server = await startRedisServer();
    const cache = new RedisCache<string>({ url: `${server.url}/99`, namespace: uniquePrefix() });
    await expect(cache.ready(300)).rejects.toMatchObject({ code: expect.stringMatching(/BACKEND|TIMEOUT/) });
    expect(await cache.set("key", "value")).toBe(false);
    expect(await cache.get("key")).toBe(undefined);
    await cache.close();
    expect(await server.command("DBSIZE")).toBe(0);
  });

  test("whoever knocks: ready() tells with what, and not with which password", async () => {
    await using server = await startRedisServer();
    await server.command("CONFIG", "SET", "requirepass", "right");
    const withPassword = server.url.replace("//", "//:wrong@");
    const nobody = `redis://127.0.0.1:${await freePort()}`;
    for (const [url, trouble] of [
      [server.url, "NOAUTH"],
      [withPassword, "WRONGPASS"],
      [nobody, "ECONNREFUSED"],
      [`${nobody.replace("redis:", "redis+sentinel:")}/main`, "All sentinels are unreachable"],
    ] as const) {
      const cache = new RedisCache<string>({ url, namespace: uniquePrefix() });
      await waitUntil(trouble, async () => {
        const error: unknown = await cache.ready(50).catch((why: unknown) => why);
        return String(error).endsWith(`Redis could not be used within 50 ms: ${trouble}`);
      });
      await cache.close();
    }
  });

  test("writes because it has become a replica: it is not read either", async () => {
    await using server = await startRedisServer();
    await using other = await startRedisServer();
    const cache = await openCache<string>({ url: server.url });
    await cache.set("key", "value");
    await server.command("REPLICAOF", "127.0.0.1", String(other.port));
    await expect(cache.invalidate({ kind: "key", key: "key" }, call())).rejects.toMatchObject({
      code: expect.stringMatching(/BACKEND|TIMEOUT/),
    });
    await expect.poll(() => cache.get("key")).toBe(undefined);
    expect(cache.stats().breaker).not.toBe("closed");
    await server.command("REPLICAOF", "NO", "ONE");
    await expect.poll(() => cache.set("key", "again")).toBe(true);
    await cache.close();
  });

  // Regression: the connection was given up once. A name or an address that led to the former master for some seconds more left the cache there for ever.
  test("writes because it has become a replica, while its address goes on leading there: it is left for the new master all the same", async () => {
    await using server = await startRedisServer();
    await using promoted = await startRedisServer();
    let { port } = server;
    let accepted = 0;
    const address = createServer((client) => {
      accepted += 1;
      const upstream = connect(port, "127.0.0.1");
      for (const socket of [client, upstream])
        socket.on("error", () => {}).on("close", () => [client, upstream].map((end) => end.destroy()));
      client.pipe(upstream).pipe(client);
    }).listen(0, "127.0.0.1");
    await once(address, "listening");
    const cache = await openCache<string>({ url: `redis://127.0.0.1:${(address.address() as AddressInfo).port}` });
    await server.command("REPLICAOF", "127.0.0.1", String(promoted.port));
    expect(await cache.set("key", "value")).toBe(false);
    await waitUntil("it has come back to the former master", () => Promise.resolve(accepted === 2));
    ({ port } = promoted);
    await waitUntil("it is at the new master", () => cache.set("key", "value"));
    await cache.close();
    address.close();
  });

  test("everything without a password", async () => {
    await using server = await startRedisServer({ settings: { requirepass: "secret-of-the-server" } });
    const stranger = new RedisCache<string>({ ...prompt, url: server.url, namespace: "test" });
    expect(await stranger.get("key")).toBe(undefined);
    await expect(stranger.ready(200)).rejects.toMatchObject({ code: "ERR_CACHE_BACKEND" });
    await stranger.close();
    const friend = new RedisCache<string>({ url: server.url.replace("//", "//:secret-of-the-server@"), namespace: "test" });
    await friend.ready();
    expect(await friend.set("key", "value")).toBe(true);
    await friend.close();
  });

  test("the type of a key: a miss, healed by the next write", async () => {
    const keyPrefix = uniquePrefix();
    const cache = await openCache<string>({ client, keyPrefix });
    for (const kind of ["v", "f", "l"]) await client.rpush(`${keyPrefix}:{test.0}:${kind}:key`, "a list");
    expect(await cache.get("key")).toBe(undefined);
    const reservation = await cache.reserve("key", true, call());
    expect(reservation).toMatchObject({ lease: "owned", entry: undefined });
    if (!reservation) return;
    expect(await cache.fill(reservation, "value", plain)).toBe("stored");
    expect(await cache.get("key")).toBe("value");
    await client.del(`${keyPrefix}:{test.0}:v:key`);
    await client.rpush(`${keyPrefix}:{test.0}:v:key`, "a list");
    expect(await cache.delete("key")).toBe(false);
    expect(await client.exists(`${keyPrefix}:{test.0}:v:key`)).toBe(0);
    await cache.close();
  });

  test("a version record of another type is made anew by the next check", async () => {
    await using server = await startRedisServer();
    const cache = await openCache<string>({ url: server.url, keyPrefix: "p" });
    await server.command("SET", "p:{test.0}:version", "not a hash");
    await server.command("CLIENT", "KILL", "TYPE", "normal");
    await expect.poll(() => cache.set("key", "value")).toBe(true);
    expect(await cache.get("key")).toBe("value");
    await cache.close();
  });

  test("while it loads its data: misses, and back by itself", async () => {
    await using server = await startRedisServer({
      isPersistent: true,
      settings: { "key-load-delay": "300", "loading-process-events-interval-bytes": "1024" },
    });
    const cache = await openCache<string>({ url: server.url });
    const bulk = new Redis(server.url);
    const pipeline = bulk.pipeline();
    for (let index = 0; index < 3_000; index += 1) pipeline.set(`bulk:${index}`, "x".repeat(200));
    await pipeline.exec();
    bulk.disconnect();
    await server.restart();
    const answers = new Set<string | undefined>();
    await waitUntil("the breaker", async () => {
      answers.add(await cache.get("key"));
      return cache.stats().breaker === "closed";
    });
    expect(answers).toEqual(new Set([undefined]));
    expect(await cache.set("key", "value")).toBe(true);
    await cache.close();
  });
});

test("works as a user who may do what the README says, in its own keys and channels alone", async () => {
  await using server = await startRedisServer();
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const rules = /```acl\n([^`]+)```/.exec(readme)?.[1]?.trim().split(/\s+/) ?? [];
  expect(rules.length).toBeGreaterThan(10);
  await server.command("ACL", "SETUSER", "cache", "on", ">secret", ...rules);
  const url = server.url.replace("//", "//cache:secret@");
  const a = await openCache<string>({ url, keyPrefix: "larder" });
  const b = await openCache<string>({ url, keyPrefix: "larder" });
  expect(await a.set("key", "value", { tags: ["red"] })).toBe(true);
  expect(await a.set("forever", "value", { tags: ["red"], ttlMs: Infinity })).toBe(true);
  await b.invalidate({ kind: "tag", tag: "blue" }, call());
  expect(await b.get("key")).toBe("value");
  const owned = await a.reserve("loaded", true, call());
  const held = await b.reserve("loaded", true, call());
  if (!owned || !held) throw new Error("no reservation");
  const outcome = b.awaitFill(held, call());
  await expect.poll(async () => String(await server.command("PUBSUB", "NUMSUB", "larder:{test.0}:w:loaded"))).toContain(",1");
  expect(await a.fill(owned, "value", plain)).toBe("stored");
  expect(await outcome).toBe("stored");
  await a.replace("key", "newer", plain, call());
  for (const target of [{ kind: "key", key: "key" }, { kind: "pattern", pattern: "x*" }, { kind: "all" }] as const)
    await a.invalidate(target, call());
  await a.delete("key");
  await a.set("key", "value");
  expect(await a.size()).toBe(1);
  await a.clear();
  await expect.poll(() => a.stats().sweptEntries).toBeGreaterThan(0);
  expect(a.stats().errors + b.stats().errors).toBe(0);
  await Promise.all([a.close(), b.close()]);
});

test("the first write of each kind finds its script on the server", async () => {
  await using server = await startRedisServer();
  const cache = await openCache<string>({ url: server.url, keyPrefix: "p" });
  await cache.set("key", "value");
  await cache.delete("key");
  const reservation = await cache.reserve("key", false, call());
  if (!reservation) throw new Error("no reservation");
  expect(await cache.fill(reservation, "value", plain)).toBe("stored");
  await cache.invalidate({ kind: "key", key: "key" }, call());
  // Nothing is left for a sweep, whose own script nobody waits for.
  await cache.clear();
  // The check asks twice: it is what waits first, so nothing is loaded in front of it.
  expect(/cmdstat_eval:calls=(\d+)/.exec(String(await server.command("INFO", "commandstats")))?.[1]).toBe("1");
  await cache.close();
});

test("no error, event or stat carries a value, though the client's own errors do", async () => {
  await using server = await startRedisServer();
  const cache = await openCache<string>({ url: server.url, keyPrefix: "p" });
  await server.command("DEL", "p:{test.0}:version");
  await server.command("SET", "p:{test.0}:version", "not a hash");
  const told: unknown[] = [];
  const { subscribe } = await import("node:diagnostics_channel");
  for (const name of ["redis-state", "redis-entry-refused", "redis-call-failed"])
    subscribe(`larder:${name}`, (message) => told.push(message));
  const failure = await cache.replace("key", "CANARY-9f3", plain, call()).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ code: "ERR_CACHE_BACKEND" });
  const { inspect } = await import("node:util");
  const everything = inspect([failure, cache.stats(), told], { depth: 10, showHidden: true });
  expect(told.length).toBeGreaterThan(0);
  expect(everything).toContain("WRONGTYPE");
  expect(everything).not.toContain("CANARY");
  await cache.close();
});
