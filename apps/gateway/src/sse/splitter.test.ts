import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { readSseEvent, SseSplitter } from "./splitter.ts";

const line = fc.string({ unit: fc.constantFrom("a", "ü", "😀", " ", ":", "{", "}") });
const lineEnd = fc.constantFrom("\n", "\r\n", "\r");

describe("SseSplitter", () => {
  it("gives the same events however the network cuts the stream, and whatever its line ends are", () => {
    fc.assert(
      fc.property(
        fc.array(line, { minLength: 1, maxLength: 8 }),
        lineEnd,
        fc.infiniteStream(fc.integer({ min: 1, max: 7 })),
        (datas, end, sizes) => {
          const bytes = Buffer.from(datas.map((data) => `data: ${data}${end}${end}`).join(""));
          const splitter = new SseSplitter();
          const events: Buffer[] = [];
          for (let at = 0; at < bytes.length; ) {
            const size = sizes.next().value as number;
            events.push(...splitter.push(bytes.subarray(at, at + size)));
            at += size;
          }
          // A lone \r at the very end may be the first half of \r\n: the last event then waits in the rest.
          if (end === "\r") events.push(...splitter.push(Buffer.from("\n\n")));
          expect(events.map((event) => readSseEvent(event).data)).toEqual(datas);
        },
      ),
    );
  });

  it("passes comments over and joins the lines of one event", () => {
    const [event] = new SseSplitter().push(Buffer.from(": keep-alive\nevent: note\ndata: one\ndata:two\n\n"));
    expect(readSseEvent(event as Buffer)).toEqual({ name: "note", data: "one\ntwo" });
  });

  it("copies and looks at a long event a few times in all, however small the chunks are that it comes in", () => {
    const chunk = Buffer.alloc(1024, "a");
    const chunks = 2048;
    let bytes = 0;
    const copy = vi.spyOn(Buffer.prototype, "copy");
    const search = vi.spyOn(Buffer.prototype, "indexOf");
    try {
      const splitter = new SseSplitter();
      for (let index = 0; index < chunks; index += 1) splitter.push(chunk);
      const [event] = splitter.push(Buffer.from("\n\n"));
      expect(event?.length).toBe(chunk.length * chunks + 2);
      for (const { length } of [...copy.mock.contexts, ...search.mock.contexts] as Buffer[]) bytes += length;
    } finally {
      copy.mockRestore();
      search.mockRestore();
    }
    expect(bytes).toBeLessThan(chunk.length * chunks * 6);
  });

  it("refuses an event that does not end within its bound, in whatever chunks it comes", () => {
    const splitter = new SseSplitter();
    const chunk = Buffer.alloc(64 * 1024, "a");
    expect(() => {
      for (let index = 0; index <= 256; index += 1) splitter.push(chunk);
    }).toThrow(RangeError);
  });
});
