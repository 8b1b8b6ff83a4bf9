// Caches that break a promise in one place each: the simulator must notice, or it judges nothing there.
import type { CacheStats, GetOrSetOptions, LoadContext, MaybePromise, ReadThroughCache, SetOptions } from "@larder/cache-core";
import { type CreateProcess, type PlanLimits, type ProcessContext, simulate } from "@larder/cache-testing";
import { expect, it } from "vitest";
import { createThreeParts, createWithoutStore, maxStalenessMs } from "./simulated-process.ts";

type Cache = ReadThroughCache<unknown>;
type Load = (context: LoadContext<unknown>) => MaybePromise<unknown>;
type Change = (cache: Cache, context: ProcessContext) => object;

const never = new Promise<never>(() => {});
const later = ({ clock }: ProcessContext, ms: number): Promise<void> => new Promise((resolve) => void clock.setTimer(resolve, ms));

/** The product with some of its methods replaced. */
const changed =
  (change: Change): CreateProcess =>
  (context) => {
    const cache = createThreeParts(context);
    // What stands behind a replaced method is asked by its own name.
    const own = new Proxy(cache, {
      get: (target, name) => {
        const found: unknown = Reflect.get(Object.getPrototypeOf(target), name, target);
        return typeof found === "function" ? found.bind(target) : found;
      },
    });
    return Object.assign(cache, change(own, context));
  };

const loading = (change: (load: Load, options: GetOrSetOptions, context: ProcessContext) => [Load, GetOrSetOptions]): CreateProcess =>
  changed((cache, context) => ({
    getOrSet: (key: string, load: Load, options: GetOrSetOptions) => cache.getOrSet(key, ...change(load, options, context)),
  }));

const counting = (change: (stats: CacheStats) => Partial<CacheStats>): CreateProcess =>
  changed((cache) => ({
    stats: () => {
      const stats = cache.stats();
      return { ...stats, ...change(stats) };
    },
  }));

const answering = (change: (answer: { propagated: boolean; pending: number }) => object): CreateProcess =>
  changed((cache) => ({ invalidate: async (key: string) => change(await cache.invalidate(key)) }));

const CALM: PlanLimits = { faults: [] };
/** The same, by one who reads, drops and reads again. */
const LONG: PlanLimits = { faults: [], processes: 1, operations: 150, longestMs: 5_000 };
/** Loaders that fail, and nothing else that goes wrong. */
const LOSSY: PlanLimits = { faults: [], patience: 1 };

const BROKEN: ReadonlyArray<readonly [what: string, create: CreateProcess, shows: RegExp, limits?: PlanLimits]> = [
  ["an invalidation that is never answered", changed(() => ({ invalidate: () => never })), /^I7 .* an invalidation .* took/, CALM],
  [
    "an invalidation that is answered after a fifth of a second",
    changed((cache, context) => ({
      invalidate: async (key: string) => {
        const answer = await cache.invalidate(key);
        await later(context, 200);
        return answer;
      },
    })),
    /^I7 .* an invalidation .* took/,
  ],
  ["a set that is never answered", changed(() => ({ set: () => never })), /^I7 .* a set .* took/],
  ["a delete that is never answered", changed(() => ({ delete: () => never })), /^I7 .* a delete .* took/],
  [
    "a delete that fails",
    changed(() => ({ delete: () => Promise.reject(new Error("broken")) })),
    /^I7 .* a delete failed with Error: broken/,
  ],
  ["a clear that fails", changed(() => ({ clear: () => Promise.reject(new Error("broken")) })), /^I7 .* a clear failed with Error: broken/],
  ["a delete that drops nothing", changed(() => ({ delete: () => true })), /^dropped /, LONG],
  ["a clear that drops nothing", changed(() => ({ clear: () => {} })), /^dropped /, LONG],
  [
    "a loader that is called late",
    changed((cache, context) => ({
      getOrSet: async (key: string, load: Load, options: GetOrSetOptions) => {
        await later(context, 200);
        return cache.getOrSet(key, load, options);
      },
    })),
    /^I7 .* (a loader of k\d was called after|took)/,
    CALM,
  ],
  [
    "a cache that keeps nothing",
    loading((load, options) => [
      (context) => {
        context.skipStore();
        return load(context);
      },
      options,
    ]),
    /^kept nothing of \d+ values/,
    CALM,
  ],
  [
    "a load whose value its callers do not get",
    changed((cache) => ({
      getOrSet: async (key: string, load: Load, options: GetOrSetOptions) => void (await cache.getOrSet(key, load, options)),
    })),
    /^I6 .* gave nothing/,
  ],
  [
    "a load whose error its callers do not get",
    changed((cache) => ({
      getOrSet: async (key: string, load: Load, options: GetOrSetOptions) => {
        try {
          return await cache.getOrSet(key, load, options);
        } catch {
          return undefined;
        }
      },
    })),
    /^I6 .* gave nothing/,
    LOSSY,
  ],
  ["a caller who cannot leave", loading((load, { signal: _, ...options }) => [load, options]), /^I7 .* a getOrSet took/],
  [
    "a caller whose patience counts for nothing",
    loading((load, { timeoutMs: _, ...options }) => [load, options]),
    /^I7 .* a getOrSet took/,
  ],
  ["a refresh that is not one", loading((load, { forceRefresh: _, ...options }) => [load, options]), /^forced /],
  [
    "tags of a set that are lost",
    changed((cache) => ({ set: (key: string, value: unknown, _: SetOptions) => cache.set(key, value) })),
    /^stale /,
  ],
  ["propagation that is claimed", answering((answer) => ({ ...answer, propagated: true })), /^told .* and nobody was told/],
  ["propagation that is denied", answering((answer) => ({ ...answer, propagated: false })), /^told .* not propagated/, CALM],
  ["loads that are counted twice", counting(({ loads }) => ({ loads: loads * 2 })), /^I22 /],
  ["failed loads that are not counted", counting(() => ({ loadErrors: 0 })), /^I22 /, LOSSY],
  ["hits that are counted as misses", counting(({ hits, misses }) => ({ hits: 0, misses: hits + misses })), /^I22 /],
  ["misses that are counted as hits", counting(({ hits, misses }) => ({ hits: hits + misses, misses: 0 })), /^I22 /],
];

const broken = BROKEN.map(([what, create, shows, limits = {}]) => [what, create, shows, limits] as const);

it.each(broken)("the simulator notices %s", async (_, create, shows, limits) => {
  const { failures } = await simulate({ create, maxStalenessMs, readLimitMs: 60, firstSeed: 1, schedules: 2_000, limits });
  expect(
    failures[0]?.violations.some((violation) => shows.test(violation)),
    failures[0]?.violations[0],
  ).toBe(true);
});

it("the simulator knows a process by its bus, whatever else draws tokens there, and judges what it hears", async () => {
  const createDeaf: CreateProcess = (context) => {
    context.random.token();
    const watch: ProcessContext["watch"] = (bus) => {
      const watched = context.watch(bus);
      const join: typeof bus.join = (namespace, listener) => watched.join(namespace, { ...listener, onInvalidation: () => {} });
      return { originId: watched.originId, join, close: () => watched.close() };
    };
    return createWithoutStore({ ...context, watch });
  };
  const report = await simulate({ create: createDeaf, maxStalenessMs, readLimitMs: 60, firstSeed: 1, schedules: 20, limits: CALM });
  expect(report.failures[0]?.violations[0]).toMatch(/^stale .* get(OrSet)? of /);
});
