import { hash } from "node:crypto";
import type { FieldDigests } from "@larder/cache-core/explain";
import type { CanonicalRequest, RequestField } from "@larder/cache-core/keys";

/** Fields of one request that are told by name; no API has as many that count. */
const MAX_FIELDS = 32;
/** Characters of a name that is told. */
const MAX_NAME = 64;
/** Characters up to which a field's text is short, and digests of such texts that are kept. */
const MAX_SHORT = 64;
const MAX_KEPT = 512;
/** Stands for all the fields that are not told by name. */
export const OTHER_FIELDS = "(other fields)";

/**
 * Digests of a request's fields, by name, in bounded room: names and their number are the caller's. Fields that an API has come first; what
 * is beyond the bound, or has a name that nobody would read, is told as one.
 */
export function boundedFieldDigests(request: CanonicalRequest): FieldDigests {
  const told: Array<[name: string, digest: string]> = [];
  const others: RequestField[] = [];
  for (const areClassified of [true, false]) {
    for (const field of request.fields) {
      if (!field.isInKey || (field.role !== undefined) !== areClassified) continue;
      const isTold = told.length < MAX_FIELDS && field.name.length <= MAX_NAME && field.name !== OTHER_FIELDS;
      if (isTold) told.push([field.name, digestOf([field])]);
      else others.push(field);
    }
  }
  if (others.length > 0) told.push([OTHER_FIELDS, digestOf(others)]);
  return Object.fromEntries(told);
}

/**
 * 64 bits of SHA-256 over names and values, so that no two fields have the same. In one call: a hash object costs a miss more than all of
 * its fields.
 */
function digestOf(fields: readonly RequestField[]): string {
  let text = "";
  for (const { name, form } of fields) text += `${JSON.stringify(name)}${form}\n`;
  return text.length <= MAX_SHORT ? keptDigestOf(text) : hash("sha256", text, "hex").slice(0, 16);
}

/** Short fields, such as the model and the temperature, are alike in most requests. */
const keptDigests = new Map<string, string>();

function keptDigestOf(text: string): string {
  const known = keptDigests.get(text);
  if (known !== undefined) return known;
  const digest = hash("sha256", text, "hex").slice(0, 16);
  if (keptDigests.size >= MAX_KEPT) keptDigests.clear();
  keptDigests.set(text, digest);
  return digest;
}
