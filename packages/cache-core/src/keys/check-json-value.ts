import { MAX_DEPTH } from "./canonical-reader.ts";
import { invalidRequest } from "./invalid-request.ts";

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // A plain object of another realm (a vm context, a worker's message) has that realm's Object.prototype, whose own prototype is null.
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

function refuse(kind: string, fix: string): never {
  throw invalidRequest(`a value is ${kind}, which JSON cannot tell apart from others: ${fix}`);
}

/**
 * Lets pass only what `JSON.stringify` writes down without loss. It turns NaN into `null`, a `Map` into `{}`, a hole into `null`: two
 * such requests would get one key. A property that is `undefined` counts as absent, as in what goes over the wire.
 * @throws {CacheError} ERR_CACHE_INVALID_REQUEST
 */
export function checkJsonValue(value: unknown, depth = 1): void {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) refuse("NaN or infinite", "use null or leave the property out");
    return;
  }
  if (typeof value !== "object") refuse(`of type ${typeof value}`, "use a string, a number or null");
  if (depth > MAX_DEPTH) throw invalidRequest(`it is nested deeper than ${MAX_DEPTH} levels, or contains itself`);
  const isArray = Array.isArray(value);
  if (!isArray && !isPlain(value)) refuse("an instance of a class", "use a plain object");
  if (typeof (value as { readonly toJSON?: unknown }).toJSON === "function")
    refuse("an object with a toJSON method", "pass what it returns");
  if (isArray) {
    // By index: `for...of` and `forEach` would not tell a hole from `undefined`, and both are refused.
    for (let index = 0; index < value.length; index += 1) checkJsonValue(value[index], depth + 1);
    return;
  }
  for (const name of Object.keys(value)) {
    const property = (value as Readonly<Record<string, unknown>>)[name];
    if (property !== undefined) checkJsonValue(property, depth + 1);
  }
}
