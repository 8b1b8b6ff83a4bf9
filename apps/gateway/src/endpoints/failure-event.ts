import type { Endpoint } from "@larder/cache-core/keys";
import type { UpstreamFailure } from "../upstream/upstream-failure.ts";

const SEQUENCE = '"sequence_number":';

/**
 * The last event of a stream that broke off: clients raise it, and the missing end of the protocol tells the others.
 *
 * Of `/v1/responses` the reference has the details beside the type and the API sends them in `error` as well; OpenAI's client raises what has an `error` and
 * hands anything else to its caller as one more event. So both are told.
 *
 * @param last what the caller was told last
 */
export function failureEvent(endpoint: Endpoint, { message }: UpstreamFailure, last: Buffer | undefined): string {
  if (endpoint === "messages") return event("error", { type: "error", error: { type: "api_error", message } });
  const error = { message, type: "api_error", param: null, code: "upstream_error" };
  if (endpoint !== "responses") return `data: ${JSON.stringify({ error })}\n\n`;
  const { code, param } = error;
  return event("error", { type: "error", code, message, param, sequence_number: nextSequence(last), error });
}

function event(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Events are numbered; the last number stands in the last event that was told. */
function nextSequence(last: Buffer | undefined): number {
  const at = last?.lastIndexOf(SEQUENCE) ?? -1;
  if (!last || at < 0) return 0;
  const told = Number.parseInt(last.toString("latin1", at + SEQUENCE.length, at + SEQUENCE.length + 20), 10);
  return Number.isNaN(told) ? 0 : told + 1;
}
