import type { UpstreamFailure } from "../upstream/upstream-failure.ts";
import type { Log } from "./log.ts";
import { onceAMinute } from "./once-a-minute.ts";

/** An answer that a provider has begun, and not brought to its end. */
export interface BrokenAnswer {
  readonly providerId: string;
  /** The request that the provider was called for; others may have been told the same answer. */
  readonly requestId: string;
  /** What the request is counted under. */
  readonly endpoint: string;
  readonly failure: UpstreamFailure;
}

/**
 * Tells of answers that break off after their head has gone out: their status says nothing any more, and no breaker counts them.
 * @param now monotonic milliseconds @returns to be told of each of them
 */
export function logBrokenAnswers(log: Log, now?: () => number): (broken: BrokenAnswer) => void {
  const isDue = onceAMinute(now);
  return ({ providerId, requestId, endpoint, failure }) => {
    const others = isDue(providerId);
    if (others === undefined) return;
    const { status, message: problem, cause } = failure;
    const { code } = (cause ?? {}) as { readonly code?: unknown };
    log.warn(
      { providerId, requestId, endpoint, status, problem, code, others },
      "a provider broke off an answer that had begun; told at most once a minute, with how many others there were since",
    );
  };
}
