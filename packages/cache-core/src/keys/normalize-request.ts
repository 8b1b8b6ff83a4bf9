import { fromByteText } from "./byte-text.ts";
import { type CanonicalRequest, readNormalized } from "./canonical-request.ts";
import type { JsonObject, Normalizer, NormalizerChange } from "./normalizer.ts";

/** A request under normalizers. */
export interface NormalizedRequest {
  /** For the key. The upstream gets the request as it came. */
  readonly request: CanonicalRequest;
  /** What was changed, in order. */
  readonly changes: readonly NormalizerChange[];
  /** Why no normalizer ran; `undefined` when they did. */
  readonly skipped: "inexact-numbers" | undefined;
}

/**
 * Runs normalizers over a copy of a request. Their names become part of the key whether they changed something or not: a key says which
 * differences were ignored, so a request that says literally what a normalizer would write cannot take another's place.
 *
 * A request with numbers that a double cannot hold is left as it is, without the names: changing its text means parsing it, and two such
 * requests could then become one.
 */
export function normalizeRequest(request: CanonicalRequest, normalizers: readonly Normalizer[]): NormalizedRequest {
  if (normalizers.length === 0) return { request, changes: [], skipped: undefined };
  if (!request.isExact) return { request, changes: [], skipped: "inexact-numbers" };
  const body: JsonObject = {};
  for (const { name, form } of request.fields)
    Object.defineProperty(body, name, { value: JSON.parse(fromByteText(form)), enumerable: true, configurable: true, writable: true });
  const changes: NormalizerChange[] = [];
  for (const normalizer of normalizers)
    normalizer.normalize(request.endpoint, body, (path) => changes.push({ normalizer: normalizer.name, path }));
  const names = normalizers.map(({ name }) => name);
  return { request: readNormalized(request.endpoint, body, [...request.normalizers, ...names]), changes, skipped: undefined };
}
