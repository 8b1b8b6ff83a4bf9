// What a cache does while Redis hangs, and after: a server of our own behind a proxy that spoils connections, and a clock turned by hand.
// npm install @larder/cache-testing @larder/cache-memory @larder/cache-redis ioredis vitest
// Save it as hung-redis.mts: `node hung-redis.mts` runs it from Node 22.18 on, `npx tsx hung-redis.mts` on Node 20.
// It starts a redis-server or valkey-server from the PATH.
import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import { ManualClock, startFaultProxy, startRedisServer, waitUntil } from "@larder/cache-testing";

const server = await startRedisServer();
const proxy = await startFaultProxy(server.port);
const cache = new RedisCache<string>({ url: `redis://127.0.0.1:${proxy.port}`, namespace: "example", timeoutMs: 50 });
await cache.ready();

await cache.set("greeting", "hello");
console.log(await cache.get("greeting")); // hello

await proxy.set({ kind: "stall" }); // both sides keep their connections, and nothing moves
const startedAt = performance.now();
console.log(await cache.get("greeting")); // undefined: a miss
const waitedMs = performance.now() - startedAt;
if (waitedMs > 1_000) throw new Error(`a reader waited ${waitedMs} ms for a Redis that hangs`);
console.log(cache.stats().errors > 0); // true: it is counted

await proxy.set({ kind: "pass" });
await waitUntil("the cache uses Redis again", async () => (await cache.get("greeting")) === "hello");

// Time in memory needs no waiting.
const clock = new ManualClock();
const memory = new MemoryCache<string>({ ttlMs: 60_000, clock });
memory.set("greeting", "hello");
clock.advance(59_999);
console.log(memory.get("greeting")); // hello
clock.advance(1);
console.log(memory.get("greeting")); // undefined

memory.close();
await cache.close();
await proxy.close();
await server.stop();
