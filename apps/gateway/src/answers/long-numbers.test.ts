import { describe, expect, it } from "vitest";
import { markLongNumbers, mayHaveLongNumbers, restoreLongNumbers } from "./long-numbers.ts";

const rewrite = (json: string): string => restoreLongNumbers(JSON.stringify(JSON.parse(markLongNumbers(json))));

describe("long numbers", () => {
  it.each([
    '{"id":1234567890123456789,"ids":[-9007199254740993,18446744073709551615]}',
    '{"text":"say \\"1234567890123456789\\", or 1234567890123456789, and \\\\","id":1234567890123456789}',
    '{"1234567890123456789":"\\\\\\"","id":9007199254740993}',
    "[1234567890123456789]",
    '{"plain":9007199254740991,"text":"9007199254740993","n":0}',
  ])("are written as they were read, and nothing else is touched: %s", (json) => {
    expect(rewrite(json)).toBe(json);
  });

  it("are whole: others have no digits that are kept", () => {
    for (const json of [
      '{"a":0.1234567890123456789}',
      '{"a":1234567890123456789.5}',
      '{"a":1234567890123456789e3}',
      '{"a":-0.00012345678901234567}',
    ])
      expect(markLongNumbers(json)).toBe(json);
  });

  it("are found wherever they stand, and shorter ones are passed over", () => {
    for (let from = 0; from < 40; from += 1) {
      expect(mayHaveLongNumbers(`${"x".repeat(from)}1234567890123456`)).toBe(true);
      expect(mayHaveLongNumbers(`${"x".repeat(from)}123456789012345x123456789012345`)).toBe(false);
    }
    expect([mayHaveLongNumbers(""), mayHaveLongNumbers("9".repeat(100))]).toEqual([false, true]);
  });

  it("of a text that cannot be read are none of ours", () => {
    for (const json of ['"1234567890123456789', '{"a":1234567890123456789', "1234567890123456789"])
      expect(restoreLongNumbers(markLongNumbers(json))).toBe(json);
  });
});
