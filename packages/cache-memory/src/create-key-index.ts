import { type KeyIndex, MapIndex } from "./key-index.ts";

/** Chooses the index for a cache of this size and kind of keys. */
export function createKeyIndex(_options: { readonly maxEntries: number; readonly keys: "text" | "digest" }): KeyIndex {
  return new MapIndex();
}
