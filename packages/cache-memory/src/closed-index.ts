import { CacheError } from "@larder/cache-core";
import type { KeyIndex } from "./key-index.ts";

function refuse(): never {
  throw new CacheError("ERR_CACHE_CLOSED", "the cache has been closed");
}

/** Stands in for the index of a closed cache: whoever asks is told so, and the reads of open caches need not check. */
export const closedIndex: KeyIndex = { find: refuse, add: refuse, remove: refuse, hash: refuse, check: refuse, clear: refuse };
