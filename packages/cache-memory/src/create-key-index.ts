import { DigestIndex } from "./digest-index.ts";
import type { EntryColumns } from "./entry-columns.ts";
import { type KeyIndex, MapIndex } from "./key-index.ts";
import { ShardedIndex, shardsFor } from "./sharded-index.ts";

/** Chooses the index for a cache of this size and kind of keys. */
export function createKeyIndex(
  options: { readonly maxEntries: number; readonly keys: "text" | "digest" },
  columns: EntryColumns<unknown>,
): KeyIndex {
  if (options.keys === "digest") return new DigestIndex(columns);
  const shards = shardsFor(options.maxEntries);
  return shards === 1 ? new MapIndex() : new ShardedIndex(shards);
}
