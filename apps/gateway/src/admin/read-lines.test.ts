import { describe, expect, it } from "vitest";
import { readLines } from "./read-lines.ts";

async function* pieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function linesOf(text: string, size: number, maxBytes: number): Promise<Array<string | undefined>> {
  const lines: Array<string | undefined> = [];
  for await (const line of readLines(pieces(text, size), maxBytes)) lines.push(line);
  return lines;
}

describe("readLines", () => {
  it.each([1, 2, 3, 7, 100])("gives the same lines of chunks of %i bytes, characters cut by a border included", async (size) => {
    expect(await linesOf("first\n\nzwölf\nlast", size, 50)).toEqual(["first", "", "zwölf", "last"]);
  });

  it.each([1, 4, 100])("leaves a line out that is too long, and goes on after it, in chunks of %i bytes", async (size) => {
    expect(await linesOf(`ok\n${"x".repeat(20)}\nfine\n${"y".repeat(20)}`, size, 10)).toEqual(["ok", undefined, "fine", undefined]);
  });
});
