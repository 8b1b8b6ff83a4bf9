import { type AnswerFamily, countOf, zeroNumbers } from "./family.ts";
import { isObject, objectsOf } from "./json.ts";

/** `/v1/images/generations`, answered whole. Streams of partial images are passed through and never come here. */
export const imageFamily: AnswerFamily = {
  kind: "image",
  refusalToStore: (answer) => {
    if (isObject(answer.error)) return "error-body";
    const images = objectsOf(answer.data);
    if (images.length === 0) return "no-images";
    // A link to an image stops working after an hour at OpenAI: only images that are in the answer can be kept.
    return images.every((image) => typeof image.b64_json === "string") ? undefined : "links-expire";
  },
  assemble: () => ({ push: () => undefined, finish: () => undefined }),
  replay: () => "",
  usageOf: (answer) =>
    isObject(answer.usage)
      ? { inputTokens: countOf(answer.usage.input_tokens), outputTokens: countOf(answer.usage.output_tokens) }
      : undefined,
  withZeroUsage: (answer) => ("usage" in answer ? { ...answer, usage: zeroNumbers(answer.usage) } : answer),
  isUsageEvent: () => false,
  mayTellUsage: () => false,
};
