import { CacheError } from "@larder/cache-core";

/**
 * A client's error as ours, without what it quotes: an ioredis `ReplyError` carries the command's arguments, and inspecting it prints
 * them. What is kept is the error's code word (`READONLY`, `OOM`, `ECONNREFUSED`) or its class name.
 */
export function toBackendError(error: unknown): CacheError {
  if (CacheError.is(error)) return error;
  if (!(error instanceof Error)) return new CacheError("ERR_CACHE_BACKEND", "Redis failed");
  const { code } = error as { readonly code?: unknown };
  const word = /^-?([A-Z]{2,})\b/.exec(error.message)?.[1];
  return new CacheError("ERR_CACHE_BACKEND", `Redis failed: ${word ?? (typeof code === "string" ? code : error.name)}`);
}
