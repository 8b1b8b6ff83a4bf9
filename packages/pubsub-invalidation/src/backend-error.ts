import { CacheError } from "@larder/cache-core";

/** The code word of a client's error (`READONLY`, `OOM`, `ECONNREFUSED`), which quotes nothing; `undefined` when it has none. */
export function wordOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, lastNodeError } = error as { readonly code?: unknown; readonly lastNodeError?: unknown };
  // A cluster's client says that no node could be used, and beside it why the last one could not.
  if (lastNodeError) return wordOf(lastNodeError);
  // Before Redis 7 a script's error begins with where in the script it is: `@user_script: 3: -READONLY You …`.
  return /^(?:.*_script: \d+: )?-?([A-Z][A-Z_]+)\b/.exec(error.message)?.[1] ?? (typeof code === "string" ? code : undefined);
}

/**
 * A client's error as ours, without what it quotes: an ioredis `ReplyError` carries the command's arguments, and inspecting it prints
 * them. What is kept is its code word or its class name.
 */
export function toBackendError(error: unknown): CacheError {
  if (CacheError.is(error)) return error;
  const name = wordOf(error) ?? (error instanceof Error ? error.name : undefined);
  return new CacheError("ERR_CACHE_BACKEND", name === undefined ? "Redis failed" : `Redis failed: ${name}`);
}
