import { describe, expect, test } from "vitest";
import { compareRequests, differingFields, explainRequest, fieldDigests } from "../../src/explain.ts";
import { KeyScopes, type RequestSource, readRequest, requestKey } from "../../src/keys.ts";
import { renumberToolCalls, trimTrailingSpace } from "../../src/normalize.ts";
import { bytesOf } from "./fixtures.ts";

const scope = new KeyScopes().of({ endpoint: "chat", tenant: "acme", namespace: "blue", headers: { "OpenAI-Organization": "org-canary" } });
const route = { baseUrl: "https://a/v1" };

describe("explaining a request", () => {
  const source = bytesOf(
    '{"stream":true,"user":"ann","messages":[{"content":"h\u00e9","role":"user"}],"new_field":1.0,"model":"m","store":true}',
  );
  const explanation = explainRequest(source, { scope, route });

  test("gives the key that the request has, and the canonical JSON behind it", () => {
    expect(explanation.key).toBe(requestKey(scope, readRequest("chat", source), route));
    expect(explanation.canonicalJson).toBe('{"messages":[{"content":"h\u00e9","role":"user"}],"model":"m","new_field":1}');
  });

  test("says of each field whether it counts, and why", () => {
    expect(explanation.fields.map(({ name, role, isInKey }) => [name, role, isInKey])).toEqual([
      ["messages", "answer", true],
      ["model", "answer", true],
      ["new_field", "unclassified", true],
      ["store", "noise", false],
      ["stream", "transport", false],
      ["user", "identity", false],
    ]);
    for (const { why } of explanation.fields) expect(why).toMatch(/^[A-Z].*\.$/);
    expect(explanation.fields[1]?.bytes).toBe(3);
  });

  test("names scope, headers and route, and keeps the headers' values to itself", () => {
    expect(explanation).toMatchObject({ partition: scope.partition, namespace: "blue", route, statefulFields: [] });
    expect(explanation.headers.map(({ name }) => name)).toEqual(["openai-organization"]);
    expect(JSON.stringify(explanation)).not.toContain("canary");
  });

  test("shows what normalizers changed, and that they did not run on numbers that they would lose", () => {
    const normalizers = [trimTrailingSpace, renumberToolCalls];
    const messages = [{ role: "user", content: "a " }];
    const normalized = explainRequest({ messages }, { scope, normalizers });
    expect(normalized.changes).toEqual([{ normalizer: "trailing-space", path: "messages[0].content" }]);
    expect(normalized.canonicalJson).toBe('{"messages":[{"content":"a","role":"user"}]}');
    const inexact = explainRequest(bytesOf('{"seed":9007199254740993,"stop":"a "}'), { scope, normalizers });
    expect(inexact).toMatchObject({
      changes: [],
      skippedNormalizers: "inexact-numbers",
      canonicalJson: '{"seed":9007199254740993,"stop":"a "}',
    });
  });
});

describe("comparing requests", () => {
  const compare = (first: RequestSource, second: RequestSource) => compareRequests(readRequest("chat", first), readRequest("chat", second));

  test("finds the same request in two spellings", () => {
    expect(compare({ a: 1, b: [{ c: null }] }, bytesOf('{"b":[{"c":null}],"a":1e0}'))).toEqual({ isSame: true, differences: [] });
  });

  test("names each place, those that make another key first", () => {
    const first = { stream: true, temperature: 1, messages: [{ role: "user", content: "a" }], model: "m" };
    const second = { stream: false, messages: [{ role: "user", content: "b" }, { role: "user" }], model: "m", seed: 1 };
    const at = (field: string, path: string, kind: string, isInKey = true) => ({ field, path, kind, isInKey });
    expect(compare(first, second)).toEqual({
      isSame: false,
      differences: [
        at("messages", "messages[0].content", "different"),
        at("messages", "messages[1]", "only-in-second"),
        at("seed", "seed", "only-in-second"),
        at("temperature", "temperature", "only-in-first"),
        at("stream", "stream", "different", false),
      ],
    });
  });

  test("is the same when only fields outside the key differ", () => {
    expect(compare({ stream: true }, { user: "ann" })).toMatchObject({ isSame: true, differences: [{ path: "stream" }, { path: "user" }] });
  });

  test("sees null against absent, and digits that parsing loses", () => {
    expect(compare({ seed: null }, {}).differences).toMatchObject([{ path: "seed", kind: "only-in-first" }]);
    const big = (digit: number) => bytesOf(`{"tools":[{"n":900719925474099${digit}}]}`);
    expect(compare(big(2), big(3))).toMatchObject({ isSame: false, differences: [{ path: "tools", kind: "different" }] });
    expect(compare({ constructor: 1, __proto__x: 2 }, {}).differences).toHaveLength(2);
  });

  test("names at most twenty places", () => {
    const list = (offset: number) => ({ stop: Array.from({ length: 100 }, (_, index) => index + offset) });
    expect(compare(list(0), list(1)).differences).toHaveLength(20);
  });

  test("can be done from digests kept beside an entry, which say nothing of the values", () => {
    const first = fieldDigests(readRequest("chat", { model: "m", messages: ["canary"], seed: 1, stream: true }));
    const second = fieldDigests(readRequest("chat", { model: "m", messages: ["other"], top_p: 1 }));
    expect(differingFields(first, second)).toEqual(["messages", "seed", "top_p"]);
    expect(differingFields(first, first)).toEqual([]);
    expect(JSON.stringify(first)).not.toContain("canary");
  });
});
