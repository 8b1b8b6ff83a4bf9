import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeEntry, type EntryParts, encodeEntry } from "./entry-format.ts";

const epoch = "0123456789abcdef".repeat(2);

/** Any characters, lone surrogates among them. fast-check's own `"binary"` takes a second to set up, and ten on a busy machine. */
const unit = fc.oneof(fc.nat({ max: 0xffff }), fc.nat({ max: 0x10ffff })).map((code) => String.fromCodePoint(code));

/** What the scripts make of an encoded entry. */
function stamp(parts: EntryParts, seq = 7, storedAt = 1_700_000_000_000): Buffer {
  const entry = encodeEntry(parts);
  const numbers = Buffer.alloc(16);
  numbers.writeDoubleBE(seq, 0);
  numbers.writeDoubleBE(storedAt, 8);
  Buffer.concat([Buffer.from(epoch), numbers, numbers]).copy(entry, 36);
  return entry;
}

const parts: EntryParts = {
  codec: 2,
  compression: 0,
  sealing: 0,
  ttlMs: 60_000,
  staleMs: 5_000,
  tags: ["red", "wärm"],
  owner: "larder{test}key",
  body: Buffer.from("the body"),
};

describe("an entry", () => {
  test("comes back as it was laid out, whatever owner, tags, times and body are", () => {
    fc.assert(
      fc.property(
        fc.record({
          codec: fc.integer({ min: 1, max: 255 }),
          compression: fc.integer({ min: 0, max: 255 }),
          sealing: fc.integer({ min: 0, max: 255 }),
          ttlMs: fc.oneof(fc.constant(Infinity), fc.double({ min: 0.1, max: 1e12, noNaN: true })),
          staleMs: fc.double({ min: 0, max: 1e12, noNaN: true }),
          tags: fc.array(fc.string({ unit })),
          owner: fc.string({ unit }),
          body: fc.uint8Array(),
        }),
        (any) => {
          const { owner, body, ...others } = any;
          expect(decodeEntry(stamp(any), "", owner)).toEqual({
            ...others,
            version: { epoch, seq: 7 },
            storedAt: 1_700_000_000_000,
            body: Buffer.from(body),
          });
        },
      ),
    );
  });

  test("is refused for every single byte that is spoiled, except in its epoch, which then is no current one", () => {
    const entry = stamp(parts);
    for (let at = 0; at < entry.length; at += 1) {
      for (const mask of [1, 0x80, 0xff]) {
        const spoiled = Buffer.from(entry);
        spoiled[at] = (spoiled[at] as number) ^ mask;
        const found = decodeEntry(spoiled, "larder{test}", "key");
        if (typeof found !== "string") expect(found.version.epoch, `byte ${at}`).not.toBe(epoch);
      }
    }
  });

  test("is refused when it is cut or prolonged, anywhere", () => {
    const entry = stamp(parts);
    for (let length = 0; length < entry.length; length += 1)
      expect(typeof decodeEntry(entry.subarray(0, length), "larder{test}", "key")).toBe("string");
    expect(decodeEntry(Buffer.concat([entry, Buffer.of(0)]), "larder{test}", "key")).toBe("checksum");
  });

  test("is never read past its end, where other memory begins, and nothing of it is where it does", () => {
    const entry = stamp(parts);
    for (let length = 0; length < entry.length; length += 1) {
      const alone = Buffer.from(new Uint8Array(entry.subarray(0, length)).buffer);
      for (const isHead of [true, false]) {
        const found = decodeEntry(alone, "larder{test}", "key", isHead);
        if (length < 100) expect(found).toBe("short");
        else if (!isHead) expect(typeof found).toBe("string");
      }
    }
  });

  test("of another format is foreign, also where its head is all there is", () => {
    const head = stamp(parts).subarray(0, -parts.body.length);
    head[3] = 2;
    expect(decodeEntry(head, "larder{test}", "key", true)).toBe("foreign");
  });

  // Entries outlive releases: where one of these changes, so must the format's number, or what older processes stored is misread.
  test.each<readonly [string, EntryParts, readonly [header: string, rest: string]]>([
    [
      "with tags and a stale window",
      parts,
      [
        "4c445201020000000000000f0000000f40ed4c000000000040b388000000000083a8bbdb",
        "5b22726564222c2277c3a4726d225d6c61726465727b746573747d6b657974686520626f6479",
      ],
    ],
    [
      "as short as can be",
      { ...parts, ttlMs: Infinity, staleMs: 0, tags: [], owner: "o", body: Buffer.alloc(0) },
      ["4c4452010200000000000001000000007ff00000000000000000000000000000d2b67c3d", "6f"],
    ],
    [
      "of an owner that UTF-8 cannot spell",
      { ...parts, codec: 1, compression: 3, sealing: 2, owner: "a\ud800" },
      [
        "4c44520101030201000000040000000f40ed4c000000000040b388000000000061728502",
        "5b22726564222c2277c3a4726d225d610000d874686520626f6479",
      ],
    ],
  ])("is laid out as it ever was: %s", (_, given, [header, rest]) => {
    const numbers = "401c0000000000004278bcfe56800000";
    const expected = `${header}${Buffer.from(epoch).toString("hex")}${numbers}${numbers}${rest}`;
    expect(stamp(given).toString("hex")).toBe(expected);
    expect(decodeEntry(Buffer.from(expected, "hex"), "", given.owner)).toMatchObject({
      tags: given.tags,
      ttlMs: given.ttlMs,
      body: given.body,
    });
  });

  test("belongs to its owner alone, lone surrogates told apart", () => {
    expect(decodeEntry(stamp(parts), "larder{test}", "other")).toBe("owner");
    const odd = { ...parts, owner: "larder{test}\ud800" };
    expect(typeof decodeEntry(stamp(odd), "larder", "{test}\ud800")).toBe("object");
    expect(decodeEntry(stamp(odd), "larder{test}", "\ud801")).toBe("owner");
    expect(decodeEntry(stamp(odd), "larder{test}", "\ufffd")).toBe("owner");
  });

  test("is judged by its head alone where the body is not there", () => {
    const entry = stamp(parts);
    expect(decodeEntry(entry.subarray(0, entry.length - parts.body.length), "larder{test}", "key", true)).toMatchObject({
      tags: parts.tags,
      ttlMs: 60_000,
    });
  });
});
