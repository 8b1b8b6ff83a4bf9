/** Why a source could not be read. */
export type SourceFailureReason =
  | "network" // no connection, or it broke
  | "timeout" // the request's or the run's time was over
  | "too-slow" // the body dripped in below the lowest accepted rate
  | "too-large" // the body passed the size cap
  | "http-status" // an answer other than 2xx
  | "not-json" // another content type, or JSON that does not parse
  | "bad-shape" // JSON of another shape than the source's list
  | "aborted" // the run was cancelled
  | "unknown"; // anything else a source threw

/** A failed request of a source. Its message names host and path, never a query, a header or a body. */
export class SourceError extends Error {
  readonly reason: SourceFailureReason;
  /** Whether the same request may succeed later in this run. */
  readonly retryable: boolean;
  /** Milliseconds that the upstream asked to wait, from `retry-after`. */
  readonly retryAfterMs: number | undefined;
  /** HTTP status, where there was one. */
  readonly status: number | undefined;
  /** A string-named mark instead of `instanceof`: two copies of this package may be loaded. */
  readonly "~sourceError": true = true;

  constructor(
    reason: SourceFailureReason,
    message: string,
    details: { readonly retryable?: boolean; readonly retryAfterMs?: number | undefined; readonly status?: number } = {},
  ) {
    super(message);
    this.name = "SourceError";
    this.reason = reason;
    this.retryable = details.retryable ?? false;
    this.retryAfterMs = details.retryAfterMs;
    this.status = details.status;
  }

  /** Like `instanceof`, and also true for an error thrown by another copy of this package. */
  static is(value: unknown): value is SourceError {
    return typeof value === "object" && value !== null && "~sourceError" in value;
  }
}
