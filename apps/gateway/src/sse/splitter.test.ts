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

  it("hands an event that is too long to be held out in pieces, wherever it ends, and the next one whole", () => {
    const chunk = Buffer.alloc(64 * 1024, "a");
    const chunks = 16 * 16 + 1;
    for (const end of [["\n\n"], ["\n", "\n"], ["aa\n", "\nda", "ta\n\n"], ["\r", "\n\r\n"]]) {
      const splitter = new SseSplitter();
      const pieces: Buffer[] = [];
      for (let index = 0; index < chunks; index += 1) pieces.push(...splitter.push(chunk));
      // The last chunk was one too many: what came before is out, and its last byte waits with it.
      expect(pieces.map(({ length }) => length)).toEqual([16 * 1024 * 1024 - 1]);
      for (const bytes of end) pieces.push(...splitter.push(Buffer.from(bytes)));
      const told = "a".repeat(chunk.length * chunks) + end.join("").replaceAll(/\r\n?/g, "\n");
      expect(Buffer.concat(pieces).toString() === told).toBe(true);
      expect(splitter.isBetweenEvents).toBe(true);
      expect(splitter.push(Buffer.from("data: next\n\n")).map(String)).toEqual(["data: next\n\n"]);
    }
  });
});
