import fc from "fast-check";
import { expect, test } from "vitest";
import { CacheError } from "../../src/index.ts";
import { canonicalNumber } from "../../src/keys/canonical-number.ts";
import { canonicalJson } from "../../src/keys.ts";
import { chooserOf, identityOf, jsonTree, propertyRuns, writeTree } from "./json-tree.ts";

const VALUES_A_RUN = 10;
const seed = fc.integer({ min: 0, max: 0xffffffff });
const bytesOf = (text: string): Buffer => Buffer.from(text, "utf8");

function outcome(read: () => unknown): "accepted" | "refused" {
  try {
    read();
    return "accepted";
  } catch {
    return "refused";
  }
}

test("two values have one canonical form exactly when they are one value", { timeout: 600_000 }, () => {
  // Each run compares all pairs of ten values: 22,223 runs make a million pairs.
  fc.assert(
    fc.property(fc.array(jsonTree, { minLength: VALUES_A_RUN, maxLength: VALUES_A_RUN }), seed, (trees, start) => {
      const forms = trees.map((tree, index) => canonicalJson(bytesOf(writeTree(tree, chooserOf(start + index)))));
      const identities = trees.map(identityOf);
      for (let a = 0; a < trees.length; a += 1)
        for (let b = a + 1; b < trees.length; b += 1)
          if ((forms[a] === forms[b]) !== (identities[a] === identities[b])) throw new Error(`${forms[a]} against ${forms[b]}`);
    }),
    { numRuns: propertyRuns(1000) },
  );
});

test("order of properties, white space and spelling do not change the form", { timeout: 600_000 }, () => {
  fc.assert(
    fc.property(jsonTree, seed, seed, (tree, one, other) => {
      expect(canonicalJson(bytesOf(writeTree(tree, chooserOf(one))))).toBe(canonicalJson(bytesOf(writeTree(tree, chooserOf(other)))));
    }),
    { numRuns: propertyRuns(2000) },
  );
});

test("the form is JSON that says the same and is its own form", { timeout: 600_000 }, () => {
  fc.assert(
    fc.property(jsonTree, seed, (tree, start) => {
      const form = canonicalJson(bytesOf(writeTree(tree, chooserOf(start))));
      expect(canonicalJson(bytesOf(form))).toBe(form);
      expect(outcome(() => JSON.parse(form))).toBe("accepted");
    }),
    { numRuns: propertyRuns(2000) },
  );
});

test("a value has the form of the JSON that JSON.stringify makes of it, and reads back as it was", { timeout: 600_000 }, () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary", noUnicodeString: false } as fc.JsonSharedConstraints), (value) => {
      const form = canonicalJson(value);
      expect(form).toBe(canonicalJson(bytesOf(JSON.stringify(value))));
      expect(JSON.parse(form)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: propertyRuns(600) },
  );
});

test("a double has the spelling that ECMAScript gives it", { timeout: 600_000 }, () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(canonicalNumber(JSON.stringify(value))).toBe(String(value + 0));
    }),
    { numRuns: propertyRuns(2000) },
  );
});

test("accepts exactly the texts that JSON.parse accepts", { timeout: 600_000 }, () => {
  const stock = [
    '"',
    "\\",
    "/",
    "u",
    "0",
    "1",
    "9",
    "-",
    "+",
    ".",
    "e",
    "E",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\n",
    "\t",
    "\f",
    "\u0001",
    "\u00a0",
    "\ufeff",
    "t",
    "true",
    "nul",
    "null",
    "a",
    '"a":',
    "\\u00e9",
    "\\ud800",
    "\\x",
    "\u{1f600}",
  ];
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.integer({ min: 0, max: 2 }),
    put: fc.constantFrom(...stock, ""),
  });
  fc.assert(
    fc.property(jsonTree, seed, fc.array(edit, { maxLength: 2 }), (tree, start, edits) => {
      let text = writeTree(tree, chooserOf(start));
      for (const { at, cut, put } of edits) {
        const index = Math.floor(at * text.length);
        text = text.slice(0, index) + put + text.slice(index + cut);
      }
      // What bytes can say: half of a pair, cut off by an edit, cannot be sent.
      text = bytesOf(text).toString();
      let refusal = "";
      try {
        canonicalJson(bytesOf(text));
      } catch (error) {
        if (!CacheError.is(error)) throw error;
        refusal = error.message;
      }
      if (refusal.includes("occurs twice")) return;
      expect(`${refusal === "" ? "accepted" : "refused"}: ${text}`).toBe(`${outcome(() => JSON.parse(text))}: ${text}`);
    }),
    { numRuns: propertyRuns(3000) },
  );
});
