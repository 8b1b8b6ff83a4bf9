export type { CacheOverKeyvOptions, KeyvLike } from "./cache-over-keyv.ts";
export { CacheOverKeyv } from "./cache-over-keyv.ts";
export type { KeyvStoreOptions } from "./keyv-store.ts";
export { KeyvStore } from "./keyv-store.ts";
