import { describe, expect, it } from "vitest";
import { LaneOrder } from "./lane-order.ts";
import { LaneProof } from "./lane-proof.ts";

function create(): { readonly order: LaneOrder; readonly proof: LaneProof } {
  const order = new LaneOrder(["record", "log"]);
  order.begin({ epoch: "one", seq: 3, clearedAt: 0, taggedAt: 0, patterns: [] });
  return { order, proof: new LaneProof(order) };
}

describe("the proof of a lane", () => {
  it("counts no heartbeat before there is a subscription, nor one of before, nor any after it is lost", () => {
    const { proof } = create();
    expect([proof.isSubscribed, proof.counts(proof.send("a", 0))]).toEqual([false, false]);
    const before = proof.send("b", 1);
    proof.doubt(true);
    const since = proof.send("c", 2);
    expect([proof.isSubscribed, proof.counts(before), proof.counts(since)]).toEqual([true, false, true]);
    proof.doubt(false);
    expect([proof.isSubscribed, proof.counts(since), proof.counts(proof.send("d", 3))]).toEqual([false, false, false]);
  });

  it("waits for the nonces of the last heartbeats alone, and for each once", () => {
    const { proof } = create();
    for (let beat = 0; beat < 1_000; beat += 1) proof.send(`n${beat}`, beat);
    expect([proof.isExpected("n983"), proof.isExpected("n984")]).toEqual([false, true]);
    expect(proof.take("n984")).toMatchObject({ sentAt: 984, seqFloor: 3 });
    expect([proof.isExpected("n984"), proof.take("n984"), proof.take("n0")]).toEqual([false, undefined, undefined]);
  });

  it("weighs the heartbeat that was sent last, in whatever order they are heard, and none of another epoch", () => {
    const { proof } = create();
    proof.weigh({ epoch: "one", seq: 4, sentAt: 20 });
    proof.weigh({ epoch: "one", seq: 3, sentAt: 10 });
    expect(proof.pending).toMatchObject({ seq: 4, sentAt: 20 });
    proof.drop();
    expect(proof.pending).toBeUndefined();
    proof.weigh({ epoch: "two", seq: 4, sentAt: 30 });
    expect(proof.pending).toBeUndefined();
  });
});
