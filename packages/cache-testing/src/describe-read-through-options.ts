import type { MaybePromise, ReadThroughCache } from "@larder/cache-core";
import type { TestApi } from "./test-api.ts";

/** One read-through cache as two processes have it, made for one test. */
export interface ReadThroughPair {
  readonly a: ReadThroughCache<unknown>;
  /** Of the same name as `a`: told of what `a` invalidates. Left out where a cache is of one process alone. */
  readonly b?: ReadThroughCache<unknown>;
  /** Releases what is below the caches, which are closed already. */
  dispose?(): MaybePromise<void>;
}

/** How the suite gets at an implementation. */
export interface DescribeReadThroughCacheOptions {
  /** New, empty caches, ready for use: nothing else writes to them. */
  readonly create: () => MaybePromise<ReadThroughPair>;
  /** Lets time pass: a manual clock moves, a server is waited for. */
  readonly advance: (ms: number) => MaybePromise<void>;
  /** The coarsest step in which the implementation tells times apart, in milliseconds; times in the suite are multiples of it. @default 1 */
  readonly ttlResolutionMs?: number;
  /** The test functions, where vitest's own are not wanted. @default vitest's */
  readonly testApi?: TestApi;
}
