/** Why a cache operation failed. Stable across releases: branch on this, not on the message. */
export type CacheErrorCode =
  | "ERR_CACHE_CLOSED" // used after close()
  | "ERR_CACHE_INVALID_OPTION" // an option is out of range; thrown by constructors and calls, naming option and value
  | "ERR_CACHE_INVALID_REQUEST" // a request body cannot be keyed safely: malformed, too deep, or ambiguous
  | "ERR_CACHE_TIMEOUT" // a load passed its timeoutMs
  | "ERR_CACHE_ABORTED" // the caller's signal, or all callers, gave up
  | "ERR_CACHE_CODEC" // a value could not be encoded or decoded
  | "ERR_CACHE_BACKEND"; // the store behind the cache failed; `cause` is the client's error, stripped of values

/** All codes, for exhaustive handling and for the test that holds the documentation to them. */
export const cacheErrorCodes: readonly CacheErrorCode[] = [
  "ERR_CACHE_CLOSED",
  "ERR_CACHE_INVALID_OPTION",
  "ERR_CACHE_INVALID_REQUEST",
  "ERR_CACHE_TIMEOUT",
  "ERR_CACHE_ABORTED",
  "ERR_CACHE_CODEC",
  "ERR_CACHE_BACKEND",
];

/** What a `CacheError` carries beside code and message. */
export interface CacheErrorDetails {
  /** Whether the same call may succeed later. @default true for ERR_CACHE_BACKEND and ERR_CACHE_TIMEOUT, else false */
  readonly retryable?: boolean;
  /** The error underneath. Never one that quotes values: see `CacheErrorCode`. */
  readonly cause?: unknown;
}

/** The one error class of larder. A loader's own errors are not wrapped in it: they reach every waiter as they were thrown. */
export class CacheError extends Error {
  readonly code: CacheErrorCode;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** A string-named mark instead of `instanceof`: an ESM and a CJS copy of this package may both be loaded. */
  readonly "~cacheError": true = true;

  constructor(code: CacheErrorCode, message: string, details: CacheErrorDetails = {}) {
    super(`[${code}] ${message}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "CacheError";
    this.code = code;
    this.retryable = details.retryable ?? (code === "ERR_CACHE_BACKEND" || code === "ERR_CACHE_TIMEOUT");
  }

  /** Like `instanceof`, and also true for an error thrown by another copy of this package. */
  static is(value: unknown): value is CacheError {
    return typeof value === "object" && value !== null && "~cacheError" in value;
  }
}
