import { setTimeout as sleep } from "node:timers/promises";
import { systemClock, TieredCache } from "@larder/cache-core";
import { describeCache, NaiveCache, uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { Redis as Redis6 } from "ioredis-6";
import * as testApi from "vitest";
import { RedisCache, v8Codec } from "../src/index.ts";
import { patient, redisUrl as url } from "./support.ts";

const clients: Readonly<Record<string, Redis>> = {
  "ioredis 5": new Redis(url),
  "ioredis 6": new Redis6(url) as unknown as Redis,
};

testApi.afterAll(() => {
  for (const client of Object.values(clients)) client.disconnect();
});

/** A first tier that has always dropped everything: what the second one answers is all there is. */
class ForgetfulCache<V> extends NaiveCache<V> {
  override get(): undefined {
    return undefined;
  }
}

/** Second tiers of caches that close themselves and not what they were handed. */
const tiers: RedisCache<unknown>[] = [];
testApi.afterAll(() => Promise.all(tiers.map((tier) => tier.close())));

const advance = async (ms: number): Promise<void> => {
  await sleep(ms);
};
/** A value beyond `maxValueBytes`. */
const tooLarge = "x".repeat(100_000);
const ofTtl = (ttlMs: number | undefined): { ttlMs?: number } => (ttlMs === undefined ? {} : { ttlMs });

for (const [name, client] of Object.entries(clients)) {
  describeCache(`RedisCache over ${name}`, {
    create: async ({ ttlMs }) => {
      const cache = new RedisCache<unknown>({
        client,
        namespace: "conformance",
        ...patient,
        keyPrefix: uniquePrefix(),
        maxValueBytes: 50_000,
        ...ofTtl(ttlMs),
      });
      await cache.ready();
      return cache;
    },
    advance,
    tooLarge,
    testApi,
  });
}

describeCache("RedisCache from a URL, in several lanes, with v8 values", {
  create: async ({ ttlMs }) => {
    const cache = new RedisCache<unknown>({
      url,
      namespace: "conformance",
      ...patient,
      keyPrefix: uniquePrefix(),
      lanes: 4,
      codec: v8Codec(),
      maxValueBytes: 50_000,
      ...ofTtl(ttlMs),
    });
    await cache.ready();
    return cache;
  },
  advance,
  tooLarge,
  testApi,
});

describeCache("TieredCache over RedisCache", {
  create: async ({ ttlMs }) => {
    const l2 = new RedisCache<unknown>({
      client: clients["ioredis 5"] as Redis,
      namespace: "conformance",
      ...patient,
      keyPrefix: uniquePrefix(),
    });
    tiers.push(l2);
    await l2.ready();
    return new TieredCache<unknown>({ l1: new NaiveCache({ clock: systemClock }), l2, backendBudgetMs: 2_000, ...ofTtl(ttlMs) });
  },
  advance,
  testApi,
});

describeCache("TieredCache over RedisCache, with nothing kept in memory", {
  create: async ({ ttlMs }) => {
    const l2 = new RedisCache<unknown>({
      client: clients["ioredis 6"] as Redis,
      namespace: "conformance",
      ...patient,
      keyPrefix: uniquePrefix(),
    });
    tiers.push(l2);
    await l2.ready();
    return new TieredCache<unknown>({ l1: new ForgetfulCache({ clock: systemClock }), l2, backendBudgetMs: 2_000, ...ofTtl(ttlMs) });
  },
  advance,
  testApi,
});
