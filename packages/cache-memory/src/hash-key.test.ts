import { describe, expect, it } from "vitest";
import { hashKey } from "./hash-key.ts";

const COUNT = 20_000;

function countHashes(keyOf: (index: number) => string): number {
  return new Set(Array.from({ length: COUNT }, (_, index) => hashKey(keyOf(index)))).size;
}

describe("hashKey", () => {
  it.each([
    ["at the end", (index: number) => `tenant:acme:conversation:of-the-european-region:${index}`],
    ["in the midst", (index: number) => `user:${index}:session-profile`],
    ["in two places", (index: number) => `https://example.org/items/${index % 100}/pages/${Math.trunc(index / 100)}`],
  ])("tells keys apart whose ids stand %s", (_where, keyOf) => {
    expect(countHashes(keyOf)).toBeGreaterThan(COUNT - 5);
  });

  it("tells most keys apart whose random digits stand in the midst of more than is read", () => {
    // A multiplier as a source of digits that look random.
    const digits = (index: number): string => (Math.imul(index, 0x9e3779b1) >>> 0).toString(16).padStart(8, "0");
    const keyOf = (index: number): string =>
      `chat:${digits(index)}${digits(index * 5)}${digits(index * 7)}:of-a-conversation-in-the-archive`;
    expect(countHashes(keyOf)).toBeGreaterThan(0.8 * COUNT);
  });
});
