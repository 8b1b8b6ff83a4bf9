import type { UpstreamAnswer } from "./upstream.ts";

/** What is known of a failure beside its message. */
export interface UpstreamFailureDetails {
  readonly status: number;
  readonly body?: Buffer;
  readonly headers?: UpstreamAnswer["headers"];
  /** @default whether the status may go away */
  readonly isRetryable?: boolean;
  /** @default whether the status is 500 or above */
  readonly isProviderFault?: boolean;
  /** What the client threw instead of an answer; it may quote headers or URLs, so nobody is shown it but a caller in this very process. */
  readonly cause?: unknown;
}

/** An upstream's answer that is not a success, or its absence. Shared by everyone who waited for the call. */
export class UpstreamFailure extends Error {
  /** The status to answer with. */
  readonly status: number;
  /** The upstream's own error body, scrubbed of credentials; `undefined` when there was no answer. */
  readonly body: Buffer | undefined;
  /** The upstream's headers; empty when there was no answer. */
  readonly headers: UpstreamAnswer["headers"];
  /** Whether the same provider may do better later. */
  readonly isRetryable: boolean;
  /** Whether it is the provider's fault: what its breaker counts. */
  readonly isProviderFault: boolean;

  constructor(message: string, details: UpstreamFailureDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "UpstreamFailure";
    this.status = sendableStatus(details.status);
    this.body = details.body;
    this.headers = details.headers ?? {};
    this.isRetryable = details.isRetryable ?? isRetryableStatus(details.status);
    this.isProviderFault = details.isProviderFault ?? details.status >= 500;
  }
}

/** A status that callers can be told: `fetch` takes a 407 for trouble with a proxy of its own, and there are none above 599. */
function sendableStatus(status: number): number {
  return status === 407 || status > 599 ? 502 : status;
}

/** Statuses that may go away: timeouts, conflicts, rate limits, server errors. */
export function isRetryableStatus(status: number): boolean {
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

/** Turns what a client threw into a failure, without its text: it may quote headers or URLs. */
export function toUpstreamFailure(error: unknown): UpstreamFailure {
  if (error instanceof UpstreamFailure) return error;
  const { code, name } = (typeof error === "object" && error !== null ? error : {}) as { code?: unknown; name?: unknown };
  if (code === "ERR_ADDRESS_REFUSED")
    return new UpstreamFailure("The provider's address is private or reserved and was not called.", { status: 502, isRetryable: false });
  // Not tried again here, since it has waited already; another provider may have room.
  if (code === "ERR_NO_CONNECTION")
    return new UpstreamFailure("All connections to the provider are in use.", {
      status: 503,
      headers: { "retry-after": "10" },
      isProviderFault: false,
    });
  const isTimeout = /TIMEOUT/.test(String(code)) || name === "TimeoutError";
  if (isTimeout) return new UpstreamFailure("The provider did not answer in time.", { status: 504, cause: error });
  if (error instanceof RangeError) return new UpstreamFailure("The provider's answer is too large.", { status: 502, isRetryable: false });
  return new UpstreamFailure("The provider could not be reached, or broke its answer off.", { status: 502, cause: error });
}
