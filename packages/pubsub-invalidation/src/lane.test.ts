import { encodeBody, encodeMessage } from "@larder/cache-core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LaneRig } from "../test/lane-rig.ts";
import { createBodySigner } from "./body-signer.ts";
import { LaneLog } from "./lane-log.ts";

/** Any characters, lone surrogates among them. fast-check's own `"binary"` takes a second to set up, and ten on a busy machine. */
const unit = fc.oneof(fc.nat({ max: 0xffff }), fc.nat({ max: 0x10ffff })).map((code) => String.fromCodePoint(code));

async function started(rig = new LaneRig()): Promise<LaneRig> {
  await rig.heartbeat();
  rig.resets.length = 0;
  rig.proofs.length = 0;
  rig.clock.advance(1);
  return rig;
}

describe("a lane's proof", () => {
  it("drops what was held before the first one", async () => {
    const rig = new LaneRig();
    await rig.heartbeat();
    expect(rig.resets).toHaveLength(1);
    expect(rig.counters.resets).toBe(0);
    expect(rig.proofs).toHaveLength(1);
  });

  it("reaches to the instant at which the heartbeat was sent, however late it is heard", async () => {
    const rig = await started();
    const sentAt = rig.clock.now();
    void rig.lane.beat();
    rig.clock.advance(5_000);
    await rig.settleAll();
    expect(rig.proofs).toEqual([sentAt]);
  });

  it("is the same when the heartbeat is heard before its own check is answered, and after", async () => {
    for (const isHeardFirst of [true, false]) {
      const rig = new LaneRig();
      void rig.lane.beat();
      if (isHeardFirst) rig.deliver();
      await rig.answer();
      if (!isHeardFirst) rig.deliver();
      expect(rig.proofs).toHaveLength(1);
    }
  });

  it("waits until a hole before the heartbeat is filled from the log", async () => {
    const rig = await started();
    rig.invalidate("missed");
    rig.deliver(true);
    void rig.lane.beat();
    rig.deliver();
    expect([rig.told, rig.proofs]).toEqual([[], []]);
    await rig.settleAll();
    expect(rig.told).toEqual(["missed"]);
    expect(rig.proofs).toHaveLength(1);
    expect(rig.counters).toMatchObject({ gaps: 1, replays: 1, replayed: 1, resets: 0 });
  });

  it("leaves nothing to judge by while something before the last message is missing", async () => {
    const rig = await started();
    rig.invalidate("missed");
    rig.deliver(true);
    // Nothing shows the hole yet: what this process invalidated itself is known to its second tier, by a higher place than the record's.
    expect(rig.lane.record?.seq).toBe(0);
    rig.invalidate("heard");
    rig.deliver();
    expect(rig.lane.record).toBeUndefined();
    await rig.settleAll();
    expect(rig.lane.record?.seq).toBe(2);
  });

  it("does not come from a heartbeat that was never sent", async () => {
    const rig = await started();
    rig.hear(rig.lane.heartbeatChannel, "invented epoch1 0");
    rig.hear(rig.lane.heartbeatChannel, "x".repeat(10_000));
    expect(rig.proofs).toEqual([]);
    expect(rig.counters.malformed).toBe(2);
  });

  it("does not go back when heartbeats are heard out of order", async () => {
    const rig = await started();
    void rig.lane.beat();
    rig.clock.advance(100);
    void rig.lane.beat();
    rig.messages.reverse();
    await rig.settleAll();
    expect(rig.proofs).toEqual([1_101]);
  });
});

describe("a lane's order", () => {
  it("is counted once each, whatever is repeated or overtaken, and told each time", async () => {
    const rig = await started();
    for (const key of ["1", "2", "3", "4"]) rig.invalidate(key);
    const [first, second, third, fourth] = rig.messages.splice(0).map(({ text }) => text) as [string, string, string, string];
    for (const text of [third, first, third, second, first, fourth]) rig.hear(rig.lane.channel, text);
    await rig.settleAll();
    // As they were heard; then the log, which the hole before "3" has made necessary, and which alone is beyond doubt.
    expect(rig.told).toEqual(["3", "1", "3", "2", "1", "4", "1", "2", "3", "4"]);
    expect(rig.counters).toMatchObject({ messages: 4, duplicates: 2, gaps: 1, replayed: 0 });
    expect(rig.lane.record?.seq).toBe(4);
  });

  it("counts its own messages and does not tell them", async () => {
    const rig = await started();
    rig.invalidate("own", "self");
    await rig.heartbeat();
    expect(rig.told).toEqual([]);
    expect(rig.counters).toMatchObject({ ownEchoes: 1, messages: 0 });
    expect(rig.proofs).toHaveLength(1);
  });

  it("keeps the version that a second tier judges by", async () => {
    const rig = await started();
    rig.invalidate("k");
    await rig.settleAll();
    expect(rig.lane.record).toMatchObject({ epoch: "epoch1", seq: 1 });
  });
});

