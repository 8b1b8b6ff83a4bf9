/** A JSON number as it is to be spelled. */
export class Spelled {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Chance that a seed repeats. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  is(probability: number): boolean {
    return this.next() < probability;
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}

/** An object of JSON. */
export type Json = { [field: string]: unknown };

const TEXTS = [
  "",
  "a",
  "two words",
  'quotes " and \\ and / and \n\r\t',
  "naïve café — déjà vu",
  "\u{1f600}\u{1f468}\u200d\u{1f469}",
  "data: [DONE]",
  '"error"',
  'event: error\n\ndata: {"choices":[]}',
  "\u2028\u2029\ufeff\u0000\u001f\u007f",
  '"content":"x"',
  "[DONE]",
  "\ud83d",
  "ende\u0301 한국어 日本語 العربية",
  '{"choices":[],"usage":{}}',
];
const NAMES = [
  "x_custom",
  "vendor",
  "__proto__x",
  "constructor",
  "x-dash",
  "ключ",
  "nested",
  "content_filter_results",
  "choices_",
  "usage_",
];
const NUMBERS = [
  "0",
  "-0",
  "1",
  "1.0",
  "1e2",
  "-1.5E-3",
  "1152921504606846976",
  "9007199254740993",
  "-9007199254740993",
  "0.1",
  "123456789012345678901234567890",
  "1e-400",
  "1E+2",
];

/** A text with what is easily broken, now and then a long one. */
export function text(chance: Chance): string {
  const short = shortText(chance);
  return chance.is(0.03) ? short.repeat(300) : short;
}

function shortText(chance: Chance): string {
  const parts = Array.from({ length: 1 + chance.below(5) }, () => chance.of(TEXTS));
  return parts.join(chance.of(["", " ", "\n"]));
}

/** Any JSON, not very large. @param depth how deep it may be */
function anything(chance: Chance, depth: number): unknown {
  const roll = chance.below(depth <= 0 ? 5 : 7);
  if (roll === 0) return null;
  if (roll === 1) return chance.is(0.5);
  if (roll === 2) return new Spelled(chance.of(NUMBERS));
  if (roll <= 4) return shortText(chance);
  if (roll === 5) return Array.from({ length: chance.below(4) }, () => anything(chance, depth - 1));
  return unknownFields(chance, depth - 1);
}

/** Fields that nobody knows. */
export function unknownFields(chance: Chance, depth = 2): Json {
  const fields: Json = {};
  while (chance.is(0.4)) fields[chance.of(NAMES)] = anything(chance, depth);
  return fields;
}

/** A deep value, as agents' tools give. */
export function deep(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { deeper: value };
  return value;
}

/** Writes JSON in one of its many spellings. */
export function spell(chance: Chance, value: unknown): string {
  const isSpaced = chance.is(0.3);
  const escapes = chance.of([0, 0, 0.05, 0.5]);
  const space = (): string => (isSpaced && chance.is(0.4) ? chance.of([" ", "\t", "  "]) : "");
  const line = (): string => (isSpaced && chance.is(0.2) ? chance.of(["\n", "\r\n  "]) : space());
  const quote = (plain: string): string => {
    const json = JSON.stringify(plain);
    if (escapes === 0) return json;
    const toEscape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
    return json.replace(/\\u[0-9a-f]{4}|\\.|[\ud800-\udbff][\udc00-\udfff]|[^"\\]/g, (unit) => {
      if (unit.startsWith("\\") || !chance.is(escapes)) return unit === "/" && chance.is(escapes) ? "\\/" : unit;
      const escaped =
        [...unit].length === 1 && unit.length === 2 ? toEscape(unit[0] as string) + toEscape(unit[1] as string) : toEscape(unit);
      return chance.is(0.5) ? escaped.toUpperCase().replaceAll("\\U", "\\u") : escaped;
    });
  };
  const write = (inner: unknown): string => {
    if (inner instanceof Spelled) return inner.text;
    if (typeof inner === "string") return quote(inner);
    if (Array.isArray(inner)) return `[${inner.map((item) => space() + write(item) + space()).join(",")}]`;
    if (typeof inner === "object" && inner !== null)
      return `{${Object.entries(inner)
        .filter(([, field]) => field !== undefined)
        .map(([name, field]) => `${line()}${JSON.stringify(name)}${space()}:${space()}${write(field)}`)
        .join(",")}${space()}}`;
    return JSON.stringify(inner);
  };
  return write(value);
}

/** Writes JSON as most servers do. */
export function spellPlainly(value: unknown): string {
  return spell(PLAIN, value);
}

/** Never anything but the first of what there is to choose. */
const PLAIN = {
  next: () => 0.999,
  below: () => 0,
  is: () => false,
  of: <T>(values: readonly T[]): T => values[0] as T,
} as unknown as Chance;

/** Cuts a text anywhere, in the middle of a surrogate pair included. */
export function pieces(chance: Chance, whole: string): string[] {
  const cut: string[] = [];
  for (let at = 0; at < whole.length; ) {
    const length = 1 + chance.below(chance.is(0.2) ? 40 : 8);
    cut.push(whole.slice(at, at + length));
    at += length;
  }
  return cut;
}
