import { randomBytes } from "node:crypto";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { createCompression } from "./compression.ts";
import type { StoredParts } from "./entry-format.ts";
import { createSealing } from "./sealing.ts";
import { bytesCodec } from "./value-codec.ts";
import { ValuePipeline, type ValuePipelineOptions } from "./value-pipeline.ts";

// Bytes, since a codec that parses would refuse for its own reasons what must not come so far.
const plain = { codec: bytesCodec, compression: undefined, sealing: undefined, owner: "larder{test}", isKept: false };
const sealing = createSealing({ current: { id: "k", secret: randomBytes(32) } });
const value = Buffer.from("a value of some length, ".repeat(100));

const pipeline = (options: Partial<ValuePipelineOptions<Uint8Array>> = {}): ValuePipeline<Uint8Array> =>
  new ValuePipeline<Uint8Array>({ ...plain, ...options });

function stored(by: ValuePipeline<Uint8Array>, key = "key"): StoredParts {
  const parts = by.parse(key, by.encode(key, value, { ttlMs: 60_000, staleMs: 1_000, tags: ["red"] }));
  if (typeof parts === "string") throw new Error(`refused: ${parts}`);
  return parts;
}

describe("an entry of another kind is no value", () => {
  test("of another codec, though its bytes would do", () => {
    expect(pipeline({ codec: { ...bytesCodec, id: 9 } }).open("key", stored(pipeline()))).toBe("codec");
  });

  test("that is sealed, or is not, or by another method", () => {
    expect(pipeline().open("key", stored(pipeline({ sealing })))).toBe("sealing");
    const permissive = { ...sealing, open: (body: Buffer) => body };
    expect(pipeline({ sealing: permissive }).open("key", stored(pipeline()))).toBe("sealing");
    expect(pipeline({ sealing: { ...permissive, id: 9 } }).open("key", stored(pipeline({ sealing })))).toBe("sealing");
  });

  test("that is compressed, by another method or where there is none", () => {
    const compressed = stored(pipeline({ compression: createCompression() }));
    expect(compressed.compression).toBe(1);
    expect(pipeline().open("key", compressed)).toBe("codec");
    const permissive = { ...createCompression(), id: 9, decompress: (body: Buffer) => body };
    expect(pipeline({ compression: permissive }).open("key", compressed)).toBe("codec");
    expect(pipeline({ compression: permissive }).open("key", stored(pipeline()))).toEqual({ value });
  });
});

describe("a sealed entry", () => {
  const sealed = pipeline({ sealing });

  test.each<readonly [string, Partial<StoredParts>]>([
    ["lives longer", { ttlMs: 60_001 }],
    ["lives for ever", { ttlMs: Infinity }],
    ["is stale for longer", { staleMs: 1_001 }],
    ["has a tag less", { tags: [] }],
    ["has a tag more", { tags: ["red", "blue"] }],
  ])("does not open where it was made one that %s", (_, change) => {
    const parts = stored(sealed);
    expect(sealed.open("key", parts)).toEqual({ value });
    expect(sealed.open("key", { ...parts, ...change })).toBe("sealing");
  });

  test("does not open under another key, another namespace, or what the two could be mistaken for", () => {
    const parts = stored(sealed);
    expect(sealed.open("kez", parts)).toBe("sealing");
    expect(pipeline({ sealing, owner: "larder{other}" }).open("key", parts)).toBe("sealing");
  });

  test("is not taken for a compressed one, nor the other way round, nor for one of another codec", () => {
    const both = pipeline({ sealing, compression: { ...createCompression(), decompress: (body: Buffer) => body } });
    const parts = stored(sealed);
    expect(both.open("key", { ...parts, compression: 1 })).toBe("sealing");
    expect(both.open("key", { ...stored(both), compression: 0 })).toBe("sealing");
    expect(pipeline({ sealing, codec: { ...bytesCodec, id: 9 } }).open("key", { ...parts, codec: 9 })).toBe("sealing");
  });
});

test("a value that a codec takes apart as nothing is a miss", () => {
  const codec = { ...bytesCodec, decode: () => undefined as never };
  expect(pipeline({ codec }).open("key", stored(pipeline()))).toBe("value");
});

test("the checksum is looked at unless there is a head alone", () => {
  const entry = pipeline().encode("key", value, { ttlMs: 1, staleMs: 0, tags: [] });
  entry[entry.length - 1] = 0;
  expect(pipeline().parse("key", entry)).toBe("checksum");
  expect(typeof pipeline().parse("key", entry.subarray(0, 200), true)).toBe("object");
});

// Regression: under jest-environment-jsdom, where a Buffer is none of the global Uint8Array, every set failed for want of bytes.
test("bytes of another realm are bytes", () => {
  const foreign = runInNewContext("Uint8Array.of(1, 2, 3)") as Uint8Array;
  expect(foreign).not.toBeInstanceOf(Uint8Array);
  const entry = pipeline().encode("key", foreign, { ttlMs: 1, staleMs: 0, tags: [] });
  expect(pipeline().open("key", pipeline().parse("key", entry) as StoredParts)).toEqual({ value: Buffer.of(1, 2, 3) });
});
