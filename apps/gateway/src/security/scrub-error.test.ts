import { expect, it } from "vitest";
import { scrub } from "./scrub.ts";
import { scrubError } from "./scrub-error.ts";
import { Secret } from "./secret.ts";

const secrets = [new Secret("sk-op-secret-123456"), undefined];
const scrubbed = (text: string): string => scrubError(Buffer.from(text), secrets).toString();

it.each([
  '{"error":{"message":"Incorrect API key provided: sk-op-secret-123456"}}',
  '{"error" : "sk-op***3456"}',
  '{"object":"error","message":"sk-op-secret-123456"}',
  'data: {"type":"response.failed","response":{"error":{"message":"sk-op-secret-123456"}}}\n\n',
  'event: error\ndata: {"message":"sk-op-secret-123456"}\n\n',
  '{"first":{"error":null},"error":"sk-op-secret-123456"}',
])("strikes a credential out of an error: %s", (text) => {
  expect(scrubbed(text)).toContain("[redacted]");
  expect(scrubbed(text)).not.toMatch(/sk-op|3456/);
});

it("strikes out a credential of a few characters, whole, and has nothing to strike out for an empty one", () => {
  expect(scrub("the key abcd, not abc", [new Secret("abcd"), new Secret("")])).toBe("the key [redacted], not abc");
});

it.each(['{"choices":[{"message":{"content":"the \\"error\\" says sk-op-ed"}}]}', '{"error":null,"output":"sk-op-ed"}'])(
  "leaves alone what is no error: %s",
  (text) => {
    expect(scrubbed(text)).toBe(text);
  },
);
