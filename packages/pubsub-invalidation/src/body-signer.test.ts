import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { createBodySigner } from "./body-signer.ts";

describe("createBodySigner", () => {
  const signer = createBodySigner("a secret of some length");

  it("takes its own signature, and no other's, of another body, or for another namespace", () => {
    const signature = signer.sign("n", "body");
    expect(signer.verify("n", "body", signature)).toBe(true);
    expect(signer.verify("n", "body2", signature)).toBe(false);
    expect(signer.verify("m", "body", signature)).toBe(false);
    expect(createBodySigner("another secret of length").verify("n", "body", signature)).toBe(false);
    for (const bad of [undefined, "", "x", signature.slice(0, 10), `${signature}AAAA`]) expect(signer.verify("n", "body", bad)).toBe(false);
  });

  it("does not take a namespace and a body for others that join to the same text", () => {
    expect(signer.sign("ab", "c")).not.toBe(signer.sign("a", "bc"));
  });

  it("refuses a secret that protects nothing (sec S23)", () => {
    for (const secret of ["", "short", new Uint8Array(15)]) expect(() => createBodySigner(secret)).toThrow(/16 bytes/);
    for (const secret of [undefined, null, 5, [1, 2, 3], new ArrayBuffer(32)])
      expect(() => createBodySigner(secret as unknown as string)).toThrow(
        /ERR_CACHE_INVALID_OPTION.*secret must be a string or a Uint8Array/,
      );
  });

  it("takes one of sixteen bytes, as text or as bytes", () => {
    const text = "0123456789abcdef";
    const signature = createBodySigner(text).sign("n", "body");
    expect(createBodySigner(Buffer.from(text)).verify("n", "body", signature)).toBe(true);
    // As a Buffer is under jest-environment-jsdom: of another realm.
    expect(createBodySigner(runInNewContext(`Uint8Array.from("${text}", (digit) => digit.charCodeAt(0))`)).sign("n", "body")).toBe(
      signature,
    );
    expect(createBodySigner("\u00e9".repeat(8)).verify("n", "body", signature)).toBe(false);
  });

  // Regression: it signed by the caller's own buffer, and by zeros from when that was wiped.
  it("keeps a copy of the secret: the caller's may be wiped", () => {
    const secret = Buffer.alloc(32, 7);
    const wiped = createBodySigner(secret);
    const signature = wiped.sign("n", "body");
    secret.fill(0);
    expect(wiped.verify("n", "body", signature)).toBe(true);
    expect(wiped.verify("n", "body", createBodySigner(Buffer.alloc(32)).sign("n", "body"))).toBe(false);
    expect(createBodySigner(Buffer.from("a secret of some length")).sign("n", "body")).toBe(signer.sign("n", "body"));
  });
});