describe("what a lane hears before it can judge places", () => {
  it.each([1, 5])("is in the record that it begins with, where the check ran before it was published (%i messages)", async (count) => {
    const rig = new LaneRig();
    void rig.lane.beat();
    for (let index = 0; index < count; index += 1) rig.invalidate(`k${index}`);
    while (rig.messages.length > 0) rig.deliver();
    await rig.answer();
    // Which epoch counts, a check tells that was sent after they were heard. Its heartbeat is still on its way.
    rig.clock.advance(25);
    await rig.answer();
    expect(rig.lane.record?.seq).toBe(count);
    await rig.settleAll();
    expect(rig.counters.gaps).toBe(0);
  });

  it("is not, where it is of another epoch", async () => {
    const rig = new LaneRig();
    rig.hear(rig.lane.channel, encodeMessage("former", 1, encodeBody("other", { kind: "key", key: "k" })));
    await rig.settleAll();
    rig.clock.advance(1_000);
    await rig.heartbeat();
    expect(rig.lane.record).toMatchObject({ epoch: "epoch1", seq: 0 });
    expect(rig.proofs).toHaveLength(1);
  });

  it("is not told again as a place of its own, where the check knew of it", async () => {
    const rig = new LaneRig();
    rig.invalidate("k");
    rig.deliver();
    rig.invalidate("next");
    rig.deliver();
    await rig.heartbeat();
    expect(rig.lane.record?.seq).toBe(2);
    rig.invalidate("after");
    rig.deliver();
    expect(rig.lane.record?.seq).toBe(3);
  });
});

