import type { SseEvent } from "../sse/splitter.ts";
import { type AnswerFamily, countOf, readUsage, type StreamAssembler, zeroNumbers } from "./family.ts";
import { isObject, type JsonObject, objectsOf, parseObject } from "./json.ts";
import { withPartials } from "./partial-images.ts";
import { PARTIAL_IMAGE, replayResponse } from "./replay-response.ts";

/** `/v1/responses`: `response` objects and the events that build them up. */
export const responsesFamily: AnswerFamily = {
  kind: "responses",
  refusalToStore: (answer) => {
    if (answer.object !== "response") return isObject(answer.error) ? "error-body" : "not-a-response";
    if (isObject(answer.error)) return "failed";
    if (answer.status !== "completed" && !isCutByLimit(answer)) return "unfinished";
    return linksToContainer(answer) ? "links-expire" : undefined;
  },
  assemble: () => new ResponsesAssembler(),
  replay: replayResponse,
  usageOf: (answer) => readUsage(answer.usage),
  withZeroUsage: (answer) => ({ ...answer, usage: zeroNumbers(answer.usage ?? null) }),
  isUsageEvent: () => false,
  mayTellUsage: () => false,
};

/** Files that the model has made are in its container, which is gone after twenty minutes without use: a link to one is no answer for longer. */
function linksToContainer({ output }: JsonObject): boolean {
  const parts = objectsOf(output).flatMap(({ content }) => objectsOf(content));
  return parts.some(({ annotations }) => objectsOf(annotations).some(({ type }) => type === "container_file_citation"));
}

/** Stopped by the caller's own `max_output_tokens`: a complete answer to that request, as `finish_reason: "length"` is. */
function isCutByLimit(answer: JsonObject): boolean {
  return answer.status === "incomplete" && isObject(answer.incomplete_details) && answer.incomplete_details.reason === "max_output_tokens";
}

/** The closing event carries the whole response; some servers leave out of it what they have told already, item by item. */
class ResponsesAssembler implements StreamAssembler {
  readonly #partials: JsonObject[] = [];
  /** Items that have come whole, by their place in the output. */
  readonly #items = new Map<number, JsonObject>();
  #response: JsonObject | undefined;
  #hasFailed = false;

  push(event: SseEvent): void {
    if (event.data === undefined || event.data.trim() === "[DONE]") return;
    const parsed = parseObject(event.data);
    const type = parsed?.type ?? event.name;
    if (!parsed || type === "error" || type === "response.failed") this.#hasFailed = true;
    else if ((type === "response.completed" || type === "response.incomplete") && isObject(parsed.response))
      this.#response = parsed.response;
    else if (type === "response.output_item.done" && isObject(parsed.item)) this.#items.set(countOf(parsed.output_index), parsed.item);
    else if (type === PARTIAL_IMAGE) this.#partials.push(parsed);
  }

  finish(): JsonObject | undefined {
    if (this.#hasFailed || !this.#response) return undefined;
    const { output } = this.#response;
    const isTold = this.#items.size === 0 || (Array.isArray(output) && output.length > 0);
    return withPartials(isTold ? this.#response : { ...this.#response, output: this.#itemsInOrder() }, this.#partials);
  }

  #itemsInOrder(): JsonObject[] {
    return [...this.#items].sort(([left], [right]) => left - right).map(([, item]) => item);
  }
}
