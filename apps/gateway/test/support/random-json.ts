import type { SeededRandom } from "@larder/cache-testing";

/** A JSON number as it is to be spelled. */
export class Spelled {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
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
export function text(random: SeededRandom): string {
  const short = shortText(random);
  return random.chance(0.03) ? short.repeat(300) : short;
}

function shortText(random: SeededRandom): string {
  const parts = Array.from({ length: 1 + random.integer(5) }, () => random.pick(TEXTS));
  return parts.join(random.pick(["", " ", "\n"]));
}

/** Any JSON, not very large. @param depth how deep it may be */
function anything(random: SeededRandom, depth: number): unknown {
  const roll = random.integer(depth <= 0 ? 5 : 7);
  if (roll === 0) return null;
  if (roll === 1) return random.chance(0.5);
  if (roll === 2) return new Spelled(random.pick(NUMBERS));
  if (roll <= 4) return shortText(random);
  if (roll === 5) return Array.from({ length: random.integer(4) }, () => anything(random, depth - 1));
  return unknownFields(random, depth - 1);
}

/** Fields that nobody knows. */
export function unknownFields(random: SeededRandom, depth = 2): Json {
  const fields: Json = {};
  while (random.chance(0.4)) fields[random.pick(NAMES)] = anything(random, depth);
  return fields;
}

/** A deep value, as agents' tools give. */
export function deep(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { deeper: value };
  return value;
}

/** Writes JSON in one of its many spellings. */
export function spell(random: SeededRandom, value: unknown): string {
  const isSpaced = random.chance(0.3);
  const escapes = random.pick([0, 0, 0.05, 0.5]);
  const space = (): string => (isSpaced && random.chance(0.4) ? random.pick([" ", "\t", "  "]) : "");
  const line = (): string => (isSpaced && random.chance(0.2) ? random.pick(["\n", "\r\n  "]) : space());
  const quote = (plain: string): string => {
    const json = JSON.stringify(plain);
    if (escapes === 0) return json;
    const toEscape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
    return json.replace(/\\u[0-9a-f]{4}|\\.|[\ud800-\udbff][\udc00-\udfff]|[^"\\]/g, (unit) => {
      if (unit.startsWith("\\") || !random.chance(escapes)) return unit === "/" && random.chance(escapes) ? "\\/" : unit;
      const escaped =
        [...unit].length === 1 && unit.length === 2 ? toEscape(unit[0] as string) + toEscape(unit[1] as string) : toEscape(unit);
      return random.chance(0.5) ? escaped.toUpperCase().replaceAll("\\U", "\\u") : escaped;
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
  integer: () => 0,
  chance: () => false,
  pick: <T>(values: readonly T[]): T => values[0] as T,
} as unknown as SeededRandom;

/** Cuts a text anywhere, in the middle of a surrogate pair included. */
export function pieces(random: SeededRandom, whole: string): string[] {
  const cut: string[] = [];
  for (let at = 0; at < whole.length; ) {
    const length = 1 + random.integer(random.chance(0.2) ? 40 : 8);
    cut.push(whole.slice(at, at + length));
    at += length;
  }
  return cut;
}
