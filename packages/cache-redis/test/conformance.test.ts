import { setTimeout as sleep } from "node:timers/promises";
import { describeCache, describeStore, uniquePrefix } from "@larder/cache-testing";
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

const advance = async (ms: number): Promise<void> => {
  await sleep(ms);
};
/** A value beyond `maxValueBytes`. */
const tooLarge = "x".repeat(100_000);
/** Redis and this process keep their own time: on a busy machine a tenth of a second is too short to be told apart. */
const ttlResolutionMs = 2;
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
    ttlResolutionMs,
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
  ttlResolutionMs,
  tooLarge,
  testApi,
});

for (const lanes of [1, 4]) {
  describeStore(`RedisCache in ${lanes} lanes`, {
    create: async () => {
      const shared = { url, namespace: "conformance", ...patient, keyPrefix: uniquePrefix(), lanes, maxValueBytes: 50_000 };
      const [a, b] = [new RedisCache<unknown>(shared), new RedisCache<unknown>(shared)];
      await Promise.all([a.ready(), b.ready()]);
      return { a, b };
    },
    advance,
    ttlResolutionMs,
    tooLarge,
    testApi,
  });
}
