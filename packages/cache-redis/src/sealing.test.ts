import { createDecipheriv, createHash, randomBytes } from "node:crypto";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { createSealing, type SealingKey } from "./sealing.ts";

const key = (id: string, secret: Uint8Array = randomBytes(32)): SealingKey => ({ id, secret });
const plain = Buffer.from("a credential");
const context = Buffer.from("tenant-a key");

describe("a sealed body", () => {
  test("is laid out as it is told: id, 96 bits of IV, 128 of tag, and opens by the book", () => {
    const current = key("2026-11");
    const body = Buffer.from(createSealing({ current }).seal(plain, context));
    expect(body.length).toBe(1 + 7 + 12 + 16 + plain.length);
    expect([body[0], body.toString("latin1", 1, 8)]).toEqual([7, "2026-11"]);
    const bound = createHash("sha256").update("larder seal 1 2026-11\n").update(context).digest();
    const decipher = createDecipheriv("aes-256-gcm", current.secret, body.subarray(8, 20), { authTagLength: 16 });
    decipher.setAAD(bound).setAuthTag(body.subarray(20, 36));
    expect(Buffer.concat([decipher.update(body.subarray(36)), decipher.final()])).toEqual(plain);
  });

  test("opens by the key whose id it bears, the first, the last or between, and by no other one of the same secret", () => {
    const secret = randomBytes(32);
    const keys = [key("a", secret), key("b", secret), key("c")];
    const [first, second, third] = keys as [SealingKey, SealingKey, SealingKey];
    const all = createSealing({ current: first, previous: [second, third] });
    for (const current of keys) {
      const body = Buffer.from(createSealing({ current }).seal(plain, context));
      expect(all.open(body, context)).toEqual(plain);
    }
    const renamed = Buffer.from(all.seal(plain, context));
    renamed[1] = "b".charCodeAt(0);
    expect(() => all.open(renamed, context)).toThrow();
  });

  test("may be empty", () => {
    const sealing = createSealing({ current: key("k") });
    expect(sealing.open(Buffer.from(sealing.seal(Buffer.alloc(0), context)), context)).toEqual(Buffer.alloc(0));
  });
});

describe("a sealing key", () => {
  test.each(["k", "k".repeat(32), "2026-11_a.B"])("may be called %s", (id) => {
    const sealing = createSealing({ current: key(id) });
    expect(sealing.open(Buffer.from(sealing.seal(plain, context)), context)).toEqual(plain);
  });

  test("may have a secret of another realm, as a Buffer is under jest-environment-jsdom", () => {
    const sealing = createSealing({ current: key("k", runInNewContext("new Uint8Array(32).fill(7)")) });
    expect(createSealing({ current: key("k", Buffer.alloc(32, 7)) }).open(Buffer.from(sealing.seal(plain, context)), context)).toEqual(
      plain,
    );
  });

  test.each(["", "k".repeat(33), "two words", "k\n", "\u00e9"])("may not be called %j", (id) => {
    expect(() => createSealing({ current: key(id) })).toThrow(/id of a sealing key must be 1 to 32/);
  });

  test.each([
    ["a text of as many characters", "k".repeat(32)],
    ["a list", Array(32).fill(7)],
    ["31 bytes", randomBytes(31)],
    ["33 bytes", randomBytes(33)],
  ])("is refused where it is %s", (_, secret) => {
    expect(() => createSealing({ current: key("k", secret as Uint8Array) })).toThrow(/secret of a sealing key must be 32 bytes/);
  });
});
