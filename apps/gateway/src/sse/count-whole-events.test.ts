import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countWholeEvents } from "./count-whole-events.ts";
import { SseSplitter } from "./splitter.ts";

describe("whole events in a text", () => {
  it.each([
    ["data: a\n\n", 1],
    ["data: a\n\ndata: b\ndata: c\n\n: comment\n\n", 3],
    ["", 0],
    ["\n\n", 0],
    ["data: a", 0],
    ["data: a\n", 0],
    ["data: a\n\ndata: b", 0],
    ["data: a\n\n\n", 0],
    ["data: a\n\n\n\ndata: b\n\n", 0],
    ["\n\ndata: a\n\n", 0],
    ["data: a\r\n\r\n", 0],
  ])("%j are %i", (text, count) => {
    expect(countWholeEvents(text)).toBe(count);
  });

  it("are those that the splitter would cut it into, byte for byte, and nothing is left over", () => {
    const piece = fc.constantFrom("data: a", "event: e", "\n", "\n\n", "\r", ":", "x");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join("");
        const count = countWholeEvents(text);
        if (count === 0) return;
        const splitter = new SseSplitter();
        const events = splitter.push(Buffer.from(text));
        expect(events).toHaveLength(count);
        expect(Buffer.concat(events).toString()).toBe(text);
        expect(splitter.isBetweenEvents).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
