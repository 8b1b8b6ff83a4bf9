import fc from "fast-check";

/** A JSON value as a tree, so that a test can write it down in many spellings, and with what JavaScript values cannot hold. */
export type JsonTree =
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "number"; readonly digits: bigint; readonly exponent: number }
  | { readonly kind: "literal"; readonly word: "true" | "false" | "null" }
  | { readonly kind: "array"; readonly items: readonly JsonTree[] }
  | { readonly kind: "object"; readonly members: ReadonlyArray<readonly [name: string, value: JsonTree]> };

const interesting = [
  "",
  "a",
  "b",
  "1",
  "a\0b",
  "b\0c",
  "\u00e9",
  "e\u0301",
  "\ud800",
  "\ud801",
  "\udc00",
  "\u{1f600}",
  "\ufb33",
  '"',
  "\\",
  "/",
  "__proto__",
  "constructor",
  "\n",
  " ",
];
const text = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...interesting) },
  { weight: 1, arbitrary: fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 4 }).map((units) => String.fromCharCode(...units)) },
);
const number = fc.oneof(
  fc.record({ digits: fc.bigInt({ min: -12n, max: 12n }), exponent: fc.integer({ min: -2, max: 2 }) }),
  fc.record({ digits: fc.bigInt({ min: 2n ** 53n - 2n, max: 2n ** 53n + 2n }), exponent: fc.constantFrom(0, -16, 3) }),
  fc.record({ digits: fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), exponent: fc.integer({ min: -420, max: 420 }) }),
);

/** Small trees from a small stock, so that two of them are often equal or nearly so. */
export const jsonTree: fc.Arbitrary<JsonTree> = fc.letrec<{ tree: JsonTree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    text.map((value): JsonTree => ({ kind: "string", text: value })),
    number.map((value): JsonTree => ({ kind: "number", ...value })),
    fc.constantFrom("true" as const, "false" as const, "null" as const).map((word): JsonTree => ({ kind: "literal", word })),
    fc.array(tie("tree"), { maxLength: 3 }).map((items): JsonTree => ({ kind: "array", items })),
    fc
      .uniqueArray(fc.tuple(text, tie("tree")), { maxLength: 4, selector: ([name]) => name })
      .map((members): JsonTree => ({ kind: "object", members })),
  ),
})).tree;

/** What a tree is, by a second and independent reckoning: equal texts for equal values, slow and plain. */
export function identityOf(tree: JsonTree): string {
  const units = (value: string): string => [...Array(value.length).keys()].map((index) => value.charCodeAt(index)).join(".");
  switch (tree.kind) {
    case "string":
      return `S(${units(tree.text)})`;
    case "literal":
      return tree.word;
    case "array":
      return `A(${tree.items.map(identityOf).join(",")})`;
    case "object":
      return `O(${tree.members
        .map(([name, value]) => `${units(name)}=${identityOf(value)}`)
        .sort()
        .join(",")})`;
    case "number": {
      let { digits, exponent } = tree;
      if (digits === 0n) return "N(0)";
      while (digits % 10n === 0n) {
        digits /= 10n;
        exponent += 1;
      }
      return `N(${digits}e${exponent})`;
    }
  }
}

/** Where a writer's choices come from: an index below `count`. */
export type Choose = (count: number) => number;

function writeString(value: string, choose: Choose): string {
  let written = "";
  for (const character of value) {
    const code = character.codePointAt(0) as number;
    const units = [...Array(character.length).keys()].map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`);
    const escaped = choose(2) === 0 ? units.join("") : units.join("").toUpperCase().replaceAll("\\U", "\\u");
    const plain = JSON.stringify(character).slice(1, -1);
    const isLone = character.length === 1 && code >= 0xd800 && code <= 0xdfff;
    if (isLone || choose(4) === 0) written += escaped;
    else written += character === "/" && choose(2) === 0 ? "\\/" : plain;
  }
  // Two lone surrogates that were not a pair stay apart only because they were not one in `value`; a pair was iterated as one.
  return `"${written}"`;
}

function writeNumber(digits: bigint, exponent: number, choose: Choose): string {
  if (digits === 0n) return ["0", "-0", "0.0", "0e5", "-0.00E-3"][choose(5)] as string;
  const sign = digits < 0n ? "-" : "";
  let text = String(digits < 0n ? -digits : digits);
  let power = exponent;
  for (let zeros = choose(3); zeros > 0; zeros -= 1) {
    text += "0";
    power -= 1;
  }
  const mark = choose(2) === 0 ? "e" : "E";
  const point = choose(text.length + 1);
  if (point > 0 && point < text.length) {
    power += text.length - point;
    text = `${text.slice(0, point)}.${text.slice(point)}`;
  }
  if (power === 0 && choose(2) === 0) return sign + text;
  if (power < 0 && power > -30 && !text.includes(".") && choose(2) === 0) {
    const padded = text.padStart(-power + 1, "0");
    return `${sign}${padded.slice(0, padded.length + power)}.${padded.slice(power)}`;
  }
  return `${sign}${text}${mark}${power < 0 ? "-" : ["", "+", "0", "+00"][choose(4)]}${Math.abs(power)}`;
}

/** The tree as JSON text, with order, white space, escapes and number spelling as `choose` says. */
export function writeTree(tree: JsonTree, choose: Choose): string {
  const space = (): string => ["", "", "", " ", "\n", "\t\r "][choose(6)] as string;
  switch (tree.kind) {
    case "string":
      return writeString(tree.text, choose);
    case "literal":
      return tree.word;
    case "number":
      return writeNumber(tree.digits, tree.exponent, choose);
    case "array":
      return `[${space()}${tree.items.map((item) => space() + writeTree(item, choose) + space()).join(",")}]`;
    case "object": {
      const members = tree.members.map(
        ([name, value]) => `${space()}${writeString(name, choose)}${space()}:${space()}${writeTree(value, choose)}${space()}`,
      );
      for (let index = members.length - 1; index > 0; index -= 1) {
        const other = choose(index + 1);
        [members[index], members[other]] = [members[other] as string, members[index] as string];
      }
      return `{${space()}${members.join(",")}}`;
    }
  }
}

/** A chooser that repeats for a seed. */
export function chooserOf(seed: number): Choose {
  let state = seed >>> 0;
  return (count) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * count);
  };
}

/** Runs of a property: `LARDER_PROPERTY_RUNS`, else few enough for every day. */
export function propertyRuns(usual: number): number {
  const asked = Number(process.env.LARDER_PROPERTY_RUNS);
  return Number.isInteger(asked) && asked > 0 ? asked : usual;
}
