import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { escapeGlob, matchesGlob } from "./glob.ts";

/** The meaning of a glob in three lines, exponential and obviously right. */
function matchesNaively(pattern: string, text: string): boolean {
  const [first, ...rest] = [...pattern];
  if (first === undefined) return text === "";
  if (first === "*") return matchesNaively(rest.join(""), text) || (text !== "" && matchesNaively(pattern, [...text].slice(1).join("")));
  const isEscape = first === "\\" && rest.length > 0;
  const literal = isEscape ? (rest.shift() as string) : first;
  const [character = "", ...others] = [...text];
  return text !== "" && ((first === "?" && !isEscape) || literal === character) && matchesNaively(rest.join(""), others.join(""));
}

describe("matchesGlob", () => {
  it.each([
    ["", "", true],
    ["*", "", true],
    ["*", "anything", true],
    ["a*c", "abbbc", true],
    ["a*c", "abbb", false],
    ["?", "a", true],
    ["?", "", false],
    ["a\\*", "a*", true],
    ["a\\*", "ab", false],
    ["\\?", "?", true],
    ["a\\", "a\\", true],
    ["[ab]", "a", false],
    ["[ab]", "[ab]", true],
    ["*a*b*", "xxaxxbxx", true],
    // What stands before a star is not matched once more behind it.
    ["ab*bc", "abc", false],
    ["ab*bc", "abbc", true],
    // An emoji is one character, of two units: an invalidation by `?` must not pass over it.
    ["?", "\u{1f34e}", true],
    ["a?c", "a\u{1f34e}c", true],
    ["??", "\u{1f34e}", false],
    ["*??", "\u{1f34e}", false],
    ["\\\u{1f34e}?", "\u{1f34e}\u{1f34e}", true],
    ["?", "\ud83c", true],
  ])("%j against %j is %s", (pattern, text, expected) => {
    expect(matchesGlob(pattern, text)).toBe(expected);
  });

  it("means what the naive reading means", () => {
    const characters = fc.constantFrom("a", "b", "*", "?", "\\", "\u{1f34e}");
    fc.assert(
      fc.property(fc.string({ unit: characters, maxLength: 7 }), fc.string({ unit: characters, maxLength: 7 }), (pattern, text) => {
        expect(matchesGlob(pattern, text)).toBe(matchesNaively(pattern, text));
      }),
      { numRuns: 3_000 },
    );
  });

  it("answers a pattern of many stars without taking exponential steps", () => {
    expect(matchesGlob(`${"a*".repeat(40)}b`, "a".repeat(5_000))).toBe(false);
  });
});

describe("escapeGlob", () => {
  it("makes any text match itself alone", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (text, other) => {
        expect(matchesGlob(escapeGlob(text), text)).toBe(true);
        expect(matchesGlob(escapeGlob(text), other)).toBe(other === text);
      }),
    );
  });
});
