import { type JsonObject, objectsOf } from "./json.ts";

/*
 * A stream may show an image several times before it is done. The whole answer has no place for that, and a replay should show it too: so what was
 * shown is kept with the answer, as a member of our own that comes first. There it is seen without reading megabytes of an image, and it is taken out
 * wherever the answer is told whole.
 */

const MEMBER = "larder_partial_images";
const BEGINNING = Buffer.from(`{"${MEMBER}":`);

/** An answer with the events that have shown its images before they were done. */
export function withPartials(answer: JsonObject, partials: readonly JsonObject[]): JsonObject {
  return partials.length === 0 ? answer : { [MEMBER]: partials, ...answer };
}

/** Whether an answer, written down, has such events with it. */
export function hasPartials(body: Buffer): boolean {
  return body.length > BEGINNING.length && BEGINNING.equals(body.subarray(0, BEGINNING.length));
}

/** The answer by itself, and the events that came with it. */
export function takePartials(answer: JsonObject): { readonly whole: JsonObject; readonly partials: readonly JsonObject[] } {
  const { [MEMBER]: partials, ...whole } = answer;
  return { whole, partials: objectsOf(partials) };
}
