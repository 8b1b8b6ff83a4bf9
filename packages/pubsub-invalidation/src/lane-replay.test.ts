import { encodeBody } from "@larder/cache-core";
import { describe, expect, it } from "vitest";
import { LaneRig } from "../test/lane-rig.ts";
import { createBodySigner } from "./body-signer.ts";

describe("what was invalidated before a lane's baseline", () => {
  const before = { epoch: "epoch1", seq: 1 };
  /** A lane that has answered a check of a server at its third place, where a key and a tag are the second and third, and asks for what they are. */
  async function joined(rig = new LaneRig(), body?: string): Promise<LaneRig> {
    rig.invalidate("first");
    rig.invalidate("k", "other", body);
    rig.server.append(encodeBody("other", { kind: "tag", tag: "t" }), "tag", "t", 100);
    rig.messages.length = 0;
    void rig.lane.beat();
    await rig.answer();
    return rig;
  }

  it("is read from the log, and nothing is judged until then", async () => {
    const rig = await joined();
    expect(rig.calls.map(({ script }) => script)).toEqual(["replay"]);
    expect(rig.lane.record).toBeUndefined();
    await rig.settleAll();
    expect(rig.lane.record?.judge(before, "k", [])).toBe("invalid");
    expect(rig.lane.record?.judge(before, "other", ["t"])).toBe("invalid");
    expect(rig.lane.record?.judge(before, "first", [])).toBe("valid");
    // Nothing is dropped for it: the cache begins with nothing.
    expect(rig.told).toEqual([]);
    expect(rig.counters).toMatchObject({ gaps: 0, replays: 0, replayed: 0 });
  });

  it("is not asked for where there is none", async () => {
    const rig = new LaneRig();
    void rig.lane.beat();
    await rig.answer();
    expect(rig.calls).toEqual([]);
    expect(rig.lane.record).toMatchObject({ epoch: "epoch1", seq: 0 });
  });

  it("is asked for again with the next heartbeat, when it could not be read", async () => {
    const rig = await joined();
    await rig.answer(true);
    expect(rig.lane.record).toBeUndefined();
    expect(rig.counters.errors).toBe(1);
    await rig.heartbeat();
    expect(rig.lane.record?.judge(before, "k", [])).toBe("invalid");
  });

  it("is asked for again when another epoch has begun meanwhile", async () => {
    const rig = await joined();
    rig.forget();
    rig.invalidate("k2");
    void rig.lane.beat();
    // The check overtakes what the log answers of the epoch before.
    const [recalled] = rig.calls.splice(0, 1);
    await rig.answer();
    recalled?.answer();
    await rig.settleAll();
    await rig.heartbeat();
    expect(rig.lane.record).toMatchObject({ epoch: "epoch2", seq: 1 });
    expect(rig.lane.record?.judge({ epoch: "epoch2", seq: 0 }, "k2", [])).toBe("invalid");
  });

  it("is asked for little by little, so that no answer outlasts the time of a call", async () => {
    const rig = new LaneRig();
    for (let index = 0; index < 1_200; index += 1) rig.invalidate(`k${index}`);
    rig.messages.length = 0;
    const { page } = rig.server;
    const asked: number[] = [];
    rig.server.page = (from, count) => {
      asked.push(count);
      return page.call(rig.server, from, count);
    };
    await rig.heartbeat();
    expect(Math.max(...asked)).toBeLessThanOrEqual(100);
    const older = { epoch: "epoch1", seq: 100 };
    for (const [key, judgement] of Object.entries({ k199: "valid", k200: "invalid", k700: "invalid", k1199: "invalid" }))
      expect(rig.lane.record?.judge(older, key, []), key).toBe(judgement);
  });

  it("is not taken from a server that counts less far", async () => {
    const rig = await joined();
    await rig.answer(true);
    const { page } = rig.server;
    rig.server.page = () => ["epoch1", 2, []];
    await rig.heartbeat();
    expect(rig.lane.record).toBeUndefined();
    rig.server.page = page;
    await rig.heartbeat();
    expect(rig.lane.record?.seq).toBe(3);
  });

  it("is what the log still has, and what of it is signed and can be read", async () => {
    const planted = await joined(new LaneRig(createBodySigner("sixteen bytes at least")));
    const spoilt = await joined(new LaneRig(), "?");
    for (const rig of [planted, spoilt]) {
      await rig.settleAll();
      expect(rig.lane.record?.judge(before, "k", [])).toBe("valid");
    }
    expect(spoilt.lane.record?.judge(before, "other", ["t"])).toBe("invalid");
    expect(planted.lane.record?.judge(before, "other", ["t"])).toBe("unknown");
  });
});
