import { expect, test } from "vitest";
import { canonicalJson } from "./canonical-json.ts";

// RFC 8785, 3.2.2 and 3.2.3. Its first number is left out: the scheme rounds 333333333.33333329 to a double, this form keeps the digits.
test("is RFC 8785 for values made of doubles", () => {
  const source = String.raw`{
    "numbers": [1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]
  }`;
  const expected = String.raw`{"literals":[null,true,false],"numbers":[1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`;
  expect(canonicalJson(Buffer.from(source))).toBe(expected);
  expect(canonicalJson(JSON.parse(source))).toBe(expected);
});

test("sorts names by UTF-16 units, escaped or not", () => {
  const source = String.raw`{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7,"a\\":8,"a b":9,"a":10}`;
  const names = ["\r", "1", "a", "a b", "a\\", "\u0080", "\u00f6", "\u20ac", "\u{1f600}", "\ufb33"];
  expect(Object.keys(JSON.parse(canonicalJson(Buffer.from(source)).replace('"1":4', '"x1":4')))).toEqual(
    names.map((name) => (name === "1" ? "x1" : name)),
  );
});

test("reads views into larger buffers, and bytes that are no Buffer", () => {
  const bytes = Buffer.from('xx{"b":"\u00e9","a":1}yy');
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset + 2, bytes.length - 4);
  expect(canonicalJson(view)).toBe('{"a":1,"b":"\u00e9"}');
});

test("takes any JSON value, not objects alone", () => {
  expect([null, true, 1, "a", [], {}, [[]], [{}]].map(canonicalJson)).toEqual(["null", "true", "1", '"a"', "[]", "{}", "[[]]", "[{}]"]);
});
