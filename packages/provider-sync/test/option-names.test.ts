import { MemoryInvalidationBus } from "@larder/cache-core";
import { expect, test } from "vitest";
import {
  checkStaleAlert,
  createBodyFetcher,
  createCatalog,
  createSyncScheduler,
  guardPolicy,
  litellmPrices,
  modelsDev,
  openAiCompatible,
  openRouterEndpoints,
  openRouterModels,
  openRouterProviders,
  syncOnce,
  vercelGateway,
} from "../src/index.ts";
import { createPostgresStore } from "../src/postgres.ts";
import type { RedisClient } from "../src/redis-client.ts";
import { createRedisLock } from "../src/redis-lock.ts";
import { createRedisMirror } from "../src/redis-mirror.ts";
import { createSqliteStore } from "../src/sqlite.ts";

const client = {} as RedisClient;
const url = "https://host/v1/models";

/** What would count for nothing: another list asked, no guard, a time to live or a number of versions that nobody meant. */
const calls: ReadonlyArray<readonly [what: string, name: string, call: (extra: object) => unknown]> = [
  ["a sync", "dryrun", (extra) => syncOnce({ sources: [openRouterModels()], store: {} as never, ...extra })],
  ["a scheduler", "interval", (extra) => createSyncScheduler({ sources: [openRouterModels()], store: {} as never, ...extra })],
  ["a scheduler's run", "dryRun", (extra) => createSyncScheduler({ sources: [openRouterModels()], store: {} as never, ...extra })],
  ["the guards", "maxPriceFaktor", (extra) => guardPolicy(extra)],
  ["a fetcher", "maxSize", (extra) => createBodyFetcher(extra)],
  ["a mirror", "ttl", (extra) => createRedisMirror({ client, ...extra })],
  ["a lock", "ttl", (extra) => createRedisLock({ client, ...extra })],
  ["the embedded store", "keep", (extra) => createSqliteStore({ path: ":memory:", ...extra })],
  ["the fleet's store", "keep", (extra) => createPostgresStore({ url: "postgres://127.0.0.1:1/none", ...extra })],
  ["a catalog", "refreshMs", (extra) => createCatalog({ readers: [{} as never], bus: new MemoryInvalidationBus(), ...extra })],
  [
    "the stale alert",
    "staleMs",
    (extra) => checkStaleAlert({ completedAt: async () => 1, memory: {} as never, post: async () => true, ...extra }),
  ],
  ["OpenRouter's models", "baseUrl", (extra) => openRouterModels({ url, ...extra })],
  ["OpenRouter's providers", "baseUrl", (extra) => openRouterProviders({ url, ...extra })],
  ["OpenRouter's endpoints", "baseUrl", (extra) => openRouterEndpoints({ url, ...extra })],
  ["Vercel's models", "baseUrl", (extra) => vercelGateway({ url, ...extra })],
  ["models.dev", "baseUrl", (extra) => modelsDev({ url, ...extra })],
  ["the price map", "baseUrl", (extra) => litellmPrices({ url, ...extra })],
  ["a server's models", "key", (extra) => openAiCompatible({ provider: "acme", baseUrl: "https://host/v1", ...extra })],
];

test.each(calls)("%s refuses an option that there is not: %s", async (_, name, call) => {
  await expect((async () => call({ [name]: 1 }))()).rejects.toThrow(
    new RegExp(`ERR_CACHE_INVALID_OPTION.*the name of an option must be one of .*, got the string "${name}"`),
  );
});
