import type { SseEvent } from "../sse/splitter.ts";
import { type AnswerFamily, readUsage, type StreamAssembler, zeroNumbers } from "./family.ts";
import { isObject, type JsonObject, parseObject } from "./json.ts";
import { withPartials } from "./partial-images.ts";
import { PARTIAL_IMAGE, replayResponse } from "./replay-response.ts";

/** `/v1/responses`: `response` objects and the events that build them up. */
export const responsesFamily: AnswerFamily = {
  kind: "responses",
  refusalToStore: (answer) => {
    if (answer.object !== "response") return isObject(answer.error) ? "error-body" : "not-a-response";
    if (isObject(answer.error)) return "failed";
    return answer.status === "completed" || isCutByLimit(answer) ? undefined : "unfinished";
  },
  assemble: () => new ResponsesAssembler(),
  replay: replayResponse,
  usageOf: (answer) => readUsage(answer.usage),
  withZeroUsage: (answer) => ({ ...answer, usage: zeroNumbers(answer.usage ?? null) }),
  isUsageEvent: () => false,
  mayTellUsage: () => false,
};

/** Stopped by the caller's own `max_output_tokens`: a complete answer to that request, as `finish_reason: "length"` is. */
function isCutByLimit(answer: JsonObject): boolean {
  return answer.status === "incomplete" && isObject(answer.incomplete_details) && answer.incomplete_details.reason === "max_output_tokens";
}

/** The closing event carries the whole response: nothing has to be put together, only watched for a proper end. */
class ResponsesAssembler implements StreamAssembler {
  readonly #partials: JsonObject[] = [];
  #response: JsonObject | undefined;
  #hasFailed = false;

  push(event: SseEvent): void {
    if (event.data === undefined || event.data.trim() === "[DONE]") return;
    const parsed = parseObject(event.data);
    const type = parsed?.type ?? event.name;
    if (!parsed || type === "error" || type === "response.failed") this.#hasFailed = true;
    else if ((type === "response.completed" || type === "response.incomplete") && isObject(parsed.response))
      this.#response = parsed.response;
    else if (type === PARTIAL_IMAGE) this.#partials.push(parsed);
  }

  finish(): JsonObject | undefined {
    return this.#hasFailed || !this.#response ? undefined : withPartials(this.#response, this.#partials);
  }
}
