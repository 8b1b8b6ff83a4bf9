import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import { uniquePrefix } from "@larder/cache-testing";
import { expect, test } from "vitest";
import { createCoherentCache, RedisInvalidationBus } from "../src/index.ts";

const url = process.env.REDIS_URL ?? "redis://127.0.0.1:6379";
const patient = { timeoutMs: 2_000, writeTimeoutMs: 2_000 };

// A bus that has not proved itself may be on another server and is told of what is written. On the tier's own it would drop what has just been stored there:
// a program that warms a cache and ends does not wait for `ready`.
test("what is set before the bus has proved itself stays in the second tier, where both are on one server", async () => {
  const keyPrefix = uniquePrefix();
  const l2 = new RedisCache<string>({ url, keyPrefix, namespace: "warm", ...patient });
  await l2.ready();
  const bus = new RedisInvalidationBus({ url, keyPrefix });
  const cache = createCoherentCache<string>({ l1: new MemoryCache({ maxEntries: 100 }), l2, bus, backendBudgetMs: 2_000 });
  const keys = Array.from({ length: 20 }, (_, index) => `key ${index}`);
  expect(await Promise.all(keys.map((key) => cache.set(key, `value of ${key}`)))).toEqual(keys.map(() => true));
  await cache.close();
  await l2.close();
  bus.close();
  const later = new RedisCache<string>({ url, keyPrefix, namespace: "warm", ...patient });
  await later.ready();
  expect([...(await later.getMany(keys)).values()]).toEqual(keys.map((key) => `value of ${key}`));
  await later.close();
});
