import type { MaybePromise, StoredEntry } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import {
  type FaultProxy,
  type RedisServer,
  type RedisServerOptions,
  startFaultProxy,
  startRedisServer,
  waitUntil,
} from "@larder/cache-testing";
import { type CoherentCache, createCoherentCache, RedisInvalidationBus } from "../src/index.ts";

/** Small times, so that what takes seconds in service takes a fraction here. */
export const HEARTBEAT_MS = 40;
export const MAX_STALENESS_MS = 300;

/** One process's worth of instances, each connection through a proxy of its own. */
export interface FleetMember {
  readonly cache: CoherentCache<number>;
  readonly bus: RedisInvalidationBus;
  readonly busProxy: FaultProxy;
  readonly storeProxy: FaultProxy;
  /** What the cache gives; loads what the database holds when the load begins. */
  read(key?: string): Promise<number | undefined>;
  /** Reads with a load that is answered by hand. */
  readSlowly(key?: string): { readonly answer: MaybePromise<number | undefined>; readonly begun: Promise<void>; finish(): void };
  /** Commits the next version, then invalidates. */
  write(key?: string): Promise<{ readonly propagated: boolean; readonly pending: number }>;
}

export interface Fleet {
  readonly server: RedisServer;
  /** The truth: versions by key. */
  readonly database: Map<string, number>;
  readonly a: FleetMember;
  readonly b: FleetMember;
  close(): Promise<void>;
}

async function member(server: RedisServer, database: Map<string, number>, hasSecondTier: boolean): Promise<FleetMember> {
  const [busProxy, storeProxy] = [await startFaultProxy(server.port), await startFaultProxy(server.port)];
  const bus = new RedisInvalidationBus({ url: busProxy.url, heartbeatMs: HEARTBEAT_MS });
  const l2 = hasSecondTier ? new RedisCache<number>({ namespace: "fleet", url: storeProxy.url, maxLoadMs: 60_000 }) : undefined;
  const l1 = new MemoryCache<StoredEntry<number>>({ maxEntries: 1_000 });
  const settings = { namespace: "fleet", ttlMs: 600_000, maxStalenessMs: MAX_STALENESS_MS, backendBudgetMs: 200 };
  const cache = createCoherentCache<number>({ l1, bus, ...settings, ...(l2 && { l2 }) });
  const truth = (key: string): number => database.get(key) ?? 0;
  return {
    cache,
    bus,
    busProxy,
    storeProxy,
    read: async (key = "k") => cache.get(key, () => truth(key)),
    readSlowly(key = "k") {
      let finish = (): void => {};
      let begin = (): void => {};
      const begun = new Promise<void>((resolve) => {
        begin = resolve;
      });
      const answer = cache.get(key, () => {
        const value = truth(key);
        begin();
        return new Promise<number>((resolve) => {
          finish = () => resolve(value);
        });
      });
      return { answer, begun, finish: () => finish() };
    },
    write(key = "k") {
      database.set(key, truth(key) + 1);
      return cache.invalidate(key);
    },
    async [Symbol.asyncDispose]() {
      await cache.close();
      await l2?.close();
      bus.close();
      await busProxy.close();
      await storeProxy.close();
    },
  } as FleetMember;
}

/** Two members over a server of their own, in step. */
export async function startFleet(hasSecondTier: boolean, options: RedisServerOptions = {}): Promise<Fleet> {
  const server = await startRedisServer(options);
  const database = new Map<string, number>();
  const [a, b] = [await member(server, database, hasSecondTier), await member(server, database, hasSecondTier)];
  await Promise.all([a.cache.ready(), b.cache.ready()]);
  return {
    server,
    database,
    a,
    b,
    async close() {
      for (const one of [a, b]) await (one as FleetMember & AsyncDisposable)[Symbol.asyncDispose]();
      await server.stop();
    },
  };
}

/** Resolves when a member has proof that reaches past this call. */
export async function caughtUp(...members: FleetMember[]): Promise<void> {
  const proofs = members.map(({ bus }) => bus.stats().proofs);
  await waitUntil("fresh proof", () =>
    members.every(({ bus }, index) => bus.stats().proofs >= (proofs[index] as number) + 2 && bus.stats().lastProofAgeMs < MAX_STALENESS_MS),
  );
}
