import { describe, expect, it } from "vitest";
import { parseHeartbeat, parseLogEntry, parseLogPage } from "./parse-reply.ts";

describe("a heartbeat", () => {
  it("is nonce, epoch and seq", () => {
    expect(parseHeartbeat("n e 0")).toEqual({ nonce: "n", epoch: "e", seq: 0 });
    expect(parseHeartbeat(`${"n".repeat(32)} ${"e".repeat(32)} 999999999999999`)).toMatchObject({ seq: 999_999_999_999_999 });
  });

  it.each(["", "n", "n e", "n e ", " e 1", "n  1", "n e -1", "n e 1.5", "n e 1e3", "n e x", "n e NaN", "n e 1234567890123456", "n e 1\n"])(
    "is not %j",
    (text) => {
      expect(parseHeartbeat(text)).toBeUndefined();
    },
  );

  it("is short", () => {
    const ofLength = (length: number): string => `n ${"e".repeat(length - 4)} 1`;
    expect(parseHeartbeat(ofLength(256))).toMatchObject({ seq: 1 });
    expect(parseHeartbeat(ofLength(257))).toBeUndefined();
  });
});

describe("a page of the log", () => {
  it("is epoch, seq and entries; of a record that is lost it has neither", () => {
    expect(parseLogPage(["e", "7", ["any"]])).toEqual({ epoch: "e", seq: 7, entries: ["any"] });
    expect(parseLogPage([null, null, []])).toEqual({ epoch: undefined, seq: 0, entries: [] });
  });

  it.each([null, undefined, "OK", 5, {}, [], ["e", 7], ["e", 7, null], { 2: [] }])("is not %j", (reply) => {
    expect(parseLogPage(reply)).toBeUndefined();
  });
});

describe("an entry of the log", () => {
  it("is its place and its body, whatever stands beside them", () => {
    expect(parseLogEntry(["7-0", ["b", "body"]])).toEqual({ seq: 7, body: "body" });
    expect(parseLogEntry(["7-0", ["a", "other", "b", "body"]])).toEqual({ seq: 7, body: "body" });
  });

  it.each([
    null,
    undefined,
    "7-0",
    { 0: "7-0", 1: ["b", "body"] },
    [],
    ["7-0"],
    ["7-0", "b"],
    ["7-0", { 1: "body" }],
    ["7-0", ["b"]],
    ["7-0", ["b", 5]],
    [7, ["b", "body"]],
    ["7-1", ["b", "body"]],
    ["-0", ["b", "body"]],
    ["x-0", ["b", "body"]],
    ["1234567890123456-0", ["b", "body"]],
  ])("is not %j", (raw) => {
    expect(parseLogEntry(raw)).toBeUndefined();
  });
});
