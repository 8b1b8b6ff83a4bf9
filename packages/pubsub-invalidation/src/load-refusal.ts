import { CacheError } from "@larder/cache-core";

/** Why ioredis cannot be had for a `url`: it is not installed, or it is and cannot be imported, as where Jest runs a CommonJS build without `import()`. */
export function loadRefusal(error: unknown): CacheError {
  if (CacheError.is(error)) return error;
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  const isMissing = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
  const refusal = isMissing
    ? "url needs ioredis 5.11 or later: install it, or pass client"
    : "url needs ioredis, which could not be imported here (Jest refuses import() in CommonJS): pass client";
  return new CacheError("ERR_CACHE_INVALID_OPTION", refusal, { cause: error });
}
