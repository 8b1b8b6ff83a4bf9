import type { GetOrSetOptions, Loader, ReadThroughCache } from "@larder/cache-core";
import type { DescribeReadThroughCacheOptions, ReadThroughPair } from "./describe-read-through-options.ts";
import { Suite } from "./suite.ts";

/** The parts of the suite of read-through caches are written with it. Parts take its members out of it. */
export class ReadThroughSuite extends Suite<DescribeReadThroughCacheOptions> {
  /** The step of all times. */
  readonly unit: number = this.options.ttlResolutionMs ?? 1;

  /** Runs a test on caches of its own. */
  readonly withPair = async (run: (pair: ReadThroughPair) => Promise<void>): Promise<void> => {
    const pair = await this.options.create();
    try {
      await run(pair);
    } finally {
      await pair.a.close();
      await pair.b?.close();
      await pair.dispose?.();
    }
  };

  /** The same where one cache will do. */
  readonly withCache = (run: (cache: ReadThroughCache<unknown>) => Promise<void>): Promise<void> => this.withPair(({ a }) => run(a));
}

/** A read that gives a promise whatever it answers with, or throws; times to live are not shortened by chance, and long, but for what is said. */
export function load(
  cache: ReadThroughCache<unknown>,
  key: string,
  loader: Loader<unknown>,
  options: GetOrSetOptions = {},
): Promise<unknown> {
  return watched((async () => cache.getOrSet(key, loader, { ttlMs: Infinity, jitter: 0, ...options }))());
}

/** The error that a promise is rejected with. @throws {Error} when it is not */
export function errorOf(promise: Promise<unknown>): Promise<unknown> {
  const told = promise.then(
    (value) => {
      throw new Error(`it was answered with ${JSON.stringify(value)}`);
    },
    (error: unknown) => error,
  );
  return watched(told);
}

/** A test that ends before it has asked for an answer has failed already: the answer must not fail the run as well, as an unhandled rejection. */
function watched<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
