import type { SseEvent } from "../sse/splitter.ts";
import { type AnswerFamily, readUsage, type StreamAssembler, zeroNumbers } from "./family.ts";
import { isObject, type JsonObject, objectsOf, parseObject } from "./json.ts";
import { takePartials, withPartials } from "./partial-images.ts";

const PARTIAL = "image_generation.partial_image";
const COMPLETED = "image_generation.completed";

/** `/v1/images/generations`: an image, or a stream that shows one several times before it is done. */
export const imageFamily: AnswerFamily = {
  kind: "image",
  refusalToStore: (answer) => {
    if (isObject(answer.error)) return "error-body";
    const images = objectsOf(answer.data);
    if (images.length === 0) return "no-images";
    // A link to an image stops working after an hour at OpenAI: only images that are in the answer can be kept.
    return images.every((image) => typeof image.b64_json === "string") ? undefined : "links-expire";
  },
  assemble: () => new ImageAssembler(),
  replay: replayImage,
  usageOf: (answer) => readUsage(answer.usage),
  withZeroUsage: (answer) => ("usage" in answer ? { ...answer, usage: zeroNumbers(answer.usage) } : answer),
  isUsageEvent: () => false,
  mayTellUsage: () => false,
};

/** The closing event carries the whole image. */
class ImageAssembler implements StreamAssembler {
  readonly #partials: JsonObject[] = [];
  #completed: JsonObject | undefined;
  #hasFailed = false;

  push(event: SseEvent): void {
    if (event.data === undefined || event.data.trim() === "[DONE]") return;
    const parsed = parseObject(event.data);
    const type = parsed?.type ?? event.name;
    if (!parsed || type === "error" || isObject(parsed.error)) this.#hasFailed = true;
    else if (type === PARTIAL) this.#partials.push(parsed);
    else if (type === COMPLETED) this.#completed = parsed;
  }

  finish(): JsonObject | undefined {
    if (this.#hasFailed || !this.#completed) return undefined;
    const { type: _type, b64_json: image, created_at: created, ...rest } = this.#completed;
    return withPartials({ created, ...rest, data: [{ b64_json: image }] }, this.#partials);
  }
}

function replayImage(answer: JsonObject): string {
  const { whole, partials } = takePartials(answer);
  const { created, data, ...rest } = whole;
  const completed = objectsOf(data).map((image) => ({ type: COMPLETED, ...image, created_at: created, ...rest }));
  return [...partials, ...completed].map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("");
}
