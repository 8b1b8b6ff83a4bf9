import { describe, expect, it } from "vitest";
import { uniteTags } from "./unite-tags.ts";

const many = Array.from({ length: 20 }, (_, index) => `tag-${index}`);

describe("the tags of two lists", () => {
  it.each([
    [[], [], []],
    [["a", "b"], [], ["a", "b"]],
    [[], ["a", "b"], ["a", "b"]],
    [[], ["a", "b", "a"], ["a", "b"]],
    [["a"], ["b", "a"], ["a", "b"]],
    [["a"], ["a"], ["a"]],
    [[], [...many, "tag-0"], many],
  ])("are each there once: %j and %j", (held, more, united) => {
    expect(uniteTags(held, more)).toEqual(united);
  });

  it("are the one list itself where the other has none", () => {
    const tags = ["a", "b"];
    expect(uniteTags([], tags)).toBe(tags);
    expect(uniteTags(tags, [])).toBe(tags);
    expect(uniteTags(tags, tags)).toBe(tags);
  });

  it("leave both lists as they are", () => {
    const held = ["a"];
    const more = ["b"];
    uniteTags(held, more);
    expect([held, more]).toEqual([["a"], ["b"]]);
  });
});
