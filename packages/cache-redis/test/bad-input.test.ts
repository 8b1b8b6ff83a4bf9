import assert from "node:assert";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { uniquePrefix, waitUntil } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, describe, expect, test } from "vitest";
import { openClient, RedisCache } from "../src/index.ts";
import { call, openCache, plain, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
afterAll(() => client.disconnect());
const invalid = { code: "ERR_CACHE_INVALID_OPTION" };

describe("a constructor that refuses", () => {
  const refused: ReadonlyArray<readonly [string, object, RegExp]> = [
    ["a time to live of 0", { ttlMs: 0 }, /ttlMs/],
    ["a namespace with braces", { namespace: "x{" }, /namespace/],
    ["no namespace", { namespace: undefined }, /namespace/],
    ["more lanes than slots", { lanes: 20_000 }, /lanes/],
    ["a flag that is a word", { isSharded: "no" }, /isSharded must be true or false, got the string "no"/],
    ["a codec without id", { codec: {} }, /codec.id/],
    ["an option of another name", { ttl: 60_000 }, /the name of an option must be one of client, .* got the string "ttl"/],
    ["null for a sealing, which would seal nothing", { sealing: null }, /sealing.id must be an integer/],
    ["an empty string for a sealing, as `secret && createSealing(…)` gives it", { sealing: "" }, /sealing.id/],
    ["a codec whose id has no room", { codec: { id: 256 } }, /codec.id must be at most 255, got 256/],
    ["a deadline that is no number", { timeoutMs: Number.NaN }, /timeoutMs/],
  ];

  test("has opened nothing: no connection is left behind that nobody can close", async () => {
    const server = createServer();
    const connections: unknown[] = [];
    server.on("connection", (socket) => {
      connections.push(socket.remotePort);
      socket.on("error", () => {});
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
    for (const [, options] of refused) expect(() => new RedisCache({ url, namespace: "x", ...options })).toThrow();
    // Connections are accepted in order: when one that is opened afterwards is seen, so is every other.
    const later = openClient(url);
    later.on("error", () => {});
    await waitUntil("the last connection", () => connections.includes((later as Redis).stream?.localPort));
    expect(connections.length).toBe(1);
    later.disconnect();
    server.close();
  });

  test.each(refused)("names %s", (_, options, message) => {
    expect(() => new RedisCache({ client, namespace: "x", ...options })).toThrow(message);
    expect(() => new RedisCache({ client, namespace: "x", ...options })).toThrow(/ERR_CACHE_INVALID_OPTION/);
  });

  test.each([
    [{ client: {} }, /client must be a Redis or Cluster of ioredis, got a value of type object/],
    [{ client: null }, /client must be .*got null/],
    [{ client: "redis://127.0.0.1" }, /client must be .*got a string/],
    [{ port: {} }, /port must be a RedisPort/],
    [{ url: 5 }, /url cannot be read/],
    [{}, /exactly one of client, url and port/],
    [{ client, url: redisUrl }, /exactly one of client, url and port/],
  ])("takes no %j to connect by", (where, message) => {
    expect(() => new RedisCache({ namespace: "x", ...(where as object) } as never)).toThrow(message);
    expect(() => new RedisCache({ namespace: "x", ...(where as object) } as never)).toThrow(/ERR_CACHE_INVALID_OPTION/);
  });
});

describe("a value that no codec can hold is refused, and nothing is stored in its place", () => {
  test.each([
    ["a promise that nobody awaited", () => Promise.resolve({ answer: 42 })],
    ["a stream", () => new ReadableStream()],
    ["what an async generator gives", () => (async function* () {})()],
    ["what throws when it is read", () => new Proxy({}, { get: () => assert.fail("CANARY") })],
  ])("%s: JSON has an empty object for it, or the error of its own", async (_, make) => {
    const cache = await openCache<unknown>({ client, keyPrefix: uniquePrefix() });
    await expect(cache.set("key", make())).rejects.toThrow(/ERR_CACHE_CODEC.*await a promise or stream/);
    expect(await cache.get("key")).toBe(undefined);
    // Words of JSON Schema: no promise has them.
    expect(await cache.set("key", JSON.parse('{ "if": {}, "then": { "type": "string" } }'))).toBe(true);
    await cache.close();
  });

  // Regression: its characters were stored as zeros, set answered true, and each read was a miss that nobody counted.
  test.each([
    ["text", JSON.stringify],
    ["a promise", async () => Buffer.from("x")],
    ["a list of numbers", () => [1, 2]],
    ["an array of words", () => new Uint16Array(4)],
  ])("a codec gives %s where bytes are due", async (_, encode) => {
    const codec = { id: 20, encode: encode as unknown as () => Uint8Array, decode: (bytes: Buffer) => JSON.parse(String(bytes)) };
    const cache = await openCache<unknown>({ client, keyPrefix: uniquePrefix(), codec });
    await expect(cache.set("key", { a: 1 })).rejects.toThrow(/ERR_CACHE_CODEC.*the codec gives no Uint8Array/);
    await cache.close();
  });
});

describe("a call", () => {
  test.each([[undefined], [null], [123], [{}], [Symbol("key")]])("by %j for a key is refused by name, whichever it is", async (given) => {
    const cache = await openCache<string>({ client, keyPrefix: uniquePrefix() });
    const key = given as never as string;
    const calls: Record<string, () => Promise<unknown>> = {
      get: () => cache.get(key),
      lookup: () => cache.lookup(key),
      has: () => cache.has(key),
      set: () => cache.set(key, "value"),
      delete: () => cache.delete(key),
      getMany: () => cache.getMany(["fine", key]),
      setMany: () => cache.setMany([[key, "value"]]),
      deleteMany: () => cache.deleteMany([key]),
      read: () => cache.read(key, call()),
      reserve: () => cache.reserve(key, true, call()),
      replace: () => cache.replace(key, "value", plain, call()),
      invalidate: () => cache.invalidate({ kind: "key", key }, call()),
    };
    for (const [name, run] of Object.entries(calls)) await expect(run(), name).rejects.toMatchObject(invalid);
    await expect(cache.get(key)).rejects.toThrow(/key must be a string, got/);
    // Nothing waits for a retry, and nothing else reads as a miss for it.
    expect(await cache.set("fine", "value")).toBe(true);
    expect(await cache.get("fine")).toBe("value");
    await cache.close();
  });

  test.each([["abc"], [5], [[5]], [[""]], [null], [{ red: true }]])(
    "with %j for tags is refused, and the value that was there stays",
    async (tags) => {
      const cache = await openCache<string>({ client, keyPrefix: uniquePrefix() });
      await cache.set("key", "old");
      await expect(cache.set("key", "new", { tags: tags as never })).rejects.toThrow(/tags must be/);
      await expect(cache.setMany([["key", "new"]], { tags: tags as never })).rejects.toMatchObject(invalid);
      expect(await cache.get("key")).toBe("old");
      await cache.close();
    },
  );

  // Regression: a number with an exponent, or none, was refused by Redis with each invalidation.
  test.each([Number.POSITIVE_INFINITY, 1e21])("%d is no bad length of the log: it keeps all", async (logLength) => {
    const cache = await openCache<string>({ client, keyPrefix: uniquePrefix(), logLength });
    await cache.set("key", "value");
    expect(await cache.invalidate({ kind: "key", key: "key" }, call())).toMatchObject({ seq: 1 });
    expect(await cache.get("key")).toBe(undefined);
    await cache.close();
  });

  test("for readiness within no number of milliseconds is refused, not waited for", async () => {
    const cache = new RedisCache<string>({ url: "redis://127.0.0.1:1", namespace: "x" });
    for (const timeoutMs of [Number.NaN, -1, "1s", null]) await expect(cache.ready(timeoutMs as number)).rejects.toMatchObject(invalid);
    await expect(cache.ready(0)).rejects.toMatchObject({ code: "ERR_CACHE_BACKEND" });
    await cache.close();
  });

  test("after close is told so, with nothing to do as well", async () => {
    const cache = await openCache<string>({ client, keyPrefix: uniquePrefix() });
    await cache.close();
    const calls = [() => cache.getMany([]), () => cache.setMany([]), () => cache.deleteMany([]), () => cache.ready(), () => cache.size()];
    for (const run of calls) await expect(run()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
  });
});
