import { isObject, type JsonObject, setField } from "./json.ts";

/**
 * Strings in a delta are pieces of a text and are joined, except those that name something: repeated, they would read "callcall".
 * Upstreams add fields of their own (`reasoning`, `reasoning_content`, `reasoning_details`, ...), so the rule is by exception.
 */
const REPLACED: ReadonlySet<string> = new Set([
  "role",
  "type",
  "id",
  "name",
  "index",
  "format",
  "object",
  "model",
  "finish_reason",
  "status",
  "encoding",
]);

/** Adds a delta of a stream to what has come so far. Array items that carry an `index` are joined by it, others are appended. */
export function mergeDelta(into: JsonObject, delta: JsonObject): void {
  for (const [field, value] of Object.entries(delta)) {
    const known = Object.hasOwn(into, field) ? into[field] : undefined;
    if (value === null || value === undefined) {
      if (known === undefined) setField(into, field, value);
    } else if (typeof value === "string" && typeof known === "string" && !REPLACED.has(field)) {
      setField(into, field, known + value);
    } else if (isObject(value)) {
      const merged = isObject(known) ? known : {};
      mergeDelta(merged, value);
      setField(into, field, merged);
    } else if (Array.isArray(value)) {
      setField(into, field, mergeItems(Array.isArray(known) ? known : [], value));
    } else if (!(value === "" && known !== undefined)) {
      setField(into, field, value);
    }
  }
}

function mergeItems(items: unknown[], added: readonly unknown[]): unknown[] {
  for (const item of added) {
    const index = isObject(item) ? item.index : undefined;
    const same = typeof index === "number" ? items.find((known) => isObject(known) && known.index === index) : undefined;
    if (isObject(same) && isObject(item)) mergeDelta(same, item);
    else items.push(isObject(item) ? copyOf(item) : item);
  }
  return items;
}

function copyOf(item: JsonObject): JsonObject {
  const copy: JsonObject = {};
  mergeDelta(copy, item);
  return copy;
}
