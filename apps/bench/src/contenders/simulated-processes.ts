import { type MaybePromise, MemoryInvalidationBus, type ReadThroughCache, type StoredEntry, TieredCache } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import { createCompression } from "@larder/cache-redis/compression";
import { createSealing } from "@larder/cache-redis/sealing";
import {
  CLOCK_FAULTS,
  type CreateProcess,
  DEMOTION_FAULTS,
  FLOOD_FAULTS,
  type PlanLimits,
  REFUSAL_FAULTS,
  type ScheduleOptions,
  varyCalls,
} from "@larder/cache-testing";
import { RedisInvalidationBus } from "@larder/pubsub-invalidation";
import { createBodySigner } from "@larder/pubsub-invalidation/signer";
import { createReferenceDesign } from "./reference-design.ts";
import { createTwoNamespaces, namespaceOf } from "./simulated-namespaces.ts";
import { createTiered, SIMULATED_STALENESS_MS } from "./simulated-tiers.ts";
import { createSimulatedWorkerBus, WORKER_FAULTS } from "./simulated-worker-bus.ts";
import { sumStats } from "./sum-stats.ts";

/** What the simulator is run over, and within which plans. */
export interface SimulatedContender extends Pick<ScheduleOptions, "create" | "maxLoadMs" | "mayRefuse" | "namespaceOf" | "isOrderly"> {
  readonly limits?: PlanLimits;
}

/** A bus is made first: its origin is the first token drawn. */
const createThreeParts: CreateProcess = ({ clock, random, busPort, redisPort, watch, ...settings }) => {
  const { ttlMs, lanes, maxEntries, deadlineMs } = settings;
  const bus = watch(new RedisInvalidationBus({ port: busPort, clock, random, lanes }));
  const timeout = deadlineMs === undefined ? {} : { timeoutMs: deadlineMs };
  const l2 = new RedisCache<unknown>({ port: redisPort, namespace: "sim", lanes, ttlMs, clock, random, ...timeout });
  const l1 = new MemoryCache<StoredEntry<unknown>>({ clock, maxEntries });
  const budget = deadlineMs === undefined ? {} : { backendBudgetMs: deadlineMs };
  return new TieredCache<unknown>({ l1, l2, bus, clock, random, ttlMs, maxStalenessMs: SIMULATED_STALENESS_MS, jitter: 0, ...budget });
};

const createWithoutStore: CreateProcess = (context) => {
  const { busPort, clock, random, lanes, watch } = context;
  return createTiered(context, { bus: watch(new RedisInvalidationBus({ port: busPort, clock, random, lanes })) });
};

/** Some have a second tier and some have none, and may have it after a restart: as while a fleet is given one. */
const createMixed: CreateProcess = (context) => ((context.index + context.life) % 2 === 0 ? createThreeParts : createWithoutStore)(context);

const sealing = createSealing({ current: { id: "simulated", secret: new Uint8Array(32).fill(7) } });
const compression = createCompression({ minBytes: 1 });
const signer = createBodySigner("a secret for the simulator");

/** Shorter than the longest loads of most schedules. */
const NARROW_LOAD_MS = 300;

/** Narrow bounds, short logs, values sealed, compressed and cloned, messages signed, calls of every kind. */
const createVaried: CreateProcess = ({ clock, random, busPort, redisPort, watch, ttlMs, lanes, maxEntries }) => {
  const shared = { clock, random, lanes, logLength: 3 };
  const bus = watch(new RedisInvalidationBus({ ...shared, port: busPort, signer, timeoutMs: 100 }));
  const bounds = { timeoutMs: 20, writeTimeoutMs: 40, maxInFlight: 6, maxLoadMs: NARROW_LOAD_MS, failureThreshold: 1 };
  const l2 = new RedisCache<unknown>({ ...shared, ...bounds, port: redisPort, namespace: "sim", ttlMs, sealing, compression });
  const l1 = new MemoryCache<StoredEntry<unknown>>({ clock, maxEntries, values: "cloned" });
  const limits = { maxStalenessMs: SIMULATED_STALENESS_MS, maxPendingInvalidations: 2 };
  return varyCalls(new TieredCache<unknown>({ l1, l2, bus, clock, random, ttlMs, ...limits }), random);
};

