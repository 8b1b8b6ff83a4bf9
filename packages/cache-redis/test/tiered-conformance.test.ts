import { setTimeout as sleep } from "node:timers/promises";
import { MemoryInvalidationBus, type StoredEntry, systemClock, TieredCache } from "@larder/cache-core";
import { describeCache, describeReadThroughCache, NaiveCache, uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import * as testApi from "vitest";
import { RedisCache } from "../src/index.ts";
import { patient, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
/** Second tiers of caches that close themselves and not what they were handed. */
const tiers: RedisCache<unknown>[] = [];
testApi.afterAll(async () => {
  await Promise.all(tiers.map((tier) => tier.close()));
  client.disconnect();
});

/** A first tier that has always dropped everything: what the second one answers is all there is. */
class ForgetfulCache<V> extends NaiveCache<V> {
  override get(): undefined {
    return undefined;
  }
}

async function openTier(keyPrefix = uniquePrefix()): Promise<RedisCache<unknown>> {
  const tier = new RedisCache<unknown>({ client, namespace: "conformance", ...patient, keyPrefix });
  tiers.push(tier);
  await tier.ready();
  return tier;
}

const firstTiers = {
  "a first tier": () => new NaiveCache<StoredEntry<unknown>>({ clock: systemClock }),
  "nothing kept in memory": () => new ForgetfulCache<StoredEntry<unknown>>({ clock: systemClock }),
};

describeReadThroughCache("TieredCache over RedisCache, with a first tier and a bus", {
  create: async () => {
    const bus = new MemoryInvalidationBus();
    const keyPrefix = uniquePrefix();
    const make = async (): Promise<TieredCache<unknown>> =>
      new TieredCache<unknown>({ l1: firstTiers["a first tier"](), l2: await openTier(keyPrefix), bus, backendBudgetMs: 2_000 });
    return { a: await make(), b: await make(), dispose: () => bus.close() };
  },
  advance: async (ms) => {
    await sleep(ms);
  },
  ttlResolutionMs: 3,
  testApi,
});

for (const [name, createFirst] of Object.entries(firstTiers)) {
  describeCache(`TieredCache over RedisCache, with ${name}`, {
    create: async ({ ttlMs }) =>
      new TieredCache<unknown>({
        l1: createFirst(),
        l2: await openTier(),
        backendBudgetMs: 2_000,
        ...(ttlMs === undefined ? {} : { ttlMs }),
      }),
    advance: async (ms) => {
      await sleep(ms);
    },
    ttlResolutionMs: 2,
    testApi,
  });
}
