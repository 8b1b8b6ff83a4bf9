import type { FencedStore, MaybePromise } from "@larder/cache-core";
import type { TestApi } from "./test-api.ts";

/** One shared store as two processes see it, made for one test. */
export interface StorePair {
  readonly a: FencedStore<unknown>;
  /** Sees what `a` stores. */
  readonly b: FencedStore<unknown>;
  /** Releases everything; the stores are closed already. */
  dispose?(): MaybePromise<void>;
}

/** How the suite gets at an implementation. */
export interface DescribeStoreOptions {
  /** Two views of one new, empty store, ready for use: nothing else writes to it. */
  readonly create: () => MaybePromise<StorePair>;
  /** Lets time pass: a manual clock moves, a server is waited for. */
  readonly advance: (ms: number) => MaybePromise<void>;
  /** The coarsest step in which the implementation tells times to live apart, in milliseconds; times in the suite are multiples of it. @default 1 */
  readonly ttlResolutionMs?: number;
  /** A value that is too large for the stores that `create` makes. @default none: the test of it is skipped, and says so */
  readonly tooLarge?: unknown;
  /** A value that they cannot encode. @default a function */
  readonly uncodable?: unknown;
  /** Time for one call in milliseconds. @default 2000 */
  readonly callMs?: number;
  /** The test functions, where vitest's own are not wanted. @default vitest's */
  readonly testApi?: TestApi;
}
