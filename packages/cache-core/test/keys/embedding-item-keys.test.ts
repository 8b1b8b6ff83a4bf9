import { describe, expect, test } from "vitest";
import { embeddingItemKeys, KeyScopes, type Route, readRequest } from "../../src/keys.ts";
import { bytesOf } from "./fixtures.ts";

const scope = new KeyScopes().of({ endpoint: "embedding", tenant: "acme" });
const keysOf = (body: Record<string, unknown>, route?: Route): string[] =>
  embeddingItemKeys(scope, readRequest("embedding", { model: "m", ...body }), route);

describe("keys of embedding items", () => {
  test("are one for each item, in order, and equal for equal items", () => {
    const [a, b, again] = keysOf({ input: ["a", "b", "a"] });
    expect(a).not.toBe(b);
    expect(again).toBe(a);
    expect(keysOf({ input: ["b", "a"] })).toEqual([b, a]);
    expect(a).toMatch(/^1:[0-9a-f]{16}:embedding:m:[0-9a-f]{64}$/);
  });

  test("do not depend on how the item was sent", () => {
    const [a] = keysOf({ input: ["a", "b"] });
    expect(keysOf({ input: "a" })).toEqual([a]);
    expect(keysOf({ input: ["a"] })).toEqual([a]);
    expect(embeddingItemKeys(scope, readRequest("embedding", bytesOf('{ "input": [ "z", "\\u0061" ], "model": "m" }')))[1]).toBe(a);
  });

  test("take a list of tokens as one item and a list of lists as many", () => {
    const [one] = keysOf({ input: [1, 2, 3] });
    expect(keysOf({ input: [1, 2, 3] })).toHaveLength(1);
    expect(keysOf({ input: [[1, 2, 3], [4]] })).toEqual([one, ...keysOf({ input: [4] })]);
    expect(keysOf({ input: [[1, 2, 3]] })).toEqual([one]);
    expect(keysOf({ input: [12, 3] })).not.toEqual([one]);
    expect(keysOf({ input: "[1,2,3]" })).not.toEqual([one]);
    expect(keysOf({ input: [] })).toEqual([]);
    expect(keysOf({})).toEqual([]);
  });

  test("depend on the rest of the body, the route and the scope, and not on how the answer travels", () => {
    const usual = keysOf({ input: "a" });
    expect(keysOf({ input: "a", dimensions: 8 })).not.toEqual(usual);
    expect(keysOf({ input: "a", model: "n" })).not.toEqual(usual);
    expect(keysOf({ input: "a", unknown: 1 })).not.toEqual(usual);
    expect(keysOf({ input: "a" }, { baseUrl: "https://a" })).not.toEqual(usual);
    expect(keysOf({ input: "a", encoding_format: "base64", user: "ann" })).toEqual(usual);
    const other = new KeyScopes().of({ endpoint: "embedding", tenant: "other" });
    expect(embeddingItemKeys(other, readRequest("embedding", { model: "m", input: "a" }))).not.toEqual(usual);
  });

  test("take a list of objects, such as images, as many", () => {
    const [one, two] = keysOf({ input: [{ text: "a" }, { image: "b" }] });
    expect(one).not.toBe(two);
    expect(keysOf({ input: [{ image: "b" }] })).toEqual([two]);
  });

  test("are for embeddings alone", () => {
    const chat = new KeyScopes().of({ endpoint: "chat", tenant: "acme" });
    expect(() => embeddingItemKeys(chat, readRequest("chat", {}))).toThrow("must be for the embedding endpoint");
  });
});
