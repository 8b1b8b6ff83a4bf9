import { describe, expect, it } from "vitest";
import { singleCell } from "../measure.ts";
import { targetsOf } from "./gateway-sharing.ts";

describe("what is reached with identical requests", () => {
  it("is one call and an answer for everyone", () => {
    const cells = { "plain-20": singleCell(1), "stream-20": singleCell(1, "19 got no answer"), "plain-40": singleCell(2) };
    const reached = targetsOf({ contender: "larder", role: "ours", cells }).map(({ column, isMet }) => [column, isMet]);
    expect(reached).toEqual([
      ["plain-20", true],
      ["stream-20", false],
      ["plain-40", false],
    ]);
  });
});
