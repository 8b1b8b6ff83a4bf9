import { randomBytes } from "node:crypto";

/** A whole number that JavaScript may not be able to hold, in JSON or in a string of it. */
const LONG = /(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g;
/** What stands for such a number while it is looked at: nobody outside can have written it. */
const MARK = `larder:${randomBytes(12).toString("hex")}:`;
const MARKED = new RegExp(`"${MARK}(-?\\d+)"`, "g");

/** Digits that a number has at least to be looked at. */
const LONG_DIGITS = 16;

/** Whether `markLongNumbers` may find anything in a text. So many digits in a row cover one of the places that are looked at. */
export function mayHaveLongNumbers(text: string): boolean {
  for (let at = LONG_DIGITS - 1; at < text.length; at += LONG_DIGITS) {
    if (!isDigit(text.charCodeAt(at))) continue;
    let [from, to] = [at, at + 1];
    while (isDigit(text.charCodeAt(from - 1))) from -= 1;
    while (isDigit(text.charCodeAt(to))) to += 1;
    if (to - from >= LONG_DIGITS) return true;
  }
  return false;
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

/**
 * Puts texts in the place of whole numbers in a JSON text that `JSON.parse` would make others of, which begin past 2^53: ids of many services are such
 * numbers, and models write them into the input of tools. What is written anew goes through `restoreLongNumbers`.
 */
export function markLongNumbers(json: string): string {
  let marked = "";
  let done = 0;
  let isString = false;
  let quotesFrom = 0;
  for (const { 0: digits, index } of json.matchAll(LONG)) {
    for (let quote = json.indexOf('"', quotesFrom); quote >= 0 && quote < index; quote = json.indexOf('"', quotesFrom)) {
      if (!isString || !isEscaped(json, quote)) isString = !isString;
      quotesFrom = quote + 1;
    }
    if (isString || String(Number(digits)) === digits) continue;
    marked += `${json.slice(done, index)}"${MARK}${digits}"`;
    done = index + digits.length;
  }
  return done === 0 ? json : marked + json.slice(done);
}

/** Puts the numbers back. */
export function restoreLongNumbers(json: string): string {
  return json.includes(MARK) ? json.replace(MARKED, "$1") : json;
}

function isEscaped(json: string, at: number): boolean {
  let slashes = 0;
  while (json[at - slashes - 1] === "\\") slashes += 1;
  return slashes % 2 === 1;
}
