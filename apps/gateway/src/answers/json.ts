/** A JSON object whose fields nobody has looked at yet. */
export type JsonObject = { [field: string]: unknown };

/** Whether a value is an object and neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value as an array of objects; anything else in it is left out. */
export function objectsOf(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/**
 * Reads a JSON object. `undefined` for anything else; never throws, since `JSON.parse` quotes what it could not read. A byte order mark before it,
 * which `response.json()` passes over, is passed over here.
 */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const parsed: unknown = JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** Sets an own field even when it is called `__proto__`. */
export function setField(object: JsonObject, field: string, value: unknown): void {
  if (field === "__proto__") Object.defineProperty(object, field, { value, enumerable: true, configurable: true, writable: true });
  else object[field] = value;
}
