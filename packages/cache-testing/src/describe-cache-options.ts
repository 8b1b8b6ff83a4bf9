import type { Cache, MaybePromise } from "@larder/cache-core";
import type { TestApi } from "./test-api.ts";

/** What a store may lack. Declared with a reason, so that nothing is skipped in silence. */
export interface MissingCapability {
  readonly capability:
    | "size"
    | "ttl"
    /** Keys with halves of surrogate pairs, which no UTF-8 has. */
    | "ill-formed-keys"
    | "undefined-refused"
    | "bad-ttl-refused"
    | "bad-names-refused"
    | "closed-refused";
  /** Why: stands in the title of the skipped test. */
  readonly reason: string;
}

/** How the suite gets at an implementation. */
export interface DescribeCacheOptions {
  /** A new, empty cache of its own: nothing else writes to it. `ttlMs` is its default time to live, when given. */
  readonly create: (options: { readonly ttlMs?: number }) => MaybePromise<Cache<unknown>>;
  /** Lets time pass: a manual clock moves, a server is waited for. */
  readonly advance: (ms: number) => MaybePromise<void>;
  /** The coarsest step in which the implementation tells times to live apart, in milliseconds; times in the suite are multiples of it. @default 1 */
  readonly ttlResolutionMs?: number;
  /** A value that is too large for the caches that `create` makes. @default none: the test of a refused `set` is skipped, and says so */
  readonly tooLarge?: unknown;
  /** What the implementation does not do. @default nothing */
  readonly lacks?: readonly MissingCapability[];
  /** The test functions, where vitest's own are not wanted (a CommonJS build, another runner with the same API). @default vitest's */
  readonly testApi?: TestApi;
}
