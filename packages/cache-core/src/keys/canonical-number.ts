import { invalidRequest } from "./invalid-request.ts";

const GRAMMAR = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** Longest token whose digits a double keeps apart: 15 significant decimal digits survive (DBL_DIG of IEEE 754 binary64). */
const SAFE_TOKEN_LENGTH = 15;

/** Longest exponent read. Beyond it the arithmetic on exponents would itself need big integers, and nobody means such a number. */
const MAX_EXPONENT_DIGITS = 12;

/** The layout that ECMA-262 Number::toString gives to `0.digits * 10^point`, for any count of digits. */
function layOut(digits: string, point: number): string {
  const count = digits.length;
  if (count <= point && point <= 21) return digits + "0".repeat(point - count);
  if (point > 0 && point <= 21) return `${digits.slice(0, point)}.${digits.slice(point)}`;
  if (point > -6 && point <= 0) return `0.${"0".repeat(-point)}${digits}`;
  const exponent = point - 1;
  const mantissa = count === 1 ? digits : `${digits[0]}.${digits.slice(1)}`;
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${Math.abs(exponent)}`;
}

/** Without leading and trailing zeros. Loops, not `/0+$/`: that backtracks in quadratic time over a megabyte of zeros. */
function significant(digits: string): { readonly start: number; readonly end: number } {
  let start = 0;
  let end = digits.length;
  while (start < end && digits.charCodeAt(start) === 48) start += 1;
  while (end > start && digits.charCodeAt(end - 1) === 48) end -= 1;
  return { start, end };
}

/** The value of a token with all of its digits, whatever a double would make of it. */
function exactNumber(token: string): string {
  const match = GRAMMAR.exec(token);
  if (match === null)
    throw invalidRequest("it is not valid JSON: a value is neither a string, a number, an object, an array, true, false nor null");
  const [, sign, whole = "", fraction = "", exponent = "0"] = match;
  const digits = whole + fraction;
  const { start, end } = significant(digits);
  if (start === end) return "0";
  const point = whole.length - start + Number(exponent);
  // Of the canonical form, too, which must be readable itself: `12e999999999999` has one digit more there.
  if (exponent.replace(/^[+-]?0*/, "").length > MAX_EXPONENT_DIGITS || Math.abs(point - 1) >= 10 ** MAX_EXPONENT_DIGITS)
    throw invalidRequest(`a number has an exponent of more than ${MAX_EXPONENT_DIGITS} digits`);
  return sign + layOut(digits.slice(start, end), point);
}

/**
 * The one spelling of a JSON number: equal values give equal texts and different values different texts, however many digits they have.
 * `1`, `1.0`, `1e0` and `10e-1` give `1`; `-0` gives `0`; `9007199254740993` keeps its last digit.
 *
 * The spelling is that of ECMAScript's own Number-to-string (and so of RFC 8785), extended to any count of digits. A token of at most
 * 15 characters without exponent goes through a double, which keeps it apart from every other such token; the rest is laid out by hand.
 * @throws {CacheError} ERR_CACHE_INVALID_REQUEST when the token is not a JSON number
 */
export function canonicalNumber(token: string): string {
  if (token.length > SAFE_TOKEN_LENGTH || !/^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(token)) return exactNumber(token);
  return String(Number(token));
}

/**
 * Whether a token is canonical as it is and `JSON.parse` keeps its value: so it is for everything that `JSON.stringify` or another writer
 * of shortest doubles has written. A quarter of the cost of laying a number out.
 */
export function isShortestDouble(token: string): boolean {
  const value = Number(token);
  return Number.isFinite(value) && String(value) === token;
}

/** Whether a canonical number reads the same once it was a double: `false` is where `JSON.parse` changes the value. */
export function survivesDouble(canonical: string): boolean {
  return canonical.length <= SAFE_TOKEN_LENGTH && !canonical.includes("e") ? true : String(Number(canonical)) === canonical;
}
