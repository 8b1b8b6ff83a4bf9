import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { InvalidationTarget } from "./invalidation.ts";
import { decodeBody, decodeMessage, encodeBody, encodeMessage } from "./message.ts";

/** Any characters, lone surrogates among them. fast-check's own `"binary"` takes a second to set up, and ten on a busy machine. */
const unit = fc.oneof(fc.nat({ max: 0xffff }), fc.nat({ max: 0x10ffff })).map((code) => String.fromCodePoint(code));
const subject = fc.string({ unit, maxLength: 30 });
const target: fc.Arbitrary<InvalidationTarget> = fc.oneof(
  subject.map((key) => ({ kind: "key" as const, key })),
  subject.map((tag) => ({ kind: "tag" as const, tag })),
  subject.map((pattern) => ({ kind: "pattern" as const, pattern })),
  fc.constant({ kind: "all" as const }),
);

describe("invalidation messages", () => {
  it("come back as they were sent, lone surrogates and all", () => {
    const any = fc.oneof(target, fc.constant({ kind: "key" as const, key: "\ud800" }));
    fc.assert(
      fc.property(any, fc.integer({ min: 0, max: 1e12 }), (sent, seq) => {
        const heard = decodeMessage(encodeMessage("epoch", seq, encodeBody("origin", sent)));
        expect(heard).toMatchObject({ epoch: "epoch", seq, origin: "origin", target: sent });
      }),
    );
  });

  it.each([
    ["64 KB", "k".repeat(65_536)],
    ["characters that JSON writes with six", "\u0001".repeat(100_000)],
  ])("come back as they were sent with a key of %s", (_, key) => {
    expect(decodeMessage(encodeMessage("epoch", 1, encodeBody("origin", { kind: "key", key })))?.target).toEqual({ kind: "key", key });
  });

  it("name everything where the subject is too long for any message: nobody would take that in", () => {
    for (const key of ["k".repeat(1_100_000), "\u0001".repeat(200_000)]) {
      const body = encodeBody("origin", { kind: "key", key }, "signature");
      expect(decodeMessage(encodeMessage("e".repeat(32), 1e14, body))).toMatchObject({ target: { kind: "all" }, signature: "signature" });
      expect(encodeBody("origin", { kind: "key", key })).toBe(encodeBody("origin", { kind: "all" }));
    }
  });

  it("never throw when they are garbage, whatever it is (I14)", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.string().map((text) => `1 e 5 ${text}`),
        ),
        (text) => {
          expect(() => decodeMessage(text)).not.toThrow();
          expect(() => decodeBody(text)).not.toThrow();
        },
      ),
    );
  });

  it.each([
    ["another format", '2 epoch 1 ["o","key","k"]'],
    ["a seq that is no number", '1 epoch x ["o","key","k"]'],
    ["a negative seq", '1 epoch -1 ["o","key","k"]'],
    ["no place", '1 ["o","all",""]'],
    ["an epoch and no seq", '1 epoch ["o","all",""]'],
    ["an empty epoch", '1  1 ["o","all",""]'],
    ["an unknown kind", '1 epoch 1 ["o","everything","k"]'],
    ["no subject", '1 epoch 1 ["o","key"]'],
    ["an object with __proto__", '1 epoch 1 {"__proto__":["o","key","k"]}'],
    ["an origin that is no text", '1 epoch 1 [5,"key","k"]'],
    ["a subject that is no text", '1 epoch 1 ["o","key",["k"]]'],
    ["nothing", ""],
    ["too much", `1 epoch 1 ["o","key","${"k".repeat(1_100_000)}"]`],
  ])("are refused with %s", (_, text) => {
    expect(decodeMessage(text)).toBe(undefined);
  });

  it("are refused by their length alone before anything is parsed, as bodies of the log are", () => {
    const long = " ".repeat(1_100_000);
    expect(decodeBody(`["o","key","k"]${long}`)).toBe(undefined);
    expect(decodeMessage(`1 epoch 1 ["o","key","k"]${long}`)).toBe(undefined);
    expect(decodeMessage(`1 ${"e".repeat(1_100_000)} 1 ["o","key","k"]`)).toBe(undefined);
  });

  it("take what stands in the place of a signature and is no text for none", () => {
    expect(decodeBody('["o","key","k",{"length":5}]')).toEqual({ origin: "o", target: { kind: "key", key: "k" }, signature: undefined });
  });
});
