import { type StoredEntry, TieredCache } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import type { CreateProcess } from "@larder/cache-testing";
import { RedisInvalidationBus } from "../src/redis-bus.ts";

/** Milliseconds; short, so that schedules are: heartbeats come every 250 ms. */
export const maxStalenessMs = 600;

/** The product as it is shipped: memory, Redis and bus, over simulated connections. The bus first: its origin is the first token drawn. */
export const createThreeParts: CreateProcess = ({ clock, random, busPort, redisPort, watch, ...settings }) => {
  const { ttlMs, lanes, maxEntries, deadlineMs } = settings;
  const bus = watch(new RedisInvalidationBus({ port: busPort, clock, random, lanes }));
  const timeout = deadlineMs === undefined ? {} : { timeoutMs: deadlineMs };
  const l2 = new RedisCache<unknown>({ port: redisPort, namespace: "sim", lanes, ttlMs, clock, random, ...timeout });
  const l1 = new MemoryCache<StoredEntry<unknown>>({ clock, maxEntries });
  const budget = deadlineMs === undefined ? {} : { backendBudgetMs: deadlineMs };
  return new TieredCache<unknown>({ l1, l2, bus, clock, random, ttlMs, maxStalenessMs, jitter: 0, ...budget });
};

/** Memory and bus alone. */
export const createWithoutStore: CreateProcess = ({ clock, random, busPort, watch, ttlMs, lanes, maxEntries }) => {
  const bus = watch(new RedisInvalidationBus({ port: busPort, clock, random, lanes }));
  const l1 = new MemoryCache<StoredEntry<unknown>>({ clock, maxEntries });
  return new TieredCache<unknown>({ l1, bus, namespace: "sim", clock, random, ttlMs, maxStalenessMs, jitter: 0 });
};

/** A fleet in which every other process has no second tier, and one that begins anew may be of the other kind. */
export const createMixed: CreateProcess = (context) =>
  ((context.index + context.life) % 2 === 0 ? createThreeParts : createWithoutStore)(context);
