import { type RedisServer, startFaultProxy, startRedisServer, uniquePrefix, waitUntil } from "@larder/cache-testing";
import { Redis, type RedisOptions } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { RedisCache } from "../src/index.ts";
import { call, plain } from "./support.ts";

/*
 * A client that was handed over is the caller's, who uses it for other things too: what that may do to the cache. Found by an audit.
 */

let server: RedisServer;
const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown): void => {
  unhandled.push(reason);
};
const opened: Array<() => unknown> = [];

beforeAll(() => {
  process.on("unhandledRejection", onUnhandled);
});
afterAll(() => {
  process.off("unhandledRejection", onUnhandled);
});
beforeEach(async () => {
  server = await startRedisServer();
});
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
  await server.stop();
  expect(unhandled).toEqual([]);
});

async function open(options: RedisOptions = {}): Promise<{ client: Redis; cache: RedisCache<string> }> {
  const client = new Redis({ host: "127.0.0.1", port: server.port, ...options });
  client.on("error", () => {});
  const cache = new RedisCache<string>({ client, namespace: uniquePrefix() });
  opened.push(async () => {
    await cache.close();
    client.disconnect();
  });
  await cache.ready();
  return { client, cache };
}

test.each([1, 3])(
  "a transaction that its owner has open on it makes %i reads misses, and no write is taken for done that waits for its end",
  async (count) => {
    const { client, cache } = await open();
    await cache.set("0", "old");
    await client.multi({ pipeline: false });
    const keys = Array.from({ length: count }, (_, index) => String(index));
    expect(await Promise.all(keys.map((key) => cache.get(key)))).toEqual(keys.map(() => undefined));
    await expect(cache.invalidate({ kind: "key", key: "0" }, call(50))).rejects.toMatchObject({ code: "ERR_CACHE_BACKEND" });
    expect(await cache.set("0", "new")).toBe(false);
    expect(await cache.reserve("0", true, call(50))).toBe(undefined);
    await client.discard();
    expect(await cache.get("0")).toBe(undefined);
    await waitUntil("it is as ever", async () => (await cache.set("0", "newer")) && (await cache.get("0")) === "newer");
  },
);

test("a command timeout of its own, shorter than ours, counts as one: the breaker opens while Redis hangs", async () => {
  const { cache } = await open({ commandTimeout: 10 });
  server.pause();
  for (let read = 0; read < 10 && cache.stats().breaker === "closed"; read += 1) await cache.get("key");
  expect(cache.stats().breaker).not.toBe("closed");
  expect(cache.stats().failures.timeout).toBeGreaterThan(0);
  server.resume();
});

// Regression: what found the next master for any other client ended one that makes no connection anew for good, and its owner's commands with it.
test("a master that is demoted for a while does not end a client that never reconnects", async () => {
  await using master = await startRedisServer();
  const { client, cache } = await open({ retryStrategy: () => null });
  expect(await cache.set("key", "value")).toBe(true);
  await server.command("REPLICAOF", "127.0.0.1", String(master.port));
  await waitUntil("the cache has found out", async () => !(await cache.set("key", "value")) && cache.stats().breaker !== "closed");
  expect(await client.ping()).toBe("PONG");
  await server.command("REPLICAOF", "NO", "ONE");
  await waitUntil("the cache is in use again", () => cache.set("key", "newer"));
  expect(await cache.get("key")).toBe("newer");
});

test.each([
  ["its owner selects another database and comes back", (client: Redis, there: boolean) => client.select(there ? 1 : 0)],
  ["databases are swapped and swapped again", () => server.command("SWAPDB", "0", "1")],
])("when %s, what was invalidated meanwhile is not served", async (_, move) => {
  const { client, cache } = await open();
  await cache.set("key", "old");
  await move(client, true);
  await waitUntil("the cache has found out", async () => (await cache.set("other", "value")) && (await cache.get("other")) === "value");
  await cache.invalidate({ kind: "key", key: "key" }, call(500));
  await cache.invalidate({ kind: "all" }, call(500));
  await move(client, false);
  const served = new Set<string | undefined>();
  await waitUntil("the cache has found out again", async () => {
    served.add(await cache.get("key"));
    return (await cache.set("other", "newer")) && (await cache.get("other")) === "newer";
  });
  served.add(await cache.get("key"));
  expect([...served]).toEqual([undefined]);
});

