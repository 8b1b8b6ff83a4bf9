import { expect, it } from "vitest";
import { markOf } from "./mark-of.ts";

it("is what an invalidation names, and all where a record would not keep it as it is", () => {
  expect(markOf({ kind: "key", key: "k" })).toEqual(["key", ""]);
  expect(markOf({ kind: "tag", tag: "t" })).toEqual(["tag", "t"]);
  expect(markOf({ kind: "all" })).toEqual(["all", ""]);
  expect(markOf({ kind: "pattern", pattern: "é*\u{1f600}" })).toEqual(["pattern", "é*\u{1f600}"]);
  expect(markOf({ kind: "pattern", pattern: "\ud800*" })).toEqual(["all", ""]);
  expect(markOf({ kind: "pattern", pattern: "*".repeat(1_025) })).toEqual(["all", ""]);
});
