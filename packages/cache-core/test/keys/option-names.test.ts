import { expect, test } from "vitest";
import { KeyScopes, RawBodyAlias, type Route, readRequest, requestKey } from "../../src/keys.ts";

const refusal = (name: string): RegExp =>
  new RegExp(`ERR_CACHE_INVALID_OPTION.*the name of an option must be one of .*, got the string "${name}"`);

test("a scope is not made without what was misspelt: callers of other namespaces, headers and configurations would share its answers", () => {
  const scopes = new KeyScopes();
  for (const name of ["nameSpace", "header", "user"])
    expect(() => scopes.of({ endpoint: "chat", tenant: "acme", [name]: "x" }), name).toThrow(refusal(name));
  expect(() => new KeyScopes({ version: "2" } as object)).toThrow(refusal("version"));
  expect(() => new RawBodyAlias({ max: 100 } as object)).toThrow(refusal("max"));
});

test("a key is not made for a route that says nothing: all upstreams would share their answers", () => {
  const scope = new KeyScopes().of({ endpoint: "chat", tenant: "acme" });
  const request = readRequest("chat", { model: "m", messages: [] });
  for (const route of [{ baseURL: "https://a/v1" }, { model: "m" }, { baseUrl: new URL("https://a/v1") }])
    expect(() => requestKey(scope, request, route as unknown as Route)).toThrow(/baseUrl of a route must be a string, got/);
  expect(() => requestKey(scope, request, { baseUrl: "https://a/v1", upstreamModel: "n" } as Route)).toThrow(refusal("upstreamModel"));
  expect(requestKey(scope, request, { baseUrl: "https://a/v1" })).not.toBe(requestKey(scope, request, { baseUrl: "https://b/v1" }));
});
