import type { InvalidationResult, ReadThroughCache } from "@larder/cache-core";
import { RedisCache } from "@larder/cache-redis";
import type { CreateProcess } from "@larder/cache-testing";
import { RedisInvalidationBus } from "@larder/pubsub-invalidation";
import { createTiered } from "./simulated-tiers.ts";
import { sumStats } from "./sum-stats.ts";

type Cache = ReadThroughCache<unknown>;

/** The first key has a cache of its own, beside that of the others. */
export const namespaceOf = (key: string): "first" | "rest" => (key === "k0" ? "first" : "rest");

/** The key that a call is about, or the first of several: the simulator asks for one at a time. */
const keyOf = (subject: unknown): string => (Array.isArray(subject) ? keyOf(subject[0]) : String(subject));

/** One who keeps each key in the cache of its namespace, and tells both of what concerns more than a key. */
function routeByKey(caches: Readonly<Record<"first" | "rest", Cache>>): Cache {
  const { first, rest } = caches;
  let toldBoth = 0;
  const tellBoth = async (tell: (cache: Cache) => Promise<InvalidationResult>): Promise<InvalidationResult> => {
    toldBoth += 1;
    const [one, other] = await Promise.all([tell(first), tell(rest)]);
    return { propagated: one.propagated && other.propagated, pending: one.pending + other.pending };
  };
  const routed: Record<PropertyKey, unknown> = {
    stats: () => {
      const sums = sumStats([first.stats(), rest.stats()]);
      return { ...sums, invalidations: sums.invalidations - toldBoth };
    },
    invalidateTag: (tag: string) => tellBoth((cache) => cache.invalidateTag(tag)),
    invalidateMatching: (pattern: string) => tellBoth((cache) => cache.invalidateMatching(pattern)),
    invalidateAll: () => tellBoth((cache) => cache.invalidateAll()),
    clear: () => Promise.all([first.clear(), rest.clear()]),
  };
  return new Proxy(first, {
    get: (_, name) => {
      if (name in routed) return routed[name];
      return (subject: unknown, ...others: unknown[]) => {
        const cache = caches[namespaceOf(keyOf(subject))];
        const method = Reflect.get(cache, name) as (...args: unknown[]) => unknown;
        return method.call(cache, subject, ...others);
      };
    },
  });
}

/** Two caches of a process with a namespace each, over one bus and one connection to Redis, as a gateway has them. */
export const createTwoNamespaces: CreateProcess = (context) => {
  const { clock, random, busPort, redisPort, watch, ttlMs, lanes } = context;
  const bus = watch(new RedisInvalidationBus({ port: busPort, clock, random, lanes }));
  const create = (namespace: string): Cache => {
    const l2 = new RedisCache<unknown>({ port: redisPort, namespace, lanes, ttlMs, clock, random });
    return createTiered(context, { bus, l2 }, namespace);
  };
  return routeByKey({ first: create("first"), rest: create("rest") });
};
