import { CacheError } from "@larder/cache-core";

/** Why a call to Redis has no answer. */
export type CallFailureKind =
  | "down" // there is no connection
  | "bypassed" // the breaker is open, or the server has not been checked since it was connected
  | "busy" // too many calls, or too many bytes, are under way
  | "timeout" // no answer in time; nobody knows whether it took effect
  | "lost" // the connection broke before the answer; nobody knows either
  | "refused"; // the server answered with an error

/**
 * A call to Redis that failed, without anything that a client's error carries: ioredis attaches the command with its arguments, and so
 * the stored value, to every error reply.
 */
export interface CallFailure {
  readonly kind: CallFailureKind;
  /** The first word of an error reply, as `OOM`; the code of a socket error; what ioredis says of sentinels that none of answers; else empty. */
  readonly word: string;
}

/** Replies after which the server as a whole is of no use for now. */
const UNUSABLE: ReadonlySet<string> = new Set([
  "LOADING",
  "READONLY",
  "MASTERDOWN",
  "CLUSTERDOWN",
  "NOAUTH",
  "WRONGPASS",
  "DENIED",
  "NOREPLICAS",
]);

/** What ioredis says of a command that was not answered within its own `commandTimeout`. */
const COMMAND_TIMEOUT = "Command timed out";

/** Reads a client's error down to what may be kept of it. */
export function toCallFailure(error: unknown): CallFailure {
  const { message = "", code } = (typeof error === "object" && error !== null ? error : {}) as { message?: unknown; code?: unknown };
  const text = String(message);
  // A client that was handed over may have a `commandTimeout` shorter than ours: the server hangs, and the connection is there.
  if (text === COMMAND_TIMEOUT) return { kind: "timeout", word: "" };
  // Before Redis 7 a script's error begins with where in the script it is: `@user_script: 3: -READONLY You …`.
  const word = /^(?:.*_script: \d+: )?-?([A-Z][A-Z_]+)\b/.exec(text)?.[1];
  if (word !== undefined && text.includes(" ")) return { kind: "refused", word };
  // ioredis keeps to itself what each sentinel failed with.
  return { kind: "lost", word: typeof code === "string" ? code : (/^All sentinels are unreachable/.exec(text)?.[0] ?? "") };
}

/** Whether a failure says that the server cannot be used, and not only that this call failed. */
export function isUnusable(failure: CallFailure): boolean {
  return failure.kind === "refused" && UNUSABLE.has(failure.word);
}

const EXPLANATIONS: Readonly<Record<CallFailureKind, string>> = {
  down: "Redis is not connected",
  bypassed: "Redis is bypassed until it answers a check",
  busy: "too many calls to Redis are under way",
  timeout: "Redis did not answer in time; the call may have taken effect",
  lost: "the connection to Redis broke; the call may have taken effect",
  refused: "Redis refused the call",
};

/** The error for a caller who must know. */
export function toCacheError(operation: string, failure: CallFailure): CacheError {
  const detail = failure.word === "" ? "" : ` (${failure.word})`;
  const code = failure.kind === "timeout" ? "ERR_CACHE_TIMEOUT" : "ERR_CACHE_BACKEND";
  return new CacheError(code, `${operation}: ${EXPLANATIONS[failure.kind]}${detail}`);
}
