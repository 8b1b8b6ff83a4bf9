import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Fault, type FaultProxy, type RedisServer, startFaultProxy, startRedisServer } from "@larder/cache-testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { RedisCache } from "../src/index.ts";
import { call, openCache, patient, plain, prompt, timed } from "./support.ts";

let server: RedisServer;
const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown): void => {
  unhandled.push(reason);
};

beforeAll(async () => {
  server = await startRedisServer();
  process.on("unhandledRejection", onUnhandled);
});
afterAll(async () => {
  process.off("unhandledRejection", onUnhandled);
  await server.stop();
});
afterEach(() => expect(unhandled).toEqual([]));

/** Far above the deadline of 50 ms and far below a hang: no figure, only the difference between the two. */
const BOUND_MS = 1_000;

async function throughProxy(deadlines = prompt): Promise<{ cache: RedisCache<string>; proxy: FaultProxy; end: () => Promise<void> }> {
  const proxy = await startFaultProxy(server.port);
  const cache = await openCache<string>({ ...deadlines, url: proxy.url });
  return {
    cache,
    proxy,
    end: async () => {
      await cache.close();
      await proxy.close();
    },
  };
}

const faults: readonly Fault[] = [
  { kind: "stall" },
  { kind: "black-hole" },
  { kind: "black-hole-up" },
  { kind: "black-hole-down" },
  { kind: "refuse" },
  { kind: "accept-and-hang" },
  { kind: "latency", latencyMs: 150 },
  { kind: "cut", bytes: 50 },
  { kind: "corrupt", every: 7 },
];

describe.concurrent.each(faults)("with a network that does $kind", (fault) => {
  // Tests that run at once have an `expect` each: the shared one no longer knows to which of them a poll belongs.
  test.concurrent("reads are misses within a bound, writers learn of it, and all is well after it heals", async ({ expect }) => {
    const { cache, proxy, end } = await throughProxy();
    await cache.set("key", "value");
    await proxy.set(fault);
    for (let round = 0; round < 8; round += 1) {
      const { value, durationMs } = await timed(() => cache.get("key"));
      expect(durationMs).toBeLessThan(BOUND_MS);
      expect(value).toBe(undefined);
    }
    const write = await timed(() =>
      cache.invalidate({ kind: "key", key: "key" }, call(50)).then(
        () => "ok",
        (error) => error.code,
      ),
    );
    expect(write.durationMs).toBeLessThan(BOUND_MS);
    expect(["ERR_CACHE_BACKEND", "ERR_CACHE_TIMEOUT"]).toContain(write.value);
    expect(await timed(() => cache.reserve("key", true, call(50)))).toMatchObject({ value: undefined });
    expect(cache.stats().errors).toBeGreaterThan(0);
    // Spoiled replies are answers: the connection is not given up for them until the protocol itself is broken.
    if (fault.kind !== "corrupt") expect(cache.stats().degradedMs).toBeGreaterThan(0);
    await proxy.heal();
    await expect.poll(() => cache.set("key", "again")).toBe(true);
    // On a busy machine a single read may take longer than its 50 ms.
    await expect.poll(() => cache.get("key")).toBe("again");
    await end();
  });
});

// Regression: checks and subscriptions were given up after times of their own, which no option moved: such a Redis was never used.
test("a Redis that is farther away than a check is given by default is used where writes may wait for it", async () => {
  const proxy = await startFaultProxy(server.port);
  await proxy.set({ kind: "latency", latencyMs: 160 });
  const [a, b] = await Promise.all([1, 2].map(() => openCache<string>({ ...patient, url: proxy.url, keyPrefix: "far" })));
  if (!a || !b) throw new Error("no caches");
  expect(await a.set("key", "value")).toBe(true);
  expect(await b.get("key")).toBe("value");
  const owned = await a.reserve("loaded", true, call());
  const held = await b.reserve("loaded", true, call());
  if (!owned || !held) throw new Error("no reservation");
  const outcome = b.awaitFill(held, call());
  await expect.poll(async () => String(await server.command("PUBSUB", "NUMSUB", "far:{test.0}:w:loaded"))).toContain(",1");
  expect(await a.fill(owned, "value", plain)).toBe("stored");
  expect(await outcome).toBe("stored");
  await Promise.all([a.close(), b.close()]);
  await proxy.close();
});

test("a reply in small pieces is read whole", async () => {
  const { cache, proxy, end } = await throughProxy(patient);
  await cache.set("key", "x".repeat(300));
  await proxy.set({ kind: "chunk", bytes: 97 });
  expect(await cache.get("key")).toBe("x".repeat(300));
  await end();
});

test("a value spoiled on its way is a miss, whichever byte it was", async () => {
  const { cache, proxy, end } = await throughProxy();
  await cache.set("key", "a value of some length, to be spoiled");
  const before = cache.stats();
  for (let every = 60; every < 180; every += 13) {
    await proxy.set({ kind: "corrupt", every });
    expect([undefined, "a value of some length, to be spoiled"]).toContain(await cache.get("key"));
    await proxy.heal();
    await expect.poll(() => cache.stats().breaker).toBe("closed");
  }
  expect(cache.stats().refusedEntries.checksum).toBeGreaterThan(before.refusedEntries.checksum);
  await end();
});

