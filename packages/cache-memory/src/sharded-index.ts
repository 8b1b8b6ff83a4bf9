import { hashKey } from "./hash-key.ts";
import type { KeyIndex } from "./key-index.ts";

/** Entries of a shard at most, on average: a `Map` of so many grows in two or three milliseconds. Just below a power of two, where a `Map` is fullest. */
const ENTRIES_PER_SHARD = 31_900;
/** Shards where the number of entries is not bounded. */
const UNBOUNDED_SHARDS = 32;
/** Shards at most, for 130 million entries: a larger bound is one that bytes or memory come before. */
const MAX_SHARDS = 4_096;

/** How many shards a cache of so many entries needs, a power of two. 1: no sharding. */
export function shardsFor(maxEntries: number): number {
  if (maxEntries === Number.POSITIVE_INFINITY) return UNBOUNDED_SHARDS;
  return Math.min(MAX_SHARDS, 2 ** Math.ceil(Math.log2(Math.max(1, maxEntries / ENTRIES_PER_SHARD))));
}

/**
 * Many small `Map`s instead of a large one. A `Map` grows and cleans itself by being copied whole in one call: 79 ms were measured in the
 * middle of a `set` at a million entries, and a thirtieth of it with shards.
 */
export class ShardedIndex implements KeyIndex {
  readonly #shards: ReadonlyArray<Map<string, number>>;
  /** What is left of 32 bits of hash after it is the number of a shard. */
  readonly #shift: number;

  /** @param shards a power of two, at least 2 */
  constructor(shards: number) {
    this.#shift = 32 - Math.log2(shards);
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

  /** By four characters, three of them from the end. Keys alike in all of them share a shard, which only makes that shard larger. */
  #shardOf(key: string): Map<string, number> {
    const { length } = key;
    let hash = key.charCodeAt(length - 1) ^ (key.charCodeAt(length - 2) << 8);
    hash ^= (key.charCodeAt(length - 3) << 16) ^ (key.charCodeAt(length >>> 1) << 21);
    return this.#shards[Math.imul(hash, 0x9e3779b1) >>> this.#shift]!;
  }
}
