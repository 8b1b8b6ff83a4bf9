import { fromByteText } from "./byte-text.ts";
import { canonicalNumber, isShortestDouble, survivesDouble } from "./canonical-number.ts";
import { invalidRequest } from "./invalid-request.ts";
import { respell } from "./respell.ts";
import { type Member, sortMembers } from "./sort-members.ts";

/** Objects and arrays that may lie inside each other. The deepest schema a provider accepts is a tenth of it. */
export const MAX_DEPTH = 256;

/**
 * Properties of one object. Sorting a million names blocks the event loop for seconds, which a body of a few megabytes could ask for; the
 * largest objects that anyone sends, logit biases, have some thousands.
 */
export const MAX_PROPERTIES = 100_000;

/**
 * Values in all: texts, numbers, objects and lists. Each takes up to a microsecond, and 20 MB can hold ten million of them: `[[],[],…]` held up
 * everyone else for seconds. The most that anyone sends are tokens by their numbers, and a model's context has room for about so many.
 */
export const MAX_VALUES = 1_000_000;

const QUOTE = 34;
const COMMA = 44;
const SLASH = 47;
const COLON = 58;
const OPEN_ARRAY = 91;
const BACKSLASH = 92;
const CLOSE_ARRAY = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\0-\x1f]/;
const NOT_ASCII = /[\x80-\xff]/;

function malformed(): Error {
  return invalidRequest("it is not valid JSON");
}

/** What a byte text needs besides itself. */
export interface CanonicalReaderOptions {
  /** Whether every character is below 0x80. */
  readonly isAscii: boolean;
  /** Whether there is a control character anywhere, so that each string must be asked. Compact JSON has none. */
  readonly hasControls: boolean;
}

/**
 * Reads JSON from byte text straight into canonical form, in one pass and without making the values.
 *
 * Why not `JSON.parse`, sort, `JSON.stringify`: that decodes the text, builds every value, and escapes every string again, to arrive at
 * bytes that were mostly there already. This reader hops from quote to quote (`indexOf` is `memchr`), takes strings as slices of the
 * input, and reorders slices. It also sees what `JSON.parse` hides: digits past double precision, and names that occur twice.
 *
 * What is canonical is told in canonical-json.ts. The grammar is RFC 8259, strictly: everything that `JSON.parse` refuses is refused
 * here, which the tests hold against `JSON.parse` on mutated texts.
 */
export class CanonicalReader {
  readonly #text: string;
  readonly #isAscii: boolean;
  readonly #hasControls: boolean;
  #at = 0;
  /** The first backslash at or after the string being read; past the end when there is none. */
  #nextBackslash = -1;
  /** Whether the string read last has a backslash. */
  #hasEscape = false;
  /** What was not canonical so far. A value during which it does not move is a slice of the input as it is. */
  #changes = 0;
  #values = 0;
  /** Whether `JSON.parse` gives the numbers read so far without loss. */
  #isExact = true;

  constructor(text: string, options: CanonicalReaderOptions) {
    this.#text = text;
    this.#isAscii = options.isAscii;
    this.#hasControls = options.hasControls;
  }

  /** Whether every number read is a double: `false` means that `JSON.parse` would change one. */
  get isExact(): boolean {
    return this.#isExact;
  }

  /** The whole text as one value. @throws {CacheError} ERR_CACHE_INVALID_REQUEST */
  readValue(): string {
    const form = this.#value(0);
    this.#expectEnd();
    return form;
  }

  /** The whole text as an object: its members, sorted by name. @throws {CacheError} ERR_CACHE_INVALID_REQUEST */
  readMembers(): Member[] {
    if (this.#skipSpace() !== OPEN_OBJECT) throw this.#text.length === 0 ? malformed() : invalidRequest("it is not a JSON object");
    const members = this.#members(1);
    this.#expectEnd();
    return members;
  }

  /** The items, in order, of a text that is an array's canonical form. */
  readItems(): string[] {
    return this.#items(1);
  }

  #expectEnd(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) throw malformed();
  }