test("connections reset again and again leave no unhandled rejection and no wrong answer", async () => {
  const { cache, proxy, end } = await throughProxy();
  await cache.set("key", "value");
  for (let round = 0; round < 15; round += 1) {
    const reads = Array.from({ length: 20 }, () => cache.get("key"));
    proxy.reset();
    for (const value of await Promise.all(reads)) expect([undefined, "value"]).toContain(value);
  }
  await expect.poll(() => cache.stats().breaker).toBe("closed");
  await expect.poll(() => cache.get("key")).toBe("value");
  await end();
});

test("a frozen Redis costs each reader its deadline until the breaker opens, then nothing; queues stay bounded", async () => {
  const own = await startRedisServer();
  const cache = await openCache<string>({ ...prompt, url: own.url });
  await cache.set("key", "value");
  own.pause();
  const first = await timed(() => Promise.all(Array.from({ length: 500 }, () => cache.get("key"))));
  expect(new Set(first.value)).toEqual(new Set([undefined]));
  expect(first.durationMs).toBeLessThan(BOUND_MS);
  expect(cache.stats().breaker).not.toBe("closed");
  const sent = cache.stats().inFlight;
  for (let round = 0; round < 200; round += 1) await cache.get("key");
  expect(cache.stats().inFlight).toBeLessThanOrEqual(sent + 5);
  await expect.poll(() => cache.ready(50).catch(String)).toMatch(/within 50 ms: timeout$/);
  own.resume();
  await expect.poll(() => cache.get("key")).toBe("value");
  await cache.close();
  await own.stop();
});

test("a hundred thousand gets against a frozen Redis hold less than 10 MB", async () => {
  const own = await startRedisServer();
  const cache = await openCache<string>({ ...prompt, url: own.url });
  own.pause();
  // Garbage must not count: the collector is called by hand, which Node allows by this flag alone.
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  const before = process.memoryUsage().heapUsed;
  let answered = 0;
  for (let round = 0; round < 20; round += 1) {
    for (let index = 0; index < 5_000; index += 1) void cache.get(`key:${index}`).then(() => (answered += 1));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(cache.stats().inFlight).toBeLessThanOrEqual(4_096);
  await expect.poll(() => answered).toBe(100_000);
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(10e6);
  await cache.close();
  await own.stop();
});

describe("a server that comes back", () => {
  test("empty: nothing old is served and all works on", async () => {
    const own = await startRedisServer();
    const cache = await openCache<string>({ ...prompt, url: own.url });
    await cache.set("key", "value");
    await own.restart();
    await expect.poll(() => cache.stats().breaker).toBe("closed");
    expect(await cache.get("key")).toBe(undefined);
    expect(await cache.set("key", "new")).toBe(true);
    expect(await cache.get("key")).toBe("new");
    await cache.close();
    await own.stop();
  });

  test("with its data from before: every entry is void, because an invalidation may have been lost with the tail", async () => {
    const own = await startRedisServer({ isPersistent: true });
    const cache = await openCache<string>({ ...prompt, url: own.url, keyPrefix: "kept" });
    await cache.set("key", "value");
    await own.restart();
    await expect.poll(() => cache.stats().breaker).toBe("closed");
    expect(await own.command("EXISTS", "kept:{test.0}:v:key")).toBe(1);
    expect(await cache.get("key")).toBe(undefined);
    await cache.close();
    await own.stop();
  });

  test("absent at the start: the cache is made, misses, and works when Redis appears", async () => {
    const own = await startRedisServer();
    await own.kill();
    const { RedisCache } = await import("../src/index.ts");
    const cache = new RedisCache<string>({ url: own.url, namespace: "test" });
    expect(await cache.get("key")).toBe(undefined);
    expect(await cache.set("key", "value")).toBe(false);
    await expect(cache.ready(50)).rejects.toMatchObject({ code: "ERR_CACHE_BACKEND" });
    await own.start();
    await cache.ready(10_000);
    expect(await cache.set("key", "value")).toBe(true);
    await cache.close();
    await own.stop();
  });
});

test("a write that did not reach Redis leaves no old value behind for its own process", async () => {
  const { cache, proxy, end } = await throughProxy();
  await cache.set("key", "old");
  await proxy.set({ kind: "stall" });
  expect(await cache.set("key", "new")).toBe(false);
  expect(await cache.get("key")).toBe(undefined);
  await proxy.heal();
  await expect.poll(() => cache.stats().breaker).toBe("closed");
  // The late write was refused by its deadline, the pending delete has run: in no order does the old value come back.
  for (let round = 0; round < 20; round += 1) expect(await cache.get("key")).not.toBe("old");
  await end();
});

test("fills of large values against a stalled Redis are bounded in bytes", async () => {
  const proxy = await startFaultProxy(server.port);
  const cache = await openCache<string>({ ...prompt, url: proxy.url, maxInFlightBytes: 1_000_000, failureThreshold: 1_000 });
  await proxy.set({ kind: "stall" });
  const writes = Array.from({ length: 50 }, (_, index) => cache.set(`key:${index}`, "x".repeat(100_000)));
  expect(cache.stats().inFlight).toBeLessThanOrEqual(11);
  expect(await Promise.all(writes)).not.toContain(true);
  expect(cache.stats().failures.busy).toBeGreaterThanOrEqual(39);
  await cache.close();
  await proxy.close();
});
