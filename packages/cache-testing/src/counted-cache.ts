import type { Cache, CacheStats, Lookup, SetOptions } from "@larder/cache-core";

/** Passes everything on to a cache and counts what was asked and answered: what the cache's own counters must add up to. */
export class CountedCache implements Cache<unknown> {
  /** Keys read by `get`, `lookup` and `getMany`. */
  reads = 0;
  /** Sets that were answered with `true`. */
  stored = 0;
  /** Sets that were answered with `false`. */
  refused = 0;
  readonly #cache: Cache<unknown>;

  constructor(cache: Cache<unknown>) {
    this.#cache = cache;
  }

  async get(key: string): Promise<unknown> {
    const value = await this.#cache.get(key);
    this.reads += 1;
    return value;
  }

  async lookup(key: string): Promise<Lookup<unknown>> {
    const found = await this.#cache.lookup(key);
    this.reads += 1;
    return found;
  }

  async getMany(keys: readonly string[]): Promise<unknown[]> {
    const values = await this.#cache.getMany(keys);
    this.reads += keys.length;
    return values;
  }

  async set(key: string, value: unknown, options?: SetOptions): Promise<boolean> {
    return this.#count(await this.#cache.set(key, value, options));
  }

  async setMany(entries: ReadonlyArray<readonly [key: string, value: unknown]>, options?: SetOptions): Promise<boolean[]> {
    const answers = await this.#cache.setMany(entries, options);
    for (const answer of answers) this.#count(answer);
    return answers;
  }

  async has(key: string): Promise<boolean> {
    return this.#cache.has(key);
  }

  async delete(key: string): Promise<boolean> {
    return this.#cache.delete(key);
  }

  async deleteMany(keys: readonly string[]): Promise<number> {
    return this.#cache.deleteMany(keys);
  }

  async clear(): Promise<void> {
    await this.#cache.clear();
  }

  async size(): Promise<number> {
    return this.#cache.size();
  }

  stats(): CacheStats {
    return this.#cache.stats();
  }

  async close(): Promise<void> {
    await this.#cache.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cache[Symbol.asyncDispose]();
  }

  #count(isStored: boolean): boolean {
    if (isStored) this.stored += 1;
    else this.refused += 1;
    return isStored;
  }
}
