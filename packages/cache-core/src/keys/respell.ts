const HIGH_SURROGATES = 0xd800;
const LOW_SURROGATES = 0xdc00;
const SURROGATES_END = 0xdfff;

/** The value of a hexadecimal digit; negative for any other character, NaN included. */
function digitAt(token: string, index: number): number {
  const code = token.charCodeAt(index);
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 0x20;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/** The code unit of the escape whose backslash is at `index`; `undefined` when it is not `\\u` and four hexadecimal digits. */
function unitAt(token: string, index: number): number | undefined {
  if (token.charCodeAt(index) !== 92 || token.charCodeAt(index + 1) !== 117) return undefined;
  const high = (digitAt(token, index + 2) << 4) | digitAt(token, index + 3);
  const unit = (high << 8) | (digitAt(token, index + 4) << 4) | digitAt(token, index + 5);
  return unit < 0 ? undefined : unit;
}

/** UTF-8 as byte text, of a code point from U+0080 on that is no surrogate. */
function encode(point: number): string {
  const last = (point & 0x3f) | 0x80;
  if (point < 0x800) return String.fromCharCode((point >> 6) | 0xc0, last);
  const middle = ((point >> 6) & 0x3f) | 0x80;
  if (point < 0x10000) return String.fromCharCode((point >> 12) | 0xe0, middle, last);
  return String.fromCharCode((point >> 18) | 0xf0, ((point >> 12) & 0x3f) | 0x80, middle, last);
}

/** A code unit as `JSON.stringify` writes it: lone surrogates stay escapes, in lower case. */
function spell(unit: number): string {
  if (unit < 0x80) return JSON.stringify(String.fromCharCode(unit)).slice(1, -1);
  if (unit >= HIGH_SURROGATES && unit <= SURROGATES_END) return `\\u${unit.toString(16)}`;
  return encode(unit);
}

/**
 * The canonical spelling of a string token (byte text, with its quotes) that has `\\u` or `\\/` in it: such as JSON written for ASCII alone,
 * where every accent is an escape. Only the escapes are looked at; what lies between is copied.
 * @returns `undefined` when a `\\u` is not followed by four hexadecimal digits
 */
export function respell(token: string): string | undefined {
  let spelled = "";
  let copied = 0;
  let index = token.indexOf("\\");
  while (index >= 0) {
    const escaped = token.charCodeAt(index + 1);
    let next = index + 2;
    if (escaped === 47) {
      spelled += token.slice(copied, index);
      copied = index + 1;
    } else if (escaped === 117) {
      const unit = unitAt(token, index);
      if (unit === undefined) return undefined;
      next = index + 6;
      const isHigh = unit >= HIGH_SURROGATES && unit < LOW_SURROGATES;
      const low = isHigh ? unitAt(token, next) : undefined;
      spelled += token.slice(copied, index);
      if (low !== undefined && low >= LOW_SURROGATES && low <= SURROGATES_END) {
        next += 6;
        spelled += encode(0x10000 + ((unit - HIGH_SURROGATES) << 10) + (low - LOW_SURROGATES));
      } else spelled += spell(unit);
      copied = next;
    }
    index = token.indexOf("\\", next);
  }
  return spelled + token.slice(copied);
}