describe("a lane drops everything, before it proves anything", () => {
  const expectReset = async (rig: LaneRig, reason: string): Promise<void> => {
    rig.onEvent = (kind) => {
      if (kind === "proof") expect(rig.resets).toEqual([reason]);
    };
    await rig.settleAll();
    for (let round = 0; round < 3; round += 1) {
      rig.clock.advance(250);
      await rig.heartbeat();
    }
    expect(rig.resets).toEqual([reason]);
    expect(rig.proofs.length).toBeGreaterThan(0);
    expect(rig.counters.resets).toBe(1);
  };

  it("when the epoch is another one", async () => {
    const rig = await started();
    rig.forget();
    await expectReset(rig, "epoch-changed");
  });

  it("when a message shows another epoch, and tells the message at once", async () => {
    const rig = await started();
    rig.clock.advance(100);
    rig.forget();
    rig.invalidate("k");
    rig.deliver();
    expect(rig.told).toEqual(["k"]);
    await expectReset(rig, "epoch-changed");
  });

  it("when the log that it reads to fill a hole is another epoch's", async () => {
    const rig = await started();
    rig.invalidate("missed");
    rig.messages.length = 0;
    void rig.lane.beat();
    rig.forget();
    for (const key of ["1", "2", "3"]) rig.invalidate(key);
    await expectReset(rig, "epoch-changed");
  });

  it("when the log no longer reaches back to what is missing", async () => {
    const rig = await started();
    rig.invalidate("trimmed");
    rig.invalidate("kept");
    rig.messages.length = 0;
    rig.server.append(encodeBody("other", { kind: "key", key: "last" }), "key", "last", 2);
    await expectReset(rig, "log-lost");
  });

  it("when the record counts further than the log goes", async () => {
    const rig = await started();
    rig.invalidate("evicted");
    rig.messages.length = 0;
    const { server } = rig;
    const page = server.page.bind(server);
    server.page = (from, count) => [page(from, count)[0], page(from, count)[1], []];
    await expectReset(rig, "log-lost");
  });

  it("when the log that it reads to fill a hole counts less far than what was told, and nothing is judged from then on", async () => {
    const rig = await started();
    for (const key of ["1", "2", "3"]) rig.invalidate(key);
    await rig.settleAll();
    rig.clock.advance(100);
    for (const key of ["lost", "heard"]) rig.invalidate(key);
    rig.deliver(true);
    // Rolled back inside its epoch, as by a replica that lagged.
    rig.server = new LaneLog("epoch1");
    rig.server.append(encodeBody("other", { kind: "key", key: "1" }), "key", "1", 10);
    rig.deliver();
    expect(rig.calls.map(({ script }) => script)).toEqual(["replay"]);
    await rig.answer();
    expect(rig.lane.record).toBeUndefined();
    await expectReset(rig, "epoch-changed");
  });

  it("when an entry of the log is not signed as it must be", async () => {
    const signer = createBodySigner("sixteen bytes at least");
    const rig = await started(new LaneRig(signer));
    rig.invalidate("planted");
    rig.deliver(true);
    await expectReset(rig, "log-lost");
    expect(rig.told).toEqual([]);
  });

  it("when more is heard ahead of a hole than is worth remembering", async () => {
    const rig = await started();
    for (let index = 0; index < 4_099; index += 1) rig.invalidate(`${index}`);
    rig.deliver(true);
    while (rig.messages.length > 0) rig.deliver();
    await expectReset(rig, "overflow");
  });

  it("when the seq goes backwards inside its epoch", async () => {
    const rig = await started();
    rig.invalidate("k");
    await rig.settleAll();
    rig.server = new (rig.server.constructor as new (epoch: string) => typeof rig.server)("epoch1");
    await expectReset(rig, "epoch-changed");
  });

  it("when an invalidation in the log cannot be read", async () => {
    const rig = await started();
    rig.invalidate("k", "other", '["other","from-a-later-version","k"]');
    await expectReset(rig, "log-lost");
  });

  it("when an entry of the log is none", async () => {
    const rig = await started();
    rig.invalidate("k");
    rig.messages.length = 0;
    const { server } = rig;
    const page = server.page.bind(server);
    server.page = (from, count) => {
      const [epoch, seq] = page(from, count);
      return [epoch, seq, ["not an entry"]] as unknown as ReturnType<typeof page>;
    };
    await expectReset(rig, "log-lost");
  });

  it("once, though a page of the log that it asked for before comes after the new beginning", async () => {
    const rig = await started();
    rig.clock.advance(100);
    rig.invalidate("missed");
    rig.deliver(true);
    rig.invalidate("heard");
    rig.deliver();
    rig.forget();
    rig.lane.onOverflow();
    expect(rig.calls.map(({ script }) => script)).toEqual(["replay", "check"]);
    rig.calls.reverse();
    await expectReset(rig, "overflow");
  });

  it("when messages were thrown away unread", async () => {
    const rig = await started();
    rig.clock.advance(100);
    rig.lane.onOverflow();
    await expectReset(rig, "overflow");
  });

  it("when more was missed than is worth reading", async () => {
    const rig = await started();
    for (let index = 0; index < 20_000; index += 1) rig.invalidate(`${index}`);
    rig.messages.length = 0;
    await expectReset(rig, "overflow");
  });
});

