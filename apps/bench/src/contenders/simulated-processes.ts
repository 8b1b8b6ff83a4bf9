import { type StoredEntry, TieredCache } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import type { CreateProcess } from "@larder/cache-testing";
import { RedisInvalidationBus } from "@larder/pubsub-invalidation";
import { createReferenceDesign } from "./reference-design.ts";

/** Milliseconds; short, so that schedules are. */
export const SIMULATED_STALENESS_MS = 600;

/** What the simulator is run over, by the name in the table. A bus is made first: its origin is the first token drawn. */
export const simulatedProcesses: Readonly<Record<string, CreateProcess>> = {
  "larder: memory, Redis, bus": ({ clock, random, busPort, redisPort, watch, ...settings }) => {
    const { ttlMs, lanes, maxEntries, deadlineMs } = settings;
    const bus = watch(new RedisInvalidationBus({ port: busPort, clock, random, lanes }));
    const timeout = deadlineMs === undefined ? {} : { timeoutMs: deadlineMs };
    const l2 = new RedisCache<unknown>({ port: redisPort, namespace: "sim", lanes, ttlMs, clock, random, ...timeout });
    const l1 = new MemoryCache<StoredEntry<unknown>>({ clock, maxEntries });
    const budget = deadlineMs === undefined ? {} : { backendBudgetMs: deadlineMs };
    return new TieredCache<unknown>({ l1, l2, bus, clock, random, ttlMs, maxStalenessMs: SIMULATED_STALENESS_MS, jitter: 0, ...budget });
  },
  "larder: memory, bus": ({ clock, random, busPort, watch, ttlMs, lanes, maxEntries }) => {
    const bus = watch(new RedisInvalidationBus({ port: busPort, clock, random, lanes }));
    const l1 = new MemoryCache<StoredEntry<unknown>>({ clock, maxEntries });
    return new TieredCache<unknown>({ l1, bus, namespace: "sim", clock, random, ttlMs, maxStalenessMs: SIMULATED_STALENESS_MS, jitter: 0 });
  },
  "reference design (S1)": createReferenceDesign,
};
