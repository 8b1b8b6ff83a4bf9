import { VersionRecord } from "@larder/cache-core";
import { describe, expect, test } from "vitest";
import { judge, LaneVersions } from "./lane-versions.ts";

const state = (epoch: string, seq: number) => ({ epoch, seq, clearedAt: 0, taggedAt: 0, patterns: [] });

function create(epoch = "e1", seq = 5) {
  const versions = new LaneVersions(0);
  versions.see({ epoch, seq }, versions.known);
  const channel = { lastProofAt: 100, record: new VersionRecord(state(epoch, seq)) };
  versions.attach(
    {
      get lastProofAt() {
        return channel.lastProofAt;
      },
      version: () => channel.record,
    } as never,
    50,
  );
  return { versions, channel };
}

describe("the versions of a lane", () => {
  test("come from the channel while its proof is fresh, and not a moment longer", () => {
    const { versions } = create();
    expect(versions.fromChannel(150)).toBeDefined();
    expect(versions.fromChannel(150.1)).toBe(undefined);
  });

  test("do not come from a channel that speaks of another epoch than the server did last", () => {
    const { versions, channel } = create();
    versions.see({ epoch: "e2", seq: 0 }, versions.known);
    expect(versions.fromChannel(100)).toBe(undefined);
    channel.record = new VersionRecord(state("e2", 0));
    expect(versions.fromChannel(100)).toBeDefined();
  });

  test("are another server's than the channel's, also while the channel tells of none", () => {
    const { versions, channel } = create();
    expect(versions.isOnChannel).toBe(true);
    channel.record = new VersionRecord(state("other", 0));
    expect(versions.isOnChannel).toBe(false);
    channel.record = undefined as never;
    expect(versions.isOnChannel).toBe(false);
  });

  test("are heard by the channel once it has told so, and not before", () => {
    const { versions, channel } = create();
    const record = channel.record;
    channel.record = undefined as never;
    expect([versions.isOnChannel, versions.isHeard]).toEqual([true, undefined]);
    channel.record = record;
    expect(versions.isHeard).toBe(true);
    channel.record = undefined as never;
    expect(versions.isHeard).toBe(true);
    versions.see({ epoch: "e2", seq: 0 }, versions.known);
    expect(versions.isHeard).toBe(false);
  });

  test("are not heard where the channel follows fewer lanes", () => {
    const versions = new LaneVersions(1);
    versions.attach({ lastProofAt: -Infinity, laneCount: 1, version: () => undefined } as never, 50);
    expect(versions.isHeard).toBe(false);
  });

  test("are those of nothing where the channel has seen the record's epoch go", () => {
    const { versions } = create();
    const reply = (epoch: string) => [epoch, "5", "0", "0", ""];
    expect(versions.fromReply(reply("e1"), versions.known)).toBeDefined();
    const left = new Set([`0 e1`]);
    const hasLeft = (lane: number, epoch: string): boolean => left.has(`${lane} ${epoch}`);
    versions.attach({ lastProofAt: -Infinity, version: () => undefined, hasLeft } as never, 50);
    expect(versions.fromReply(reply("e1"), versions.known)).toBe(undefined);
    expect(versions.fromReply(reply("e2"), versions.known)).toBeDefined();
  });

  test("know this process's own invalidations before the channel has heard them", () => {
    const { versions, channel } = create();
    versions.acknowledge({ epoch: "e1", seq: 6 }, { kind: "tag", tag: "red" }, versions.known);
    const by = versions.fromChannel(100);
    if (!by) throw new Error("no judge");
    expect(judge(by, { epoch: "e1", seq: 5 }, "key", ["red"])).toBe("invalid");
    expect(judge(by, { epoch: "e1", seq: 5 }, "key", ["blue"])).toBe("valid");
    expect(judge(by, { epoch: "e1", seq: 6 }, "key", ["red"])).toBe("valid");
    versions.acknowledge({ epoch: "e1", seq: 7 }, { kind: "all" }, versions.known);
    expect(judge(by, { epoch: "e1", seq: 6 }, "key", [])).toBe("invalid");
    channel.record.apply(7, { kind: "all" });
    expect(judge(by, { epoch: "e1", seq: 7 }, "key", [])).toBe("valid");
  });

  // Its server has deleted the entry, and may have it again: demoted in place, it takes over what another one has, under a connection that stays open.
  test("know the keys that this process invalidated itself before the channel has heard it", () => {
    const { versions } = create();
    versions.acknowledge({ epoch: "e1", seq: 6 }, { kind: "key", key: "key" }, versions.known);
    const by = versions.fromChannel(100);
    if (!by) throw new Error("no judge");
    expect(judge(by, { epoch: "e1", seq: 5 }, "key", [])).toBe("invalid");
    expect(judge(by, { epoch: "e1", seq: 6 }, "key", [])).toBe("valid");
    expect(judge(by, { epoch: "e1", seq: 5 }, "other", [])).toBe("valid");
  });

  test("know this process's own invalidations though the channel has heard something else at their places", () => {
    const { versions, channel } = create();
    channel.record.apply(6, { kind: "key", key: "forged" });
    versions.acknowledge({ epoch: "e1", seq: 6 }, { kind: "tag", tag: "red" }, versions.known);
    const by = versions.fromChannel(100);
    if (!by) throw new Error("no judge");
    expect(judge(by, { epoch: "e1", seq: 5 }, "key", ["red"])).toBe("invalid");
    expect(judge(by, { epoch: "e1", seq: 6 }, "key", ["red"])).toBe("valid");
  });

  test("tell when the server's seq went backwards: it lost what it had acknowledged", () => {
    const { versions } = create();
    versions.acknowledge({ epoch: "e1", seq: 9 }, { kind: "key", key: "key" }, versions.known);
    expect(versions.see({ epoch: "e1", seq: 8 }, versions.known)).toBe(true);
    expect(versions.see({ epoch: "e1", seq: 9 }, versions.known)).toBe(true);
    expect(versions.see({ epoch: "e2", seq: 0 }, versions.known)).toBe(false);
  });

  // Answers are taken in a few steps after they come, some sooner than others: three busy processes took their server for one that went backwards again
  // and again, and each time it was given a new epoch, which voids the whole tier. Found by an experiment.
  test("take an answer that was overtaken for what it is", () => {
    const { versions } = create();
    const { known } = versions;
    versions.see({ epoch: "e1", seq: 8 }, known);
    versions.acknowledge({ epoch: "e1", seq: 7 }, { kind: "all" }, known);
    expect(versions.isSuspect).toBe(false);
    versions.see({ epoch: "e2", seq: 0 }, known);
    versions.acknowledge({ epoch: "e1", seq: 9 }, { kind: "key", key: "key" }, known);
    expect([versions.isSuspect, versions.epoch]).toEqual([false, "e2"]);
  });

  test("judge nothing valid when the record is lost", () => {
    const { versions } = create();
    expect(versions.fromReply([null, null, null, null, null], versions.known)).toBe(undefined);
  });

  test("keep what is known of tags while nothing was invalidated, and forget it then", () => {
    const { versions } = create();
    const first = versions.fromReply(["e1", "5", "0", "5", null], versions.known);
    first?.record.learnTag("red", 3);
    expect(versions.fromReply(["e1", "5", "0", "5", null], versions.known)?.record.unknownTags(["red"])).toEqual([]);
    expect(versions.fromReply(["e1", "6", "0", "6", null], versions.known)?.record.unknownTags(["red"])).toEqual(["red"]);
  });
});
