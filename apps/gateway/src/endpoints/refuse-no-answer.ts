import { NO_ANSWERS } from "../answers/family.ts";
import { isObject, type JsonObject } from "../answers/json.ts";
import type { RequestPlan } from "../caching/request-plan.ts";
import type { UpstreamAnswer } from "../upstream/upstream.ts";
import { UpstreamFailure } from "../upstream/upstream-failure.ts";

/**
 * An error that came with a status of success is answered as the error that it is: told as a stream it would be an empty success. Another object that
 * is no answer goes on to whoever asked for a whole one, who can read it; as a stream, there would again be nothing to tell.
 * @throws {UpstreamFailure}
 */
export function refuseNoAnswer(
  { plan }: { readonly plan: Pick<RequestPlan, "isStream"> },
  parsed: JsonObject,
  refusal: string | undefined,
  { headers }: UpstreamAnswer,
  body: Buffer,
): void {
  if (refusal === "error-body")
    throw new UpstreamFailure("The provider answered with an error.", { status: statusOfError(parsed.error), headers, body });
  if (plan.isStream && NO_ANSWERS.has(refusal))
    throw new UpstreamFailure("The provider's answer is not one to this request.", { status: 502 });
}

/** Some providers tell the status in the error. */
function statusOfError(error: unknown): number {
  const told = isObject(error)
    ? [error.code, error.status].find((value) => typeof value === "number" && Number.isInteger(value))
    : undefined;
  return typeof told === "number" && told >= 400 && told <= 599 ? told : 502;
}
