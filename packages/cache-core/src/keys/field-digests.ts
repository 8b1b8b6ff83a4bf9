import type { CanonicalRequest } from "./canonical-request.ts";
import { sha256OfByteText } from "./sha256.ts";

/** Each field in the key by name, as 64 bits of its digest: what to keep beside an entry to say later why another request missed it. */
export type FieldDigests = Readonly<Record<string, string>>;

/** Digests of the fields in the key. They tell whether two fields are the same, and nothing of what they say. */
export function fieldDigests(request: CanonicalRequest): FieldDigests {
  const inKey = request.fields.filter((field) => field.isInKey);
  return Object.fromEntries(inKey.map(({ name, form }) => [name, sha256OfByteText(form).slice(0, 16)]));
}

/** The fields in which two requests differ, by name, from what `fieldDigests` kept of them. */
export function differingFields(first: FieldDigests, second: FieldDigests): string[] {
  // Inherited or not: what is no field's digest is no string, and differs from every digest.
  return [...new Set([...Object.keys(first), ...Object.keys(second)])].filter((name) => first[name] !== second[name]).sort();
}
