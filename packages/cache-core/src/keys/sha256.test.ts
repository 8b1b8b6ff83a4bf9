import { createHash } from "node:crypto";
import { afterEach, expect, test, vi } from "vitest";

afterEach(() => {
  vi.doUnmock("node:crypto");
  vi.resetModules();
});

const texts = ["", "a", "\u00ff\u0080", "x".repeat(262_144), "\u00e9".repeat(262_145), "y".repeat(1_000_000)];
const expected = (text: string) => createHash("sha256").update(Buffer.from(text, "latin1"));

test.each(["the one-shot hash", "a hash object, where the one-shot is missing"])("hashes byte text and bytes with %s", async (way) => {
  vi.resetModules();
  if (way.startsWith("a hash object")) vi.doMock("node:crypto", async (original) => ({ ...(await original<object>()), hash: undefined }));
  const { sha256OfBytes, sha256OfByteText } = await import("./sha256.ts");
  for (const text of texts) {
    expect(sha256OfByteText(text)).toBe(expected(text).digest("hex"));
    expect(sha256OfBytes(Buffer.from(text, "latin1"))).toBe(expected(text).digest("binary"));
  }
  // A long text before a short one leaves nothing behind in the kept buffer.
  expect(sha256OfByteText("ab")).toBe(expected("ab").digest("hex"));
});
