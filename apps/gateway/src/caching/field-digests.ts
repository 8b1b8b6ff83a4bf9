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

/** Digests of a request's fields, by name, in bounded room. */
export function boundedFieldDigests(request: CanonicalRequest): FieldDigests {
  return byName(listFieldDigests(request));
}

/** What a list of names and digests says, by name. */
export function byName(list: readonly string[]): FieldDigests {
  const told: Array<readonly [name: string, digest: string]> = [];
  for (let index = 0; index < list.length; index += 2) told.push([list[index] as string, list[index + 1] as string]);
  return Object.fromEntries(told);
}

/**
 * Each field's name and after it its digest, in bounded room: names and their number are the caller's. Fields that an API has come first; what
 * is beyond the bound, or has a name that nobody would read, is told as one. A flat list, since every miss makes one and hardly any is read.
 */
export function listFieldDigests(request: CanonicalRequest): string[] {
  const told: string[] = [];
  let others: RequestField[] | undefined;
  for (const areClassified of [true, false]) {
    for (const field of request.fields) {
      if (!field.isInKey || (field.role !== undefined) !== areClassified) continue;
      const isTold = told.length < MAX_FIELDS * 2 && field.name.length <= MAX_NAME && field.name !== OTHER_FIELDS;
      if (isTold) told.push(field.name, digestOf(textOf(field)));
      else if (others) others.push(field);
      else others = [field];
    }
  }
  if (others) told.push(OTHER_FIELDS, digestOf(others.map(textOf).join("")));
  return told;
}

/** Names and values, so that no two fields have the same. */
function textOf({ name, form }: RequestField): string {
  return `${JSON.stringify(name)}${form}\n`;
}

/** 64 bits of SHA-256. In one call: a hash object costs a miss more than all of its fields. */
function digestOf(text: string): string {
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
