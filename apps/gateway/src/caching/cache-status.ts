/** What `x-larder-cache` says of an answer. */
export type CacheVerdict = "HIT" | "MISS" | "STALE" | "COALESCED" | "BYPASS" | "REFRESH" | "DISABLED";

/** What `Cache-Status` tells beside the verdict. */
export interface CacheStatusDetails {
  /** The cache key, printable ASCII. */
  readonly key?: string | undefined;
  /** Milliseconds until the answer is stale; negative when it is. */
  readonly ttlMs?: number | undefined;
  /** Whether this request's answer was stored. */
  readonly isStored?: boolean | undefined;
  /** The upstream's status. */
  readonly forwardStatus?: number | undefined;
  /** Anything else, such as `degraded`. */
  readonly detail?: string | undefined;
}

/** How RFC 9211 puts the reason for which a request went on to the upstream. */
const FORWARDED: Readonly<Record<Exclude<CacheVerdict, "HIT" | "STALE">, string>> = {
  MISS: "fwd=miss",
  COALESCED: "fwd=miss; collapsed",
  BYPASS: "fwd=bypass",
  REFRESH: "fwd=request",
  DISABLED: "fwd=bypass",
};

/** The value of a `Cache-Status` header (RFC 9211). */
export function cacheStatus(verdict: CacheVerdict, details: CacheStatusDetails = {}): string {
  let text = verdict === "HIT" || verdict === "STALE" ? "larder; hit" : `larder; ${FORWARDED[verdict]}`;
  if (details.ttlMs !== undefined) text += `; ttl=${Math.floor(details.ttlMs / 1000)}`;
  if (details.forwardStatus !== undefined) text += `; fwd-status=${details.forwardStatus}`;
  if (details.isStored) text += "; stored";
  if (details.key !== undefined) text += `; key="${details.key}"`;
  if (details.detail !== undefined) text += `; detail=${details.detail}`;
  return text;
}
