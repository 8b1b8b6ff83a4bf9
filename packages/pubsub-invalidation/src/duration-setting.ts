import { CacheError, describeValue } from "@larder/cache-core";

/**
 * Reads a duration in milliseconds from a setting's text, such as an environment variable. Whole milliseconds only: "60s" would
 * otherwise be read as 60 ms somewhere, and "0" as "use the default".
 * @param name the setting, for the error
 * @param text what it says; `undefined` or empty = not set
 * @param defaultMs what holds when it is not set, in milliseconds
 * @throws {CacheError} ERR_CACHE_INVALID_OPTION for anything but a whole number of milliseconds from 1 to 2^53 - 1, or `Infinity` for "never"
 */
export function durationSetting(name: string, text: string | undefined, defaultMs: number): number {
  const trimmed = text?.trim();
  if (trimmed === undefined || trimmed === "") return defaultMs;
  if (trimmed === "Infinity") return Infinity;
  const value = /^\d+$/.test(trimmed) ? Number(trimmed) : Number.NaN;
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new CacheError(
    "ERR_CACHE_INVALID_OPTION",
    `${name} must be a whole number of milliseconds > 0, such as 60000, got ${describeValue(trimmed)}`,
  );
}
