import { expect, test } from "vitest";
import { KeyScopes, RawBodyAlias } from "../../src/keys.ts";
import { bytesOf } from "./fixtures.ts";

const body = bytesOf('{"model":"m"}');

test("finds what was remembered for the same bytes, and for no others", () => {
  const alias = new RawBodyAlias<string>();
  const scope = new KeyScopes().of({ endpoint: "chat", tenant: "a" });
  expect(alias.get(scope, alias.digest(body))).toBeUndefined();
  alias.set(scope, alias.digest(body), "key");
  expect(alias.get(scope, alias.digest(Buffer.from(body)))).toBe("key");
  expect(alias.get(scope, alias.digest(bytesOf('{"model": "m"}')))).toBeUndefined();
  alias.set(scope, alias.digest(body), "newer");
  expect([alias.get(scope, alias.digest(body)), alias.size]).toEqual(["newer", 1]);
  alias.clear();
  expect([alias.get(scope, alias.digest(body)), alias.size]).toEqual([undefined, 0]);
});

test("is bound to tenant, endpoint, namespace, headers and configuration version", () => {
  const alias = new RawBodyAlias<string>({ maxEntries: 4 }); // One bucket: nothing is told apart by its place.;
  const parts = { endpoint: "chat", tenant: "a" } as const;
  const headers = { "anthropic-beta": "b" };
  const digest = alias.digest(body);
  alias.set(new KeyScopes({ configVersion: "1" }).of(parts), digest, "key");
  const others = [
    new KeyScopes({ configVersion: "2" }).of(parts),
    ...[{ tenant: "b" }, { endpoint: "messages" as const }, { namespace: "n" }, { headers }].map((part) =>
      new KeyScopes({ configVersion: "1" }).of({ ...parts, ...part }),
    ),
  ];
  for (const scope of others) expect(alias.get(scope, digest)).toBeUndefined();
  // A scope made anew from the same parts is the same scope.
  expect(alias.get(new KeyScopes({ configVersion: "1" }).of(parts), digest)).toBe("key");
});

test("keeps a popular body of many tenants at once", () => {
  const alias = new RawBodyAlias<number>({ maxEntries: 4096 });
  const scopes = new KeyScopes();
  const digest = alias.digest(body);
  const of = (index: number) => scopes.of({ endpoint: "chat", tenant: `t${index}` });
  for (let index = 0; index < 200; index += 1) alias.set(of(index), digest, index);
  const kept = Array.from({ length: 200 }, (_, index) => alias.get(of(index), digest)).filter((value) => value !== undefined);
  expect(kept.length).toBeGreaterThan(190);
});

test("never holds more than its bound, and never answers for another body", () => {
  const alias = new RawBodyAlias<number>({ maxEntries: 100 });
  const scope = new KeyScopes().of({ endpoint: "chat", tenant: "a" });
  for (let index = 0; index < 5000; index += 1) alias.set(scope, alias.digest(bytesOf(String(index))), index);
  const found = Array.from({ length: 5000 }, (_, index) => alias.get(scope, alias.digest(bytesOf(String(index)))));
  expect(alias.size).toBe(64);
  expect(found.filter((value) => value !== undefined)).toHaveLength(64);
  for (const [index, value] of found.entries()) if (value !== undefined) expect(value).toBe(index);
});

test.each([0, 3, 1.5, Number.NaN, "9" as unknown as number])("refuses %s entries", (maxEntries) => {
  expect(() => new RawBodyAlias({ maxEntries })).toThrow("maxEntries must be an integer >= 4");
});

test.each([2 ** 24 + 1, Number.POSITIVE_INFINITY])("refuses %s entries: their places are made at once", (maxEntries) => {
  expect(() => new RawBodyAlias({ maxEntries })).toThrow("maxEntries must be an integer from 4 to 16777216");
});