/*
 * An invalidation was acknowledged in an epoch that had been left before. That counted as a mishap of that epoch alone: the one from before it was taken for
 * unharmed when it came back, with the value that had just been dropped. Found by swapping databases for some seconds.
 */
test("an invalidation that went to a database swapped in for a moment is one in the database that comes back", async () => {
  const { cache } = await open();
  const isInUse = async (): Promise<boolean> => (await cache.set("other", "value")) && (await cache.get("other")) === "value";
  for (let swaps = 0; swaps < 2; swaps += 1) {
    await waitUntil("the cache is in use", isInUse);
    await server.command("SWAPDB", "0", "1");
  }
  await waitUntil("the cache is in use again", isInUse);
  await cache.set("key", "old");
  expect(await cache.get("key")).toBe("old");
  await server.command("SWAPDB", "0", "1");
  await cache.invalidate({ kind: "key", key: "key" }, call(500));
  await server.command("SWAPDB", "0", "1");
  expect(await cache.get("key")).toBe(undefined);
  await waitUntil("the cache is in use once more", isInUse);
  expect(await cache.get("key")).toBe(undefined);
});

test("keys that look like the names of others are others", async () => {
  const { cache } = await open();
  const [lone, alike] = ["\ud800", "\u0000utf16:00d8"];
  await cache.set(lone, "lone");
  await cache.set(alike, "alike");
  expect([await cache.get(lone), await cache.get(alike), await cache.size()]).toEqual(["lone", "alike", 2]);
  const found: string[] = [];
  for await (const [key] of cache.entries()) found.push(key);
  expect(found.sort()).toEqual([lone, alike].sort());
});

test.each([
  ["with a lone surrogate", "\ud800*", "\ud800x"],
  ["of thousands of characters", `k${"*".repeat(5_000)}`, "key"],
])("a pattern %s drops what it matches for those who read it from Redis, too", async (_, pattern, key) => {
  const { client, cache } = await open();
  const other = new RedisCache<string>({ client, namespace: cache.namespace });
  opened.push(() => other.close());
  await other.ready();
  await cache.set(key, "value");
  expect(await other.get(key)).toBe("value");
  await cache.invalidate({ kind: "pattern", pattern }, call());
  expect([await cache.get(key), await other.get(key)]).toEqual([undefined, undefined]);
});

test("a connection for wakes that lost its way is replaced", async () => {
  const proxy = await startFaultProxy(server.port);
  opened.push(() => proxy.close());
  const client = new Redis(server.url);
  const duplicate = client.duplicate.bind(client);
  client.duplicate = (options) => duplicate({ ...options, port: Number(new URL(proxy.url).port) });
  const [holder, waiter] = [client, client].map((shared) => new RedisCache<string>({ client: shared, namespace: "wakes" }));
  if (!holder || !waiter) throw new Error("no caches");
  opened.push(async () => {
    await Promise.all([holder.close(), waiter.close()]);
    client.disconnect();
  });
  await Promise.all([holder.ready(), waiter.ready()]);
  let waits = 0;
  /** How a wait ends that another cache's fill should end. */
  const wait = async (): Promise<string> => {
    waits += 1;
    const held = await holder.reserve(`key ${waits}`, true, call());
    const reservation = await waiter.reserve(`key ${waits}`, true, call());
    if (!held || !reservation) throw new Error("no reservation");
    const outcome = waiter.awaitFill(reservation, call());
    setTimeout(() => void holder.fill(held, "value", plain), 100);
    return outcome;
  };
  expect(await wait()).toBe("stored");
  await proxy.set({ kind: "black-hole" });
  expect(await wait()).toBe("failed");
  await proxy.heal();
  await waitUntil("it hears again", async () => (await wait()) === "stored", 10_000);
});
