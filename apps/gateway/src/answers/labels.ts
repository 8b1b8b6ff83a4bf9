import type { CanonicalRequest } from "@larder/cache-core/keys";
import { digestOf } from "../security/digest.ts";
import { type JsonObject, parseObject } from "./json.ts";

/**
 * What a response repeats of its request though it is no part of the key, and what stands there when nothing was given. It says who asked: told as it was
 * stored, it would tell one caller's identifiers to the next, who would also take the answer for another one's by its `metadata`.
 */
const LABELS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["metadata", {}],
  ["prompt_cache_key", null],
  ["safety_identifier", null],
  ["user", null],
]);
const NONE: ReadonlySet<string | undefined> = new Set([undefined, "null", "{}"]);

/** What tells a request's labels from others'; empty when it has none, as most have. */
export function labelsOf(request: CanonicalRequest): string {
  if (request.endpoint !== "responses") return "";
  const given = [...LABELS.keys()].flatMap((field) => (NONE.has(request.form(field)) ? [] : [`${field}:${request.form(field)}`]));
  return given.length === 0 ? "" : digestOf(given.join("\n"));
}

/** An answer with the labels of a request in place of those that it was made with. */
export function relabel(answer: JsonObject, request: Buffer): JsonObject {
  const asked = parseObject(request.toString("utf8")) ?? {};
  const told = { ...answer };
  for (const [field, nothing] of LABELS) if (field in answer) told[field] = asked[field] ?? nothing;
  return told;
}
