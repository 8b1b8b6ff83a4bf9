import { hashKey, mixHash } from "./hash-key.ts";
import type { KeyIndex } from "./key-index.ts";

/** Entries of a shard at most, on average: a `Map` of so many grows in two or three milliseconds. Just below a power of two, where a `Map` is fullest. */
const ENTRIES_PER_SHARD = 31_900;
/** Shards where the number of entries is not bounded. */
const UNBOUNDED_SHARDS = 32;

/** How many shards a cache of so many entries needs. 1: no sharding. */
export function shardsFor(maxEntries: number): number {
  return maxEntries === Number.POSITIVE_INFINITY ? UNBOUNDED_SHARDS : Math.ceil(maxEntries / ENTRIES_PER_SHARD);
}

/**
 * Many small `Map`s instead of a large one. A `Map` grows and cleans itself by being copied whole in one call: 79 ms were measured in the
 * middle of a `set` at a million entries, and a thirtieth of it with shards.
 */
export class ShardedIndex implements KeyIndex {
  readonly #shards: ReadonlyArray<Map<string, number>>;

  constructor(shards: number) {
    this.#shards = Array.from({ length: shards }, () => new Map<string, number>());
  }

  find(key: string): number | undefined {
    return this.#shardOf(key).get(key);
  }

  add(key: string, slot: number): void {
    this.#shardOf(key).set(key, slot);
  }

  remove(key: string): void {
    this.#shardOf(key).delete(key);
  }

  hash(key: string): number {
    return hashKey(key);
  }

  clear(): void {
    for (const shard of this.#shards) shard.clear();
  }

  /** By eight characters, four of them from the end. Keys alike in all of them share a shard, which only makes that shard larger. */
  #shardOf(key: string): Map<string, number> {
    const { length } = key;
    let hash = length;
    for (let count = 1; count <= 4; count += 1) {
      hash = Math.imul(hash ^ key.charCodeAt(length - count), 0x01000193);
      hash = Math.imul(hash ^ key.charCodeAt((length * count) >>> 3), 0x01000193);
    }
    return this.#shards[Math.floor(((mixHash(hash) >>> 0) * this.#shards.length) / 4_294_967_296)]!;
  }
}
