import { types } from "node:util";
import { fromByteText } from "./byte-text.ts";
import { readBytes, readParsed } from "./read-source.ts";

/*
 * Canonical JSON: what two request bodies must share to be the same request.
 *
 * The rule
 * - The order of properties, white space between tokens, and the spelling of numbers (`1` = `1.0` = `1e0`, `-0` = `0`) and of string
 *   escapes (`"\u0041"` = `"A"`, `"\/"` = `"/"`) say nothing: they are dropped.
 * - Everything else says something and is kept apart: the order of arrays, `1` and `"1"`, an absent property and one that is `null`,
 *   composed and decomposed Unicode (NFC, NFD), each lone surrogate, `__proto__` like any other name, every digit of every number.
 * - What has no one reading is refused: bytes that are not UTF-8 and names that occur twice (decoders and parsers differ on them, and
 *   most fold several bodies into one), a byte order mark, nesting deeper than 256, more than 100,000 properties in one object,
 *   more than a million values.
 *
 * The form is JSON itself: no white space, names sorted by UTF-16 units, strings as `JSON.stringify` writes them, numbers laid out as
 * ECMAScript does. For every value made of doubles it is the output of RFC 8785 (JSON Canonicalization Scheme), byte for byte. Beyond that
 * scheme, a number keeps all of its digits even where a double would round them away, and lone surrogates stand as `\ud800` and the like.
 *
 * Why it is injective: reading the form as JSON gives the value back, exact numbers included. So two values with one form are one value.
 * Joining fields with a separator has no such way back ("a\0b", "c" and "a", "b\0c" are one text), and neither has a double
 * (9007199254740993 and ...992) nor UTF-8 made from lone surrogates (all become U+FFFD).
 *
 * What it does not do: NaN, infinities, holes, class instances and objects with `toJSON` are refused rather than guessed at when a parsed
 * value is given; `undefined` properties are absent, as over the wire. A parsed value has lost what its parser lost: whoever holds the
 * bytes should give the bytes.
 *
 * Sources: RFC 8259; RFC 8785; ECMA-262 6.1.6.1.20 Number::toString and 25.5.2 JSON.stringify (well-formed since 2019).
 */

/**
 * The canonical JSON text of a value, or of the JSON in a `Uint8Array`. Equal for two requests that mean the same, different for all others.
 * @throws {CacheError} ERR_CACHE_INVALID_REQUEST when the bytes are not UTF-8, not JSON, ambiguous (a name twice), nested deeper than
 * 256, has an object of more than 100,000 properties, or more than a million values; or when the value holds what JSON cannot write (NaN, a
 * bigint, a class instance)
 */
export function canonicalJson(source: unknown): string {
  const reader = types.isUint8Array(source) ? readBytes(source) : readParsed(source);
  return fromByteText(reader.readValue());
}
