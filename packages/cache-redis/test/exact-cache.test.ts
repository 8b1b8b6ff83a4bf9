import { TieredCache } from "@larder/cache-core";
import { ExactCache } from "@larder/cache-core/keys";
import { ManualClock, NaiveCache, uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, expect, test } from "vitest";
import { RedisCache } from "../src/index.ts";
import { patient, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
afterAll(() => client.disconnect());

const request = { model: "m", messages: [{ role: "user", content: "hi" }] };

test("an ExactCache over a RedisCache by itself invalidates in Redis", async () => {
  const keyPrefix = uniquePrefix();
  const [store, other] = [0, 1].map(() => new RedisCache<string>({ client, namespace: "exact", keyPrefix, ...patient }));
  if (!store || !other) throw new Error("two caches were made");
  await Promise.all([store.ready(), other.ready()]);
  const [cache, peer] = [new ExactCache(store), new ExactCache(other)];
  expect(await cache.put(request, "answer")).toBe(true);
  expect(await peer.get(request)).toBe("answer");
  expect(await cache.invalidate(request)).toBe(true);
  expect(await cache.get(request)).toBe(undefined);
  expect(await peer.get(request)).toBe(undefined);
  expect(await cache.invalidate(request)).toBe(false);
  await Promise.all([store.close(), other.close()]);
});

test("an ExactCache over tiers invalidates in all of them", async () => {
  const l2 = new RedisCache<string>({ client, namespace: "exact", keyPrefix: uniquePrefix(), ...patient });
  await l2.ready();
  const clock = new ManualClock();
  const tiers = new TieredCache<string>({ l1: new NaiveCache({ clock }), l2, clock, backendBudgetMs: 2_000 });
  const cache = new ExactCache(tiers);
  await cache.put(request, "answer");
  expect(await cache.invalidate(request)).toBe(true);
  expect(await l2.get(cache.keyOf(request))).toBe(undefined);
  expect(await cache.get(request)).toBe(undefined);
  expect(tiers.stats().invalidations).toBe(1);
  await tiers.close();
  await l2.close();
});