  /** @returns the code of the first character that is not white space; NaN at the end */
  #skipSpace(): number {
    const text = this.#text;
    let code = text.charCodeAt(this.#at);
    if (code > 32) return code;
    while (code === 32 || code === 10 || code === 13 || code === 9) {
      this.#changes += 1;
      code = text.charCodeAt(++this.#at);
    }
    return code;
  }

  #value(depth: number): string {
    this.#values += 1;
    if (this.#values > MAX_VALUES) throw invalidRequest(`it has more than ${MAX_VALUES} values`);
    const code = this.#skipSpace();
    if (code === QUOTE) return this.#string();
    if (code === OPEN_OBJECT) return this.#object(depth + 1);
    if (code === OPEN_ARRAY) return this.#array(depth + 1);
    if (code === 116) return this.#literal("true");
    if (code === 102) return this.#literal("false");
    if (code === 110) return this.#literal("null");
    return this.#number(code);
  }

  #literal(word: string): string {
    if (!this.#text.startsWith(word, this.#at)) throw malformed();
    this.#at += word.length;
    return word;
  }

  #number(first: number): string {
    const text = this.#text;
    const start = this.#at;
    let code = first;
    if (code >= 49 && code <= 57) {
      // The common case, a plain integer, is its own canonical form while a double can hold all such integers apart.
      do code = text.charCodeAt(++this.#at);
      while (code >= 48 && code <= 57);
      if (code !== 46 && code !== 101 && code !== 69 && this.#at - start <= 15) return text.slice(start, this.#at);
    }
    while ((code >= 48 && code <= 57) || code === 45 || code === 46 || code === 43 || code === 101 || code === 69)
      code = text.charCodeAt(++this.#at);
    const token = text.slice(start, this.#at);
    if (isShortestDouble(token)) return token;
    const form = canonicalNumber(token);
    if (form !== token) this.#changes += 1;
    if (this.#isExact) this.#isExact = survivesDouble(form);
    return form;
  }

  /** A string in canonical form, with its quotes. */
  #string(): string {
    const text = this.#text;
    const start = this.#at;
    let end = text.indexOf('"', start + 1);
    if (this.#nextBackslash < start) this.#nextBackslash = this.#findBackslash(start);
    let isCanonical = true;
    this.#hasEscape = this.#nextBackslash < end;
    if (this.#hasEscape) {
      let backslash = this.#nextBackslash;
      while (backslash < end) {
        const escaped = text.charCodeAt(backslash + 1);
        // `\"` does not end the string; `\u` and `\/` have a shorter or another spelling; the other six are canonical as they are.
        if (escaped === QUOTE) {
          if (backslash + 1 === end) end = text.indexOf('"', end + 1);
        } else if (escaped === 117 || escaped === SLASH) isCanonical = false;
        else if (escaped !== BACKSLASH && !isShortEscape(escaped)) throw malformed();
        backslash = this.#findBackslash(backslash + 2);
      }
      this.#nextBackslash = backslash;
    }
    if (end < 0) throw malformed();
    this.#at = end + 1;
    const token = text.slice(start, end + 1);
    if (this.#hasControls && CONTROL.test(token)) throw malformed();
    if (isCanonical) return token;
    this.#changes += 1;
    const spelled = respell(token);
    if (spelled === undefined) throw malformed();
    return spelled;
  }

  #findBackslash(from: number): number {
    const found = this.#text.indexOf("\\", from);
    return found < 0 ? this.#text.length : found;
  }

  #array(depth: number): string {
    const start = this.#at;
    const before = this.#changes;
    const items = this.#items(depth);
    if (this.#changes === before) return this.#text.slice(start, this.#at);
    let form = "";
    for (const item of items) form += (form === "" ? "[" : ",") + item;
    return form === "" ? "[]" : `${form}]`;
  }

  #items(depth: number): string[] {
    checkDepth(depth);
    const items: string[] = [];
    this.#at += 1;
    if (this.#skipSpace() === CLOSE_ARRAY) {
      this.#at += 1;
      return items;
    }
    for (;;) {
      items.push(this.#value(depth));
      const next = this.#skipSpace();
      this.#at += 1;
      if (next === CLOSE_ARRAY) return items;
      if (next !== COMMA) throw malformed();
    }
  }

  #object(depth: number): string {
    const start = this.#at;
    const before = this.#changes;
    const members = this.#members(depth);
    if (this.#changes === before) return this.#text.slice(start, this.#at);
    return joinMembers(members);
  }

  #members(depth: number): Member[] {
    checkDepth(depth);
    const members: Member[] = [];
    this.#at += 1;
    if (this.#skipSpace() === CLOSE_OBJECT) {
      this.#at += 1;
      return members;
    }
    let isSorted = true;
    let last = "";
    for (;;) {
      if (this.#skipSpace() !== QUOTE) throw malformed();
      const start = this.#at;
      const before = this.#changes;
      const token = this.#string();
      const name = this.#nameOf(token);
      if (this.#skipSpace() !== COLON) throw malformed();
      this.#at += 1;
      if (members.length === MAX_PROPERTIES) throw invalidRequest(`an object has more than ${MAX_PROPERTIES} properties`);
      if (members.length > 0 && !(last < name)) isSorted = false;
      last = name;
      const form = this.#value(depth);
      members.push({ name, form, text: this.#changes === before ? this.#text.slice(start, this.#at) : `${token}:${form}` });
      const next = this.#skipSpace();
      this.#at += 1;
      if (next === CLOSE_OBJECT) break;
      if (next !== COMMA) throw malformed();
    }
    if (!isSorted) {
      this.#changes += 1;
      sortMembers(members);
    }
    return members;
  }

  /** What a name is sorted by and compared with: its UTF-16 text. */
  #nameOf(token: string): string {
    if (this.#hasEscape || (!this.#isAscii && NOT_ASCII.test(token))) return JSON.parse(fromByteText(token)) as string;
    return token.slice(1, -1);
  }
}

function checkDepth(depth: number): void {
  if (depth > MAX_DEPTH) throw invalidRequest(`it is nested deeper than ${MAX_DEPTH} levels`);
}

/** An object in canonical form from its sorted members. */
export function joinMembers(members: readonly Member[]): string {
  let form = "";
  for (const member of members) form += (form === "" ? "{" : ",") + member.text;
  return form === "" ? "{}" : `${form}}`;
}

/** `b`, `f`, `n`, `r`, `t`. */
function isShortEscape(code: number): boolean {
  return code === 110 || code === 116 || code === 114 || code === 98 || code === 102;
}
