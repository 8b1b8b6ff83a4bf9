import { describe, expect, it } from "vitest";
import { LaneOrder } from "./lane-order.ts";

const state = (epoch: string, seq: number) => ({ epoch, seq, clearedAt: 0, taggedAt: 0, patterns: [] });

describe("the order of a lane", () => {
  it("begins anew without a place of before: in another epoch it names something else", () => {
    const order = new LaneOrder(["record", "log"]);
    order.begin(state("one", 3));
    order.skipTo(5);
    order.begin(state("two", 3));
    expect(order.isTaken(5)).toBe(false);
    order.advance(4);
    expect(order.seq).toBe(4);
  });

  it("remembers a bounded number of places ahead of a hole, and says when there is no room", () => {
    const order = new LaneOrder(["record", "log"]);
    order.begin(state("one", 0));
    for (let seq = 2; seq < 2 + 4_096; seq += 1) expect(order.skipTo(seq)).toBe(true);
    expect(order.skipTo(10_000)).toBe(false);
    expect([order.isTaken(10_000), order.ahead.size]).toEqual([false, 4_096]);
    order.advance(1);
    expect([order.seq, order.ahead.size]).toEqual([4_097, 0]);
  });

  it("keeps the last of what it hears before a place can be judged, of its epoch and past its begin alone", () => {
    const order = new LaneOrder(["record", "log"]);
    const hear = (epoch: string, seq: number): void =>
      order.keepEarly({ epoch, seq, origin: "other", target: { kind: "tag", tag: `t${seq}` } });
    for (let seq = 1; seq <= 5_000; seq += 1) hear("one", seq);
    hear("two", 5_001);
    order.begin(state("one", 0));
    // The oldest 905 have made room: places 1 to 905 are a hole.
    expect([order.seq, order.ahead.size, order.isTaken(905), order.isTaken(906), order.isTaken(5_001)]).toEqual([
      0,
      4_095,
      false,
      true,
      false,
    ]);
    expect(order.record?.judge({ epoch: "one", seq: 0 }, "k", ["t906"])).toBe("invalid");
    order.begin(state("one", 0));
    expect(order.ahead.size).toBe(0);
  });
});
