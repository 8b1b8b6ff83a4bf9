import { CacheError } from "../errors.ts";

/** A body that cannot be keyed safely. The reason never quotes the body: it may hold secrets, and it ends up in logs. */
export function invalidRequest(reason: string): CacheError {
  return new CacheError("ERR_CACHE_INVALID_REQUEST", `The request body cannot be keyed: ${reason}`);
}
