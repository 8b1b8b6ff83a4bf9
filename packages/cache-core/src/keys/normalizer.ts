import type { Endpoint } from "./request-fields.ts";

/** A mutable JSON object: a normalizer's own copy of a body. */
export type JsonObject = Record<string, unknown>;

/** Something that a normalizer has put into another form. */
export interface NormalizerChange {
  /** Which normalizer. */
  readonly normalizer: string;
  /** Where, as a path like `messages[2].tool_calls[0].id`. */
  readonly path: string;
}

/**
 * Drops from a request what differs between two requests although it does not matter to the asker. Opt-in: each one is a judgement that
 * answers may be shared, and the upstream still gets the request as it came. A pure function of the body.
 */
export interface Normalizer {
  /** Part of every key made with it: with other settings it must have another name. */
  readonly name: string;
  /** Changes the body in place and reports each place it changed. */
  normalize(endpoint: Endpoint, body: JsonObject, report: (path: string) => void): void;
}

/** Whether a JSON value is an object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The objects of a list, with their positions; none when it is no list. */
export function objectsOf(value: unknown): Array<readonly [index: number, item: JsonObject]> {
  return Array.isArray(value) ? [...value.entries()].filter((entry): entry is [number, JsonObject] => isObject(entry[1])) : [];
}
