import { fourOf, hashKey } from "./hash-key.ts";
import type { KeyIndex } from "./key-index.ts";

/**
 * Entries that one `Map` may have: so many are copied when it grows or cleans itself, once in as many sets and in six to eight milliseconds, which is no
 * more than the collector's own pauses. A read that must choose a shard first waits longer for memory. (Measured at 100,000 entries, to a bare `Map`: a hit
 * is 0.87 in seven shards and 0.90 to 0.95 in one `Map`, of a string that was asked for before 0.59 and 0.82 to 0.91. The longest of 600,000 sets, three
 * times each: 9 to 16 ms in shards, 6 to 10 in one `Map`.)
 */
const ENTRIES_OF_ONE = 100_000;
/**
 * Entries of a shard where there are several, on average. A `Map` has room for a power of two, and doubles it when more than half are live as it fills
 * up. An entry weighs the least just below that half; what is left below it is for shards that chance makes larger. (Measured: of a million entries each
 * weighs 179.7 bytes in 63 shards and 180.8 in 32; of 600,000, which a power of two of shards fits badly, 182 in 38 and 222 in 32.)
 */
const ENTRIES_PER_SHARD = 15_900;
/** Shards where the number of entries is not bounded. */
const UNBOUNDED_SHARDS = 64;
/** Shards at most, for 130 million entries: a larger bound is one that bytes or memory come before. */
const MAX_SHARDS = 8_192;

/** How many shards a cache of so many entries needs. 1: no sharding. */
export function shardsFor(maxEntries: number): number {
  if (maxEntries <= ENTRIES_OF_ONE) return 1;
  return maxEntries === Infinity ? UNBOUNDED_SHARDS : Math.min(MAX_SHARDS, Math.ceil(maxEntries / ENTRIES_PER_SHARD));
}

/**
 * Many small `Map`s instead of a large one. A `Map` grows and cleans itself by being copied whole in one call: 79 ms were measured in the
 * middle of a `set` at a million entries. A shard is copied in 1.2 ms.
 */
export class ShardedIndex implements KeyIndex {
  readonly #shards: ReadonlyArray<Map<string, number>>;

  /** @param shards from 2 to 65,536 */
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

  #shardOf(key: string): Map<string, number> {
    return this.#shards[shardOf(key, this.#shards.length)]!;
  }
}

/**
 * The number of a key's shard, by eight characters: ids stand at a key's end, or in its middle. Keys alike in all of them share a shard, which only
 * makes that shard larger. @param shards how many there are, at most 65,536
 */
export function shardOf(key: string, shards: number): number {
  const { length } = key;
  const hash = Math.imul(fourOf(key, length - 4, 1), 0x9e3779b1) + fourOf(key, (length >>> 1) - 2, 1);
  return ((Math.imul(hash, 0x85ebca6b) >>> 16) * shards) >>> 16;
}
