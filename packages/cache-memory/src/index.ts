// For users.
export type { CacheDump, DumpedEntry } from "./cache-dump.ts";
export { MemoryCache } from "./memory-cache.ts";
export type { MemoryCacheOptions } from "./options.ts";
export type { EntryRemoved, RemovalCause, RemovalListener } from "./removal.ts";
// For those who account for entries with a `sizeOf` of their own.
export { bytesOfEntry, bytesOfString } from "./size-of.ts";
export type { ValueMode } from "./value-mode.ts";
