import { describe, expect, it } from "vitest";
import {
  checkCount,
  checkDurationMs,
  checkFlag,
  checkKey,
  checkName,
  checkShare,
  checkTags,
  checkWindowMs,
  describeValue,
} from "./check-option.ts";

describe("option checks", () => {
  it.each([[0], [-1], [Number.NaN], ["60s"], [null], [undefined], [[1]], [true]])(
    "refuse %j as a duration, with the option's name in the message",
    (value) => {
      expect(() => checkDurationMs("ttlMs", value)).toThrow(/\[ERR_CACHE_INVALID_OPTION\] ttlMs must be a number of milliseconds > 0/);
    },
  );

  it("pass what is in range, Infinity where it has a meaning", () => {
    expect([checkDurationMs("a", Infinity), checkWindowMs("b", 0), checkCount("c", 1), checkShare("d", 1), checkName("e", "x")]).toEqual([
      Infinity,
      0,
      1,
      1,
      "x",
    ]);
  });

  it.each([
    [() => checkWindowMs("w", -1)],
    [() => checkCount("c", 1.5)],
    [() => checkCount("c", 0)],
    [() => checkShare("s", 1.01)],
    [() => checkName("n", "")],
    [() => checkFlag("f", "no")],
    [() => checkKey(undefined)],
    [() => checkKey(123)],
    [() => checkTags("abc")],
    [() => checkTags(5)],
    [() => checkTags(["red", 5])],
    [() => checkTags([""])],
  ])("refuse what is not", (check) => expect(check).toThrow("ERR_CACHE_INVALID_OPTION"));

  it("pass keys, flags and tags of the right kind", () => {
    expect([checkKey(""), checkFlag("f", false), checkTags(["red"]), checkTags(undefined)]).toEqual(["", false, ["red"], []]);
  });

  it("never quote what may be a secret", () => {
    expect(describeValue("sk-live-0123456789abcdef0123456789")).toBe("a string of 34 characters");
    expect(describeValue({ apiKey: "sk" })).toBe("a value of type object");
    expect(describeValue("60s")).toBe('the string "60s"');
  });
});