describe("a lane", () => {
  it("takes no place of an epoch that is over for one of the next", async () => {
    const rig = await started();
    for (const key of ["lost", "1", "2"]) rig.invalidate(key);
    rig.deliver(true);
    rig.deliver();
    rig.deliver();
    await rig.answer(true);
    rig.clock.advance(100);
    rig.forget();
    await rig.heartbeat();
    expect(rig.resets).toEqual(["epoch-changed"]);
    rig.clock.advance(100);
    rig.invalidate("first");
    rig.deliver();
    rig.invalidate("second");
    rig.deliver(true);
    rig.onEvent = (kind) => {
      if (kind === "proof") expect(rig.told).toContain("second");
    };
    rig.proofs.length = 0;
    await rig.heartbeat();
    expect(rig.proofs).toHaveLength(1);
  });

  it("does not judge by the place that a message of another epoch has", async () => {
    const rig = await started();
    rig.clock.advance(100);
    void rig.lane.beat();
    rig.clock.advance(100);
    rig.hear(rig.lane.channel, encodeMessage("foreign", 4_711, encodeBody("other", { kind: "all" })));
    expect(rig.lane.record).toBeUndefined();
    // The check that was under way says nothing of it: it may have run before.
    await rig.answer();
    expect(rig.lane.record).toBeUndefined();
    await rig.settleAll();
    expect(rig.resets).toEqual([]);
    expect(rig.lane.record?.seq).toBe(0);
    expect(rig.lane.record?.judge({ epoch: "epoch1", seq: 0 }, "k", [])).toBe("valid");
  });

  it("asks the log once for a hole, and when that fails not again before the next heartbeat", async () => {
    const rig = await started();
    rig.invalidate("missed");
    rig.deliver(true);
    void rig.lane.beat();
    await rig.answer();
    rig.deliver();
    expect(rig.calls.map(({ script }) => script)).toEqual(["replay"]);
    await rig.answer(true);
    expect(rig.calls).toEqual([]);
    expect(rig.counters.gaps).toBe(1);
    await rig.heartbeat();
    expect([rig.told, rig.resets]).toEqual([["missed"], []]);
    expect(rig.proofs).toHaveLength(1);
  });

  it("goes on when the log tells what was heard and proved while it was read", async () => {
    const rig = await started();
    rig.clock.advance(100);
    rig.invalidate("late");
    rig.invalidate("heard");
    const [late] = rig.messages.splice(0, 1);
    rig.deliver();
    expect(rig.calls.map(({ script }) => script)).toEqual(["replay"]);
    const [replay] = rig.calls.splice(0);
    if (late) rig.hear(late.channel, late.text);
    await rig.heartbeat();
    expect(rig.proofs).toHaveLength(1);
    replay?.answer();
    await rig.settleAll();
    rig.clock.advance(100);
    await rig.heartbeat();
    expect(rig.proofs).toHaveLength(2);
    expect([rig.resets, rig.counters.resets]).toEqual([[], 0]);
  });

  it("ignores the answer of a check that a later one has overtaken", async () => {
    const rig = await started();
    void rig.lane.beat();
    rig.forget();
    void rig.lane.beat();
    rig.calls.reverse();
    await rig.settleAll();
    expect(rig.lane.record?.epoch).toBe("epoch2");
    expect(rig.resets).toHaveLength(1);
  });

  it("says that it is deaf when checks are answered and their heartbeats are not heard", async () => {
    const rig = await started();
    for (let beat = 0; beat < 3; beat += 1) {
      expect(rig.lane.isDeaf).toBe(false);
      void rig.lane.beat();
      await rig.answer();
    }
    expect(rig.lane.isDeaf).toBe(true);
    rig.lane.onSubscribed();
    expect(rig.lane.isDeaf).toBe(false);
  });

  it("is not deaf that hears one of three, and sends nothing any more when it is closed", async () => {
    const rig = await started();
    for (let beat = 0; beat < 9; beat += 1) {
      if (beat % 2 === 0) await rig.heartbeat();
      void rig.lane.beat();
      await rig.answer();
      rig.messages.length = 0;
      expect(rig.lane.isDeaf).toBe(false);
    }
    rig.lane.close();
    void rig.lane.beat();
    expect(rig.calls).toEqual([]);
    expect(rig.lane.record).toBeUndefined();
  });

  it("says that it is down after calls that failed in a row, and up after one that did not", async () => {
    const rig = await started();
    for (let beat = 0; beat < 3; beat += 1) {
      expect(rig.lane.isDown).toBe(false);
      void rig.lane.beat();
      await rig.answer(true);
    }
    expect(rig.lane.isDown).toBe(true);
    await rig.heartbeat();
    expect(rig.lane.isDown).toBe(false);
  });

  it("asks no more often than it must while a stranger floods it with foreign epochs", async () => {
    const rig = await started();
    const before = rig.counters.heartbeats;
    for (let ms = 0; ms < 250; ms += 1) {
      rig.clock.advance(1);
      for (let burst = 0; burst < 20; burst += 1)
        rig.hear(rig.lane.channel, encodeMessage(`foreign${ms}`, burst, encodeBody("x", { kind: "key", key: "k" })));
      await rig.settleAll();
    }
    expect(rig.counters.heartbeats - before).toBeLessThanOrEqual(11);
    expect(rig.counters.heartbeats - before).toBeGreaterThanOrEqual(9);
    expect(rig.resets).toEqual([]);
  });

  it("takes anything at all from its channels without harm", async () => {
    const rig = await started();
    const { malformed } = rig.counters;
    const texts = fc.sample(
      fc.oneof(
        fc.string({ maxLength: 200 }),
        fc.string({ unit }),
        fc.json().map((json) => `1 epoch1 1 ${json}`),
      ),
      500,
    );
    for (const text of texts) {
      rig.hear(rig.lane.channel, text);
      rig.hear(rig.lane.heartbeatChannel, text);
    }
    expect(rig.counters.malformed - malformed).toBe(2 * texts.length);
    await rig.heartbeat();
    expect([rig.told, rig.resets, rig.proofs.length]).toEqual([[], [], 1]);
  });

  it("obeys only what is signed, when it holds a secret", async () => {
    const signer = createBodySigner("sixteen bytes at least");
    const rig = await started(new LaneRig(signer));
    const target = { kind: "key", key: "signed" } as const;
    rig.invalidate("signed", "other", encodeBody("other", target, signer.sign("rig", encodeBody("other", target))));
    const forged = encodeBody("other", { kind: "all" }, signer.sign("another namespace", encodeBody("other", { kind: "all" })));
    for (const body of [forged, encodeBody("other", { kind: "all" })]) rig.hear(rig.lane.channel, encodeMessage("epoch1", 2, body));
    await rig.settleAll();
    expect(rig.told).toEqual(["signed"]);
    expect(rig.counters.malformed).toBe(2);
  });

  it("keeps its promise in any interleaving: before a proof, all that it reaches over was told or everything was dropped", async () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.constant("invalidate" as const) },
      { weight: 6, arbitrary: fc.constant("deliver" as const) },
      { weight: 2, arbitrary: fc.constant("lose" as const) },
      { weight: 1, arbitrary: fc.constant("repeat" as const) },
      { weight: 3, arbitrary: fc.constant("beat" as const) },
      { weight: 6, arbitrary: fc.constant("answer" as const) },
      { weight: 1, arbitrary: fc.constant("fail" as const) },
      { weight: 1, arbitrary: fc.constant("trim" as const) },
      { weight: 1, arbitrary: fc.constant("forget" as const) },
      { weight: 1, arbitrary: fc.constant("reconnect" as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80, size: "max" }), async (steps) => {
        const rig = new LaneRig();
        /** When each key was invalidated, and not yet told or dropped. */
        const open = new Map<string, number>();
        rig.onEvent = (kind, detail) => {
          if (kind === "reset") open.clear();
          else if (kind === "told") open.delete(String(detail));
          else for (const [key, at] of open) if (at < Number(detail)) throw new Error(`proof of ${detail} without ${key} of ${at}`);
        };
        let keys = 0;
        let last: { readonly channel: string; readonly text: string } | undefined;
        for (const name of [...steps, "end" as const]) {
          rig.clock.advance(10);
          if (name === "invalidate" || name === "trim") {
            keys += 1;
            open.set(`k${keys}`, rig.clock.now());
            if (name === "invalidate") rig.invalidate(`k${keys}`);
            else rig.server.append(encodeBody("other", { kind: "key", key: `k${keys}` }), "key", `k${keys}`, 1);
          } else if (name === "deliver") {
            last = rig.messages[0] ?? last;
            rig.deliver();
          } else if (name === "lose") rig.deliver(true);
          else if (name === "repeat" && last) rig.hear(last.channel, last.text);
          else if (name === "beat") void rig.lane.beat();
          else if (name === "answer") await rig.answer();
          else if (name === "fail") await rig.answer(true);
          else if (name === "forget") rig.forget();
          else if (name === "reconnect") {
            rig.subscribed();
          }
        }
        rig.clock.advance(100);
        for (let round = 0; round < 3; round += 1) await rig.heartbeat();
        expect([...open.keys()]).toEqual([]);
        expect(rig.proofs.at(-1)).toBeGreaterThan(0);
      }),
      { numRuns: Number(process.env.LARDER_PROPERTY_RUNS ?? 300) },
    );
  });
});
