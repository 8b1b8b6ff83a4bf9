import { isWellFormed } from "./is-well-formed.ts";
import type { Lane } from "./lane.ts";

/** A key: where it lives and how it is spelt there. */
export interface Place {
  readonly lane: Lane;
  readonly key: string;
  /** The key as it is spelt in Redis. */
  readonly name: string;
}

const UTF16_MARK = "\u0000utf16:";

/**
 * How a key is spelt in Redis. UTF-8 has no lone surrogates: two keys that differ in them alone would be one there. A key that looks like such
 * a name is spelt the same way, or it would be one with the key that the name stands for.
 */
export function toName(key: string): string {
  return isWellFormed(key) && !key.startsWith(UTF16_MARK) ? key : UTF16_MARK + Buffer.from(key, "utf16le").toString("hex");
}

/** The key behind the name that it has in Redis. */
export function toKey(name: string): string {
  return name.startsWith(UTF16_MARK) ? Buffer.from(name.slice(UTF16_MARK.length), "hex").toString("utf16le") : name;
}
