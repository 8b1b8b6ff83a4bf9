import type { AbortSignalLike, GetOrSetOptions } from "./cache.ts";
import {
  checkDurationMs,
  checkFlag,
  checkFunction,
  checkOptions,
  checkShare,
  checkTags,
  checkWindowMs,
  type OptionNames,
  refuse,
} from "./check-option.ts";

/** `GetOrSetOptions` with every default in place. */
export type LoadPolicy = Required<Omit<GetOrSetOptions, "signal">> & { readonly signal: AbortSignalLike | undefined };

/** What a cache may set for all of its calls. */
export type LoadDefaults = Omit<GetOrSetOptions, "signal" | "forceRefresh" | "tags">;

const NO_TAGS: readonly string[] = [];

function checkDuration(name: string, value: number | undefined): void {
  if (value !== undefined) checkDurationMs(name, value);
}

function checkWindow(name: string, value: number | undefined): void {
  if (value !== undefined) checkWindowMs(name, value);
}

/** Those that a cache may have for all of its calls. */
export const LOAD_DEFAULTS: OptionNames<LoadDefaults> = {
  ttlMs: true,
  negativeTtlMs: true,
  errorTtlMs: true,
  staleWhileRevalidateMs: true,
  staleIfErrorMs: true,
  softTimeoutMs: true,
  timeoutMs: true,
  jitter: true,
  earlyRefresh: true,
  singleFlight: true,
};
const CALL_OPTIONS: OptionNames<GetOrSetOptions> = { ...LOAD_DEFAULTS, tags: true, signal: true, forceRefresh: true };

// Each option by its name, here and below: every miss with options comes through.
function check(options: GetOrSetOptions): void {
  checkDuration("ttlMs", options.ttlMs);
  checkDuration("negativeTtlMs", options.negativeTtlMs);
  checkDuration("errorTtlMs", options.errorTtlMs);
  checkDuration("softTimeoutMs", options.softTimeoutMs);
  checkDuration("timeoutMs", options.timeoutMs);
  checkWindow("staleWhileRevalidateMs", options.staleWhileRevalidateMs);
  checkWindow("staleIfErrorMs", options.staleIfErrorMs);
  checkWindow("earlyRefresh", options.earlyRefresh);
  if (options.jitter !== undefined) checkShare("jitter", options.jitter);
  checkTags(options.tags);
  const { singleFlight, signal, forceRefresh } = options;
  if (forceRefresh !== undefined) checkFlag("forceRefresh", forceRefresh);
  if (signal) {
    checkFunction("signal.addEventListener", signal.addEventListener);
    checkFunction("signal.removeEventListener", signal.removeEventListener);
  }
  if (singleFlight !== undefined && singleFlight !== "fleet" && singleFlight !== "process")
    refuse("singleFlight", singleFlight, '"fleet" or "process"');
}

/** The defaults of every read-through option: they are written here and nowhere else. 0 stands for "off" inside, where an option cannot be 0 outside. */
const DEFAULTS: LoadPolicy = {
  ttlMs: 60_000,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  jitter: 0.1,
  earlyRefresh: 0,
  singleFlight: "fleet",
  negativeTtlMs: 0,
  errorTtlMs: 0,
  softTimeoutMs: Infinity,
  timeoutMs: Infinity,
  tags: NO_TAGS,
  forceRefresh: false,
  signal: undefined,
};

/** A cache's own policy. @throws {CacheError} ERR_CACHE_INVALID_OPTION naming the option that is out of range */
export function toDefaultPolicy(options: LoadDefaults): LoadPolicy {
  return unite(DEFAULTS, options);
}

/** One call's policy: what it asks for, over the cache's own. @throws {CacheError} ERR_CACHE_INVALID_OPTION */
export function toCallPolicy(defaults: LoadPolicy, options: GetOrSetOptions | undefined): LoadPolicy {
  if (options === undefined) return defaults;
  checkOptions(options, CALL_OPTIONS);
  return unite(defaults, options);
}

function unite(defaults: LoadPolicy, options: GetOrSetOptions): LoadPolicy {
  check(options);
  return {
    ttlMs: options.ttlMs ?? defaults.ttlMs,
    staleWhileRevalidateMs: options.staleWhileRevalidateMs ?? defaults.staleWhileRevalidateMs,
    staleIfErrorMs: options.staleIfErrorMs ?? defaults.staleIfErrorMs,
    jitter: options.jitter ?? defaults.jitter,
    earlyRefresh: options.earlyRefresh ?? defaults.earlyRefresh,
    singleFlight: options.singleFlight ?? defaults.singleFlight,
    negativeTtlMs: options.negativeTtlMs ?? defaults.negativeTtlMs,
    errorTtlMs: options.errorTtlMs ?? defaults.errorTtlMs,
    softTimeoutMs: options.softTimeoutMs ?? defaults.softTimeoutMs,
    timeoutMs: options.timeoutMs ?? defaults.timeoutMs,
    // Copied: a load that follows this call's may begin when the caller has put other tags into the array.
    tags: options.tags === undefined ? defaults.tags : [...options.tags],
    forceRefresh: options.forceRefresh ?? defaults.forceRefresh,
    signal: options.signal,
  };
}

/** Whether a call's options leave a live first-tier entry as the answer. What are no options, such as a bare number, is for the long way to refuse. */
export function isPlainRead(options: GetOrSetOptions): boolean {
  if (typeof options !== "object" || options === null) return false;
  const { forceRefresh = false, earlyRefresh = 0 } = options;
  return forceRefresh === false && earlyRefresh === 0;
}