/** Two caches of one process, on a bus within it. Each call is one's or the other's. */
const createPair: CreateProcess = (context) => {
  const { random } = context;
  const bus = new MemoryInvalidationBus(random);
  const caches = [createTiered(context, { bus }), createTiered(context, { bus })] as const;
  return new Proxy<ReadThroughCache<unknown>>(caches[0], {
    get: (_, name) => {
      if (name === "stats") return () => sumStats([caches[0].stats(), caches[1].stats()]);
      const cache = caches[random.next() < 0.5 ? 0 : 1];
      const own: unknown = Reflect.get(cache, name);
      return typeof own === "function" ? own.bind(cache) : own;
    },
  });
};

/** Closes what the cache stands on when it is closed, as whoever handed it in does. */
function closeWith(cache: ReadThroughCache<unknown>, closeParts: () => MaybePromise<void>): ReadThroughCache<unknown> {
  const close = async (): Promise<void> => {
    await cache.close();
    await closeParts();
  };
  return new Proxy(cache, {
    get: (target, name) => {
      const own: unknown = name === "close" ? close : Reflect.get(target, name);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
}

const createOrderly: CreateProcess = (context) => {
  const { clock, random, busPort, redisPort, watch, ttlMs, lanes } = context;
  const bus = watch(new RedisInvalidationBus({ port: busPort, clock, random, lanes }));
  const l2 = new RedisCache<unknown>({ port: redisPort, namespace: "sim", lanes, ttlMs, clock, random });
  return closeWith(createTiered(context, { bus, l2 }), async () => {
    await l2.close();
    await bus.close();
  });
};

/** The workers of one machine, through the hub in their primary process. */
const createWorker: CreateProcess = (context) => createTiered(context, { bus: createSimulatedWorkerBus(context) });
const createWorkerWithStore: CreateProcess = (context) => {
  const { redisPort, lanes, ttlMs, clock, random } = context;
  const bus = createSimulatedWorkerBus(context);
  const l2 = new RedisCache<unknown>({ port: redisPort, namespace: "sim", lanes, ttlMs, clock, random });
  return createTiered(context, { bus, l2 });
};

const narrow = { create: createVaried, maxLoadMs: NARROW_LOAD_MS, mayRefuse: true };

/** By the name in the table. */
export const simulatedProcesses: Readonly<Record<string, SimulatedContender>> = {
  "larder: memory, Redis, bus": { create: createThreeParts },
  "larder: memory, bus": { create: createWithoutStore },
  "larder: the bus on a server of its own": { create: createThreeParts, limits: { isApart: true } },
  "larder: calls of every kind, narrow bounds": { ...narrow },
  "larder: calls of every kind, the bus on a server of its own": {
    ...narrow,
    limits: { isApart: true },
  },
  "larder: two namespaces on a bus": { create: createTwoNamespaces, namespaceOf },
  "larder: a cluster of two shards": { create: createThreeParts, limits: { shards: 2, lanes: 4 } },
  "larder: a server whose clock is set": { create: createThreeParts, limits: { faults: CLOCK_FAULTS } },
  "larder: a master that is demoted": { create: createThreeParts, limits: { faults: DEMOTION_FAULTS, patience: 0.1 } },
  "larder: a server that refuses or hangs": { create: createThreeParts, limits: { faults: REFUSAL_FAULTS } },
  "larder: floods of messages": { create: createThreeParts, limits: { faults: FLOOD_FAULTS } },
  "larder: some with a second tier, some without": { create: createMixed },
  "larder: many tags and patterns": { create: createThreeParts, limits: { operations: 60, broad: 0.4, longestMs: 2_200 } },
  "larder: servers and faults of every kind": { create: createThreeParts, limits: { isDrawn: true } },
  "larder: calls, servers and faults of every kind": { ...narrow, limits: { isDrawn: true } },
  "larder: clients that send again": { create: createThreeParts, limits: { resends: true } },
  "larder: processes that close before they end": { create: createOrderly, isOrderly: true },
  "larder: two caches of a process, a bus within it": { create: createPair, limits: { processes: 1 } },
  "larder: workers of a machine": { create: createWorker, limits: { faults: WORKER_FAULTS } },
  "larder: workers of a machine, Redis": { create: createWorkerWithStore, limits: { faults: WORKER_FAULTS, isApart: true } },
  "reference design (S1)": { create: createReferenceDesign },
};
