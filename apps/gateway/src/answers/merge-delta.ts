import { isObject, type JsonObject, setField } from "./json.ts";

/*
 * Chunks of a stream tell two kinds of strings: pieces of a text, which are to be joined, and names and judgements, which are told anew with each
 * chunk (Azure's `severity: "safe"`) and joined would read "safesafe". Nothing in the protocol says which is which, so it goes by the place:
 *  - right in the delta, whatever is not known for a name is a text: upstreams add fields of their own there (`reasoning`,
 *    `reasoning_content`, ...), and a piece lost would be worse than a name told twice;
 *  - in the objects within it (calls of tools, audio, `reasoning_details`), only what is known for a text is one;
 *  - beside the delta nothing is.
 */

/** Strings right in a delta that name something. */
const NAMES: ReadonlySet<string> = new Set([
  "role",
  "type",
  "id",
  "name",
  "index",
  "format",
  "object",
  "model",
  "status",
  "encoding",
  "phase",
]);
/** Strings within a delta's objects that come in pieces. */
const TEXTS: ReadonlySet<string> = new Set([
  "content",
  "text",
  "arguments",
  "input",
  "summary",
  "thinking",
  "reasoning",
  "data",
  "transcript",
]);

/** Adds a delta of a stream to what has come so far. Array items that carry an `index` are joined by it, others are appended. */
export function mergeDelta(into: JsonObject, delta: JsonObject): void {
  merge(into, delta, (field) => !NAMES.has(field));
}

/** Takes over what a chunk tells beside its delta: of what was told before, the last word counts. @param except fields that are left out */
export function replaceFields(into: JsonObject, told: JsonObject, except?: ReadonlySet<string>): void {
  for (const field in told) {
    if (except?.has(field)) continue;
    const value = told[field];
    const known = Object.hasOwn(into, field) ? into[field] : undefined;
    if (value === null || value === undefined || value === "") {
      if (known === undefined) setField(into, field, value);
    } else if (isObject(value) && isObject(known)) replaceFields(known, value);
    else setField(into, field, isObject(value) ? copyOf(value) : value);
  }
}

function merge(into: JsonObject, delta: JsonObject, isText: (field: string) => boolean): void {
  for (const field in delta) {
    const value = delta[field];
    const known = Object.hasOwn(into, field) ? into[field] : undefined;
    if (value === null || value === undefined) {
      if (known === undefined) setField(into, field, value);
    } else if (typeof value === "string" && typeof known === "string" && isText(field)) {
      setField(into, field, known + value);
    } else if (isObject(value)) {
      const merged = isObject(known) ? known : {};
      merge(merged, value, isNestedText);
      setField(into, field, merged);
    } else if (Array.isArray(value)) {
      setField(into, field, mergeItems(Array.isArray(known) ? known : [], value));
    } else if (!(value === "" && known !== undefined)) {
      setField(into, field, value);
    }
  }
}

const isNestedText = (field: string): boolean => TEXTS.has(field);

function mergeItems(items: unknown[], added: readonly unknown[]): unknown[] {
  for (const item of added) {
    const index = isObject(item) ? item.index : undefined;
    const same = typeof index === "number" ? items.find((known) => isObject(known) && known.index === index) : undefined;
    if (isObject(same) && isObject(item)) merge(same, item, isNestedText);
    else items.push(isObject(item) ? copyOf(item) : item);
  }
  return items;
}

function copyOf(item: JsonObject): JsonObject {
  const copy: JsonObject = {};
  merge(copy, item, isNestedText);
  return copy;
}
