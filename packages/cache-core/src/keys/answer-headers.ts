import { describeValue } from "../check-option.ts";
import { CacheError } from "../errors.ts";

/** Headers as `node:http` gives them, any record of names and values, or pairs such as a `Headers` object or a `Map` has. */
export type RequestHeaders =
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | Iterable<readonly [name: string, value: string]>;

const PREFIX = "anthropic-";

/** Which account pays and which betas are on: they select models, limits and behaviour. */
const NAMES: ReadonlySet<string> = new Set(["openai-organization", "openai-project", "openai-beta"]);

/** "an" and "op", as two bytes. */
const STARTS_AN = 0x616e;
const STARTS_OP = 0x6f70;

/** Whether a header, by its lower-case name, is part of the key: `anthropic-*`, `openai-organization`, `openai-project`, `openai-beta`. */
export function isAnswerHeader(name: string): boolean {
  return name.startsWith(PREFIX) || NAMES.has(name);
}

function isPairs(headers: RequestHeaders): headers is Iterable<readonly [string, string]> {
  return Symbol.iterator in headers;
}

/** Two characters decide for nearly every header: this runs on the path of every hit. */
function mayCount(name: string): boolean {
  const start = ((name.charCodeAt(0) | 32) << 8) | (name.charCodeAt(1) | 32);
  return start === STARTS_AN || start === STARTS_OP;
}

/** The pairs that may count by their lower-case names: values of one name are joined, as `node:http` and `Headers` do (RFC 9110, 5.3). */
function joinPairs(pairs: Iterable<readonly [name: string, value: string]>): Record<string, string> {
  const record: Record<string, string> = {};
  for (const [name, value] of pairs) {
    if (!mayCount(name)) continue;
    const lower = name.toLowerCase();
    record[lower] = lower in record ? `${record[lower]}, ${value}` : value;
  }
  return record;
}

/** Values given one by one mean what they mean joined. @throws {CacheError} ERR_CACHE_INVALID_OPTION for what is no header's value */
function textOf(name: string, value: string | readonly string[]): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.join(", ");
  throw new CacheError("ERR_CACHE_INVALID_OPTION", `header ${name} must be a string or an array of strings, got ${describeValue(value)}`);
}

/** The headers that are part of the key, as JSON of sorted pairs of lower-case name and value; `""` when there are none. */
export function selectAnswerHeaders(headers: RequestHeaders): string {
  const record: Readonly<Record<string, string | readonly string[] | undefined>> = isPairs(headers) ? joinPairs(headers) : headers;
  let selected: Array<readonly [name: string, value: string]> | undefined;
  for (const name in record) {
    if (!mayCount(name)) continue;
    const value = record[name];
    const lower = name.toLowerCase();
    if (value !== undefined && isAnswerHeader(lower)) {
      selected ??= [];
      selected.push([lower, textOf(lower, value)]);
    }
  }
  if (selected === undefined) return "";
  return JSON.stringify(selected.map((pair) => JSON.stringify(pair)).sort());
}
