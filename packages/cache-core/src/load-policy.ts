import type { GetOrSetOptions } from "./cache.ts";
import { checkDurationMs, checkShare, checkWindowMs } from "./check-option.ts";
import { CacheError } from "./errors.ts";

/** `GetOrSetOptions` with every default in place. */
export type LoadPolicy = Required<Omit<GetOrSetOptions, "signal">> & { readonly signal: AbortSignal | undefined };

/** What a cache may set for all of its calls. */
export type LoadDefaults = Omit<GetOrSetOptions, "signal" | "forceRefresh" | "tags">;

const NO_TAGS: readonly string[] = [];

function check(options: GetOrSetOptions): void {
  const { ttlMs, negativeTtlMs, errorTtlMs, softTimeoutMs, timeoutMs, singleFlight } = options;
  for (const [name, value] of Object.entries({ ttlMs, negativeTtlMs, errorTtlMs, softTimeoutMs, timeoutMs })) {
    if (value !== undefined) checkDurationMs(name, value);
  }
  const { staleWhileRevalidateMs, staleIfErrorMs, earlyRefresh } = options;
  for (const [name, value] of Object.entries({ staleWhileRevalidateMs, staleIfErrorMs, earlyRefresh })) {
    if (value !== undefined) checkWindowMs(name, value);
  }
  if (options.jitter !== undefined) checkShare("jitter", options.jitter);
  if (singleFlight !== undefined && singleFlight !== "fleet" && singleFlight !== "process") {
    throw new CacheError("ERR_CACHE_INVALID_OPTION", 'singleFlight must be "fleet" or "process"');
  }
}

/**
 * A cache's own policy. The defaults of every read-through option are written here and nowhere else.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION naming the option that is out of range
 */
export function toDefaultPolicy(options: LoadDefaults): LoadPolicy {
  check(options);
  const {
    ttlMs = 60_000,
    staleWhileRevalidateMs = 0,
    staleIfErrorMs = 0,
    jitter = 0.1,
    earlyRefresh = 0,
    singleFlight = "fleet",
  } = options;
  // 0 stands for "off" inside, where an option cannot be 0 outside.
  const { negativeTtlMs = 0, errorTtlMs = 0, softTimeoutMs = Infinity, timeoutMs = Infinity } = options;
  return {
    ttlMs,
    staleWhileRevalidateMs,
    staleIfErrorMs,
    jitter,
    earlyRefresh,
    singleFlight,
    negativeTtlMs,
    errorTtlMs,
    softTimeoutMs,
    timeoutMs,
    tags: NO_TAGS,
    forceRefresh: false,
    signal: undefined,
  };
}

/** One call's policy: what it asks for, over the cache's own. @throws {CacheError} ERR_CACHE_INVALID_OPTION */
export function toCallPolicy(defaults: LoadPolicy, options: GetOrSetOptions | undefined): LoadPolicy {
  if (options === undefined) return defaults;
  check(options);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return { ...defaults, ...given };
}
