import { describe, expect, it } from "vitest";
import { globPattern } from "./glob-pattern.ts";

/** As a regular expression tells it, which is right for short texts. */
function slowly(glob: string): RegExp {
  const parts = glob.split("*").map((part) => part.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s");
}

/** All texts of up to `length` of these characters. */
function textsOf(characters: string, length: number): string[] {
  if (length === 0) return [""];
  const shorter = textsOf(characters, length - 1);
  const longest = shorter.filter((text) => text.length === length - 1);
  return [...shorter, ...longest.flatMap((text) => [...characters].map((character) => text + character))];
}

describe("a name with stars", () => {
  it("stands for what the same regular expression does", () => {
    const texts = textsOf("ab.", 5);
    for (const glob of textsOf("a.*", 5)) {
      const [fits, pattern] = [globPattern(glob), slowly(glob)];
      for (const text of texts) if (fits(text) !== pattern.test(text)) expect.unreachable(`${glob} and ${text}`);
    }
  });

  it("takes a line feed for a character, and no pattern of it", () => {
    expect([globPattern("a*b")("a\nb"), globPattern("gpt-4.1*")("gpt-4x1")]).toEqual([true, false]);
  });

  // A minute each, tried place by place.
  it("is soon done with a text that is made to fit it nearly everywhere", () => {
    expect(globPattern("*-*-*-*-preview")("-".repeat(512))).toBe(false);
    expect(globPattern("*claude*thinking")("claude".repeat(1_000_000))).toBe(false);
    expect(globPattern("/v1/threads/*/runs/*/steps/*/x")(`/v1/threads${"/runs/steps".repeat(1_400)}`)).toBe(false);
  });
});
