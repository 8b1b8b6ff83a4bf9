import { itemsOf } from "../answers/embedding-vector.ts";
import { HttpError } from "../http/http-error.ts";

/** Inputs of one request at most: OpenAI's own bound. */
const MAX_ITEMS = 2048;

/** The items of an input. @throws {HttpError} 400 for what no provider takes: it would be computed, or worse, stored, as something else */
export function readItems(input: unknown): readonly unknown[] {
  const items = itemsOf(input);
  if (input === undefined || items.length === 0) throw new HttpError(400, "The request has no input.", { param: "input" });
  if (items.length > MAX_ITEMS) throw new HttpError(400, `The input has more than ${MAX_ITEMS} items.`, { param: "input" });
  // Some providers take objects as items (a text or an image each); an input as a whole is a text or a list everywhere.
  const isKnown = typeof input === "string" || (Array.isArray(input) && items.every(isItem));
  if (!isKnown) throw new HttpError(400, "The input must be a text, a list of tokens, or a list of those.", { param: "input" });
  return items;
}

function isItem(item: unknown): boolean {
  if (Array.isArray(item)) return item.length > 0 && item.every((token) => typeof token === "number");
  return typeof item === "string" || (typeof item === "object" && item !== null);
}
