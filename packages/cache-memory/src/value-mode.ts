import { CacheError } from "@larder/cache-core";

/**
 * Who may change a value that is in the cache.
 * - `"shared"`: it is the very object that was set, the fastest; who changes it changes the cache.
 * - `"frozen"`: it is deeply frozen when set, the caller's object too: changing it throws in strict mode. What freezing does not protect, as a
 *   Map, a Date or a buffer, is copied as with `"cloned"`.
 * - `"cloned"`: a structured clone is stored and another one is handed out, so that changes are never seen by others; those alone who wait for one load of a `TieredCache` share what it made. For plain data: an instance of a
 *   class comes back without its class, a `Buffer` as a `Uint8Array`.
 */
export type ValueMode = "shared" | "frozen" | "cloned";

/** A value as it goes into the cache, and whether reads must copy it. */
export interface StoredValue<V> {
  readonly value: V;
  readonly isCopied: boolean;
}

/** A structured clone. @throws {CacheError} ERR_CACHE_CODEC for functions and other things that cannot be cloned */
export function copyValue<V>(value: V): V {
  if (typeof value !== "object" || value === null) {
    if (typeof value !== "function" && typeof value !== "symbol") return value;
  }
  try {
    return structuredClone(value);
  } catch {
    // The clone's own error quotes the value.
    throw new CacheError("ERR_CACHE_CODEC", `a value of type ${typeof value} cannot be cloned: use values: "shared", or set plain data`);
  }
}

/** Freezes or copies a value on its way in. */
export function storeValue<V>(value: V, mode: ValueMode): StoredValue<V> {
  if (typeof value !== "object" || value === null) return { value: mode === "cloned" ? copyValue(value) : value, isCopied: false };
  if (mode === "frozen" && isFreezable(value)) {
    freeze(value);
    return { value, isCopied: false };
  }
  return { value: copyValue(value), isCopied: true };
}

/** A value on its way out: what is deeply frozen goes as it is, and so does what `storeValue` neither froze nor copied, as a function. */
export function readValue<V>(value: V, mode: ValueMode): V {
  return mode === "frozen" && (typeof value !== "object" || Object.isFrozen(value)) ? value : copyValue(value);
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The objects inside a value, itself included, each once. */
function nodesOf(root: object): Set<object> {
  const nodes = new Set<object>([root]);
  for (const node of nodes) {
    // What is not plain is not looked into: one such node makes the whole value a copied one.
    if (!isPlain(node)) continue;
    for (const { value } of fieldsOf(node)) {
      if (typeof value === "object" && value !== null) nodes.add(value);
    }
  }
  return nodes;
}

/** All of its own fields, those with a symbol for a name and those that are not enumerated too: what they hold can be changed as well. */
function fieldsOf(node: object): readonly PropertyDescriptor[] {
  return Reflect.ownKeys(node).map((name) => Object.getOwnPropertyDescriptor(node, name)!);
}

/** Whether freezing protects all of it: plain objects and arrays. A frozen Map, Date or buffer can still be changed. */
function isFreezable(value: object): boolean {
  for (const node of nodesOf(value)) {
    if (!isPlain(node) || fieldsOf(node).some((field) => field.get ?? field.set)) return false;
  }
  return true;
}

function freeze(value: object): void {
  for (const node of nodesOf(value)) Object.freeze(node);
}
