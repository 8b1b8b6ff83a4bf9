import type { CacheMode } from "../config/schema.ts";
import type { Exchange } from "../http/exchange.ts";
import { HttpError } from "../http/http-error.ts";

/** How the usage of a hit is told: as it was, at zero, or as it was with what was saved in headers. */
export type UsagePolicy = "original" | "zero" | "headers";

/** What a request asks of the cache. */
export interface CacheControls {
  /** Whether a stored answer may be served. */
  readonly isRead: boolean;
  /** Whether a new answer may be stored. */
  readonly isWrite: boolean;
  /** Whether the answer is to be made anew, in place of a stored one. */
  readonly isRefresh: boolean;
  /** Whether the cache takes no part because the gateway's own settings say so. */
  readonly isDisabled: boolean;
  /** Answer from the cache or not at all. */
  readonly onlyIfCached: boolean;
  /** Whether the caller asked for the cache by header: overrules `deterministicOnly`. */
  readonly isExplicit: boolean;
  /** Milliseconds >= 0 that a stored answer may be old; `undefined`: its time to live decides. */
  readonly maxAgeMs: number | undefined;
  /** Milliseconds > 0; `undefined`: the route's. */
  readonly ttlMs: number | undefined;
  /** A partition of the caller's own entries; empty for the common one. */
  readonly namespace: string;
  readonly tags: readonly string[];
  readonly usage: UsagePolicy;
}

/** Longest time to live that a request may ask for: a year. */
const MAX_TTL_SECONDS = 31_536_000;
/** The same in milliseconds. */
export const MAX_TTL_MS: number = MAX_TTL_SECONDS * 1000;
const MODES: ReadonlySet<string> = new Set(["on", "off", "read-only", "write-only", "refresh"]);
const CONTROL_HEADERS = [
  "cache-control",
  "x-larder-cache-mode",
  "x-larder-cache-ttl",
  "x-larder-cache-namespace",
  "x-larder-cache-tags",
  "x-larder-cache-usage",
  "x-openrouter-cache",
  "x-openrouter-cache-ttl",
  "x-openrouter-cache-clear",
] as const;

/** Controls of a request that asks for nothing, for one mode of the gateway. */
export function defaultControls(mode: CacheMode, usage: UsagePolicy): CacheControls {
  return {
    isRead: mode === "on" || mode === "read-only",
    isWrite: mode === "on" || mode === "write-only",
    isRefresh: mode === "write-only",
    isDisabled: mode === "off",
    onlyIfCached: false,
    isExplicit: false,
    maxAgeMs: undefined,
    ttlMs: undefined,
    namespace: "",
    tags: [],
    usage,
  };
}

/**
 * Reads what a request asks of the cache; `defaults` itself when it asks for nothing. A request can narrow what the gateway's mode allows and
 * never widen it. @throws {HttpError} 400 naming the header that cannot be read
 */
export function readControls(exchange: Pick<Exchange, "headers">, defaults: CacheControls): CacheControls {
  const headers = exchange.headers();
  if (!CONTROL_HEADERS.some((name) => headers[name] !== undefined)) return defaults;
  const directives = readDirectives(headers["cache-control"]);
  const wanted = headers["x-larder-cache-mode"]?.trim().toLowerCase() ?? openRouterMode(headers["x-openrouter-cache"]);
  if (wanted !== undefined && !MODES.has(wanted)) throw badHeader("x-larder-cache-mode", "one of on, off, read-only, write-only, refresh");
  const isOff = wanted === "off" || directives.has("no-store");
  const isForced = wanted === "refresh" || directives.has("no-cache") || isTrue(headers["x-openrouter-cache-clear"]);
  const isRead = defaults.isRead && !isOff && !isForced && wanted !== "write-only";
  const isWrite = defaults.isWrite && !isOff && wanted !== "read-only";
  return {
    ...defaults,
    isRead,
    isWrite,
    isRefresh: isWrite && !isRead,
    onlyIfCached: directives.has("only-if-cached"),
    isExplicit: wanted !== undefined && wanted !== "off",
    maxAgeMs: secondsOf(directives.get("max-age"), "cache-control: max-age", 0),
    ttlMs: readTtl(headers, headers["x-larder-cache-ttl"] === undefined ? "x-openrouter-cache-ttl" : "x-larder-cache-ttl"),
    namespace: readNamespace(headers["x-larder-cache-namespace"]),
    tags: readTags(headers["x-larder-cache-tags"]),
    usage: readUsage(headers["x-larder-cache-usage"]) ?? defaults.usage,
  };
}

function badHeader(name: string, expected: string): HttpError {
  return new HttpError(400, `The header ${name} must be ${expected}.`, { code: "invalid_header", param: name });
}

function readDirectives(text: string | undefined): Map<string, string> {
  const directives = new Map<string, string>();
  for (const part of text?.split(",") ?? []) {
    const [name, value = ""] = part.trim().split("=", 2);
    if (name) directives.set(name.toLowerCase(), value.replaceAll('"', ""));
  }
  return directives;
}

const isTrue = (text: string | undefined): boolean => text?.trim().toLowerCase() === "true" || text?.trim() === "1";

function openRouterMode(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  return isTrue(text) ? "on" : "off";
}

function secondsOf(text: string | undefined, name: string, min: number): number | undefined {
  if (text === undefined || text === "") return undefined;
  const seconds = Number(text);
  if (!/^\d{1,9}$/.test(text.trim()) || seconds < min || seconds > MAX_TTL_SECONDS)
    throw badHeader(name, `a whole number of seconds from ${min} to ${MAX_TTL_SECONDS}`);
  return seconds * 1000;
}

const readTtl = (headers: ReturnType<Exchange["headers"]>, name: string): number | undefined => secondsOf(headers[name], name, 1);

function readNamespace(text: string | undefined): string {
  if (text === undefined) return "";
  if (!/^[\w.:@/-]{1,128}$/.test(text)) throw badHeader("x-larder-cache-namespace", "1 to 128 letters, digits or . _ : @ / -");
  return text;
}

function readTags(text: string | undefined): string[] {
  const tags = (text ?? "")
    .split(",")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "");
  if (tags.length > 20 || tags.some((tag) => tag.length > 128 || !/^[\x21-\x7e]+$/.test(tag)))
    throw badHeader("x-larder-cache-tags", "at most 20 tags of at most 128 visible ASCII characters, separated by commas");
  return tags;
}

function readUsage(text: string | undefined): UsagePolicy | undefined {
  if (text === undefined) return undefined;
  if (text !== "original" && text !== "zero" && text !== "headers") throw badHeader("x-larder-cache-usage", "original, zero or headers");
  return text;
}
