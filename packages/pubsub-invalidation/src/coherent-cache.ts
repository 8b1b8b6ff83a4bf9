import {
  type GetOrSetOptions,
  type LoadContext,
  type Loader,
  type MaybePromise,
  TieredCache,
  type TieredCacheOptions,
} from "@larder/cache-core";

/** A `TieredCache` whose `get` also takes a loader. */
export class CoherentCache<V> extends TieredCache<V> {
  /** The live value, or `undefined` on a miss. */
  override get(key: string): MaybePromise<V | undefined>;
  /** The same as `getOrSet`: the live value, else what the loader makes. At once on a first-tier hit. */
  override get(key: string, loader: (context: LoadContext<V>) => MaybePromise<V>, options?: GetOrSetOptions): MaybePromise<V>;
  override get(key: string, loader: Loader<V>, options?: GetOrSetOptions): MaybePromise<V | undefined>;
  override get(key: string, loader?: Loader<V>, options?: GetOrSetOptions): MaybePromise<V | undefined> {
    return loader === undefined ? super.get(key) : this.getOrSet(key, loader, options);
  }
}

/**
 * Composes caches that stay coherent over processes: a first tier in memory, a second tier if there is one, and a bus if there is one.
 * Takes instances, which stay the caller's to close. Without a bus everything works in this process alone and staleness is bounded by the
 * time to live. A bus may be given before its Redis is there: entries are then served for `maxStalenessMs` from their load, until the
 * first proof.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION naming the option that is out of range
 */
export function createCoherentCache<V>(options: TieredCacheOptions<V>): CoherentCache<V> {
  return new CoherentCache<V>(options);
}
