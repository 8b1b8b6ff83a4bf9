import type { SetOptions } from "./cache.ts";
import { CacheError } from "./errors.ts";

/**
 * Names a refused value without quoting what may be a secret: numbers and booleans as they are, everything else by kind.
 */
export function describeValue(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "number" || typeof value === "boolean" || value === undefined) return String(value);
  if (typeof value === "string")
    return value.length <= 20 && /^[\w.:%+-]*$/.test(value) ? `the string "${value}"` : `a string of ${value.length} characters`;
  return Array.isArray(value) ? "an array" : `a value of type ${typeof value}`;
}

/** Refuses an option. @param expected what it must be @throws {CacheError} ERR_CACHE_INVALID_OPTION */
export function refuse(name: string, value: unknown, expected: string): never {
  throw new CacheError("ERR_CACHE_INVALID_OPTION", `${name} must be ${expected}, got ${describeValue(value)}`);
}

/** Passes a duration in milliseconds: a number > 0, or `Infinity` for "never". @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise */
export function checkDurationMs(name: string, value: unknown): number {
  if (typeof value !== "number" || !(value > 0)) refuse(name, value, "a number of milliseconds > 0 (Infinity = never)");
  return value as number;
}

/** Passes a duration that may also be 0 (= no such window). @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise */
export function checkWindowMs(name: string, value: unknown): number {
  if (typeof value !== "number" || !(value >= 0)) refuse(name, value, "a number of milliseconds >= 0");
  return value as number;
}

/** Passes an integer of at least `min`; `Infinity` passes. @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise */
export function checkCount(name: string, value: unknown, min = 1): number {
  if (typeof value !== "number" || !(value >= min) || (value !== Infinity && !Number.isInteger(value)))
    refuse(name, value, `an integer >= ${min}`);
  return value as number;
}

/** Passes a share from 0 to 1. @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise */
export function checkShare(name: string, value: unknown): number {
  if (typeof value !== "number" || !(value >= 0 && value <= 1)) refuse(name, value, "a number from 0 to 1");
  return value as number;
}

/** Passes a string of at least one character. @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise */
export function checkName(name: string, value: unknown): string {
  if (typeof value !== "string" || value.length === 0) refuse(name, value, "a string of at least one character");
  return value as string;
}

/** The names of all options of a kind: one that is added and not listed does not compile. */
export type OptionNames<Options> = Readonly<Record<keyof Options, true>>;

/** Those of `set`. */
export const SET_OPTIONS: OptionNames<SetOptions> = { ttlMs: true, tags: true };

/**
 * Lets options pass that are an object and have no names but these. A number in their place, a time to live as other caches take it, would count
 * for nothing, and so would `ttl` or `max`, as other caches call them, or what a Map holds: what should end in a minute would stay for ever.
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise
 */
export function checkOptions<Options>(options: Options, names: OptionNames<Options>): void {
  if (typeof options !== "object" || options === null || Symbol.iterator in options)
    refuse("options", options, "an object such as { ttlMs: 60_000 }");
  for (const name in options)
    if (!(name in names) && options[name] !== undefined) refuse("the name of an option", name, `one of ${Object.keys(names).join(", ")}`);
}

/** Passes an array. A string is no list of its letters, and a Map or a Set has no length: it would be taken for empty. @throws {CacheError} ERR_CACHE_INVALID_OPTION */
export function checkList<T>(name: string, list: readonly T[]): readonly T[] {
  if (!Array.isArray(list)) refuse(name, list, "an array");
  return list;
}

/** Passes the entries of a `setMany`: pairs, not the `{ key, value }` of other caches. Looked at before any is stored. @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise */
export function checkEntries<V>(entries: ReadonlyArray<readonly [key: string, value: V]>): ReadonlyArray<readonly [key: string, value: V]> {
  for (const entry of checkList("entries", entries)) if (!Array.isArray(entry)) refuse("each of entries", entry, "a pair [key, value]");
  return entries;
}

/** Passes a boolean. @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise */
export function checkFlag(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") refuse(name, value, "true or false");
  return value as boolean;
}

/** Passes a key: any string, the empty one too. @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise */
export function checkKey(key: unknown): string {
  if (typeof key !== "string") refuse("key", key, "a string");
  return key as string;
}

/** Passes a value: anything but `undefined`, which is the miss. @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise */
export function checkValue(value: unknown): void {
  if (value === undefined) throw new CacheError("ERR_CACHE_INVALID_OPTION", "value must not be undefined: undefined is the miss");
}

/** Passes a list of names; `undefined` is none. @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise: a string is no list of its letters */
export function checkTags(tags: unknown): readonly string[] {
  if (tags === undefined) return [];
  if (!Array.isArray(tags)) refuse("tags", tags, "an array of strings");
  for (const tag of tags as readonly unknown[]) checkName("each of tags", tag);
  return tags as readonly string[];
}

/** Passes a function. `whose`: what has one. @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise */
export function checkFunction<F>(name: string, value: F, whose = ""): F {
  if (typeof value !== "function") refuse(name, value, `a function${whose}`);
  return value;
}
