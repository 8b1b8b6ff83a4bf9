import { decodeMessage, encodeBody, encodeMessage, type StoredEntry } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { uniquePrefix, waitUntil } from "@larder/cache-testing";
import fc from "fast-check";
import { Redis } from "ioredis";
import { describe, expect, it } from "vitest";
import { createBodySigner } from "../src/body-signer.ts";
import { createCoherentCache, RedisInvalidationBus } from "../src/index.ts";
import { LaneRig } from "./lane-rig.ts";

// Epoch and seq are not signed: whoever may publish on the channel can put any place in front of a body that he has heard. What he may
// cost others are misses. An invalidation must never be lost by it.
const signer = createBodySigner("a secret of some length");

function signed(key: string): string {
  const target = { kind: "key", key } as const;
  return encodeBody("other", target, signer.sign("rig", encodeBody("other", target)));
}

async function started(): Promise<LaneRig> {
  const rig = new LaneRig(signer);
  await rig.heartbeat();
  rig.invalidate("overheard", "other", signed("overheard"));
  await rig.heartbeat();
  rig.told.length = rig.resets.length = rig.proofs.length = 0;
  rig.clock.advance(100);
  return rig;
}

/** An old message arrives at a place of the forger's choice. */
const forge = (rig: LaneRig, seq: number): void => rig.hear(rig.lane.channel, encodeMessage("epoch1", seq, signed("overheard")));

describe("a place that is forged", () => {
  it("does not keep the real message from being told, before it or after it", async () => {
    for (const isFirst of [true, false]) {
      const rig = await started();
      rig.invalidate("k", "other", signed("k"));
      if (isFirst) forge(rig, 2);
      rig.deliver();
      if (!isFirst) forge(rig, 2);
      expect(rig.told).toContain("k");
      expect(rig.counters).toMatchObject({ duplicates: 1, malformed: 0 });
    }
  });

  it("does not keep it from being told when the two say the same", async () => {
    const rig = await started();
    forge(rig, 2);
    rig.told.length = 0;
    rig.invalidate("overheard", "other", signed("overheard"));
    rig.deliver();
    expect(rig.told).toEqual(["overheard"]);
  });

  it("does not stand for a message that was lost with the subscription: the log is read before anything is proved", async () => {
    const rig = await started();
    rig.invalidate("k", "other", signed("k"));
    forge(rig, 2);
    rig.lane.onLost();
    rig.subscribed();
    rig.onEvent = (kind) => {
      if (kind === "proof") expect(rig.told).toContain("k");
    };
    await rig.settleAll();
    expect(rig.proofs).toHaveLength(1);
    expect(rig.resets).toEqual([]);
  });

  it("does not stand for it on the next subscription either, not even before that is known to stand", async () => {
    for (const isKnown of [true, false]) {
      const rig = await started();
      rig.invalidate("k", "other", signed("k"));
      rig.lane.onLost();
      rig.messages.length = 0;
      if (!isKnown) forge(rig, 2);
      rig.subscribed();
      if (isKnown) forge(rig, 2);
      await rig.settleAll();
      expect(rig.told).toContain("k");
      expect(rig.proofs).toHaveLength(1);
    }
  });

  it("does not stand for it either before a heartbeat that is heard before the subscription is known to stand", async () => {
    const rig = await started();
    rig.invalidate("k", "other", signed("k"));
    rig.lane.onLost();
    rig.messages.length = 0;
    forge(rig, 2);
    void rig.lane.beat();
    rig.deliver();
    expect(rig.proofs).toEqual([]);
    rig.lane.onSubscribed();
    await rig.settleAll();
    expect(rig.told).toContain("k");
  });

  it("does not hide what the log tells of a place heard ahead of a hole", async () => {
    const rig = await started();
    for (const key of ["lost", "too"]) rig.invalidate(key, "other", signed(key));
    rig.messages.length = 0;
    forge(rig, 3);
    await rig.settleAll();
    expect(rig.told).toEqual(["overheard", "lost", "too"]);
  });

  it("is forgotten when the log does not reach so far, and nothing is left waiting for it", async () => {
    const rig = await started();
    forge(rig, 4_711);
    expect(rig.lane.record).toBeUndefined();
    await rig.settleAll();
    expect(rig.lane.record?.epoch).toBe("epoch1");
    expect(rig.resets).toEqual([]);
  });

  it("does not prove anything by the nonce of a heartbeat that this process has missed", async () => {
    const rig = await started();
    rig.lane.onLost();
    void rig.lane.beat();
    const overheard = rig.messages.splice(0).map(({ text }) => text);
    await rig.answer();
    rig.invalidate("k", "other", signed("k"));
    rig.lane.onSubscribed();
    rig.messages.length = 0;
    for (const text of overheard) rig.hear(rig.lane.heartbeatChannel, text);
    expect(rig.proofs).toEqual([]);
  });

  it("breaks no promise in any interleaving: before a proof, all that it reaches over was told or everything was dropped", async () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.constant("invalidate" as const) },
      { weight: 5, arbitrary: fc.constant("deliver" as const) },
      { weight: 3, arbitrary: fc.integer({ min: -2, max: 3 }) },
      { weight: 3, arbitrary: fc.constant("beat" as const) },
      { weight: 6, arbitrary: fc.constant("answer" as const) },
      { weight: 1, arbitrary: fc.constant("fail" as const) },
      { weight: 1, arbitrary: fc.constant("cut" as const) },
      { weight: 2, arbitrary: fc.constant("carry" as const) },
      { weight: 2, arbitrary: fc.constant("stand" as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80, size: "max" }), async (steps) => {
        const rig = await started();
        /** When each key was invalidated, and not yet told or dropped. */
        const open = new Map<string, number>();
        rig.onEvent = (kind, detail) => {
          if (kind === "reset") open.clear();
          else if (kind === "told") open.delete(String(detail));
          else for (const [key, at] of open) if (at < Number(detail)) throw new Error(`proof of ${detail} without ${key} of ${at}`);
        };
        /** Cut off; or subscribed at the server and not known to be; or known to be subscribed. */
        let link: "cut" | "carries" | "stands" = "stands";
        let [published, invalidated] = [1, 0];
        const stand = (): void => {
          if (link !== "stands") rig.lane.onSubscribed();
          link = "stands";
        };
        for (const name of steps) {
          rig.clock.advance(10);
          if (name === "invalidate") {
            const key = `k${invalidated % 3}`;
            [published, invalidated] = [published + 1, invalidated + 1];
            open.set(key, rig.clock.now());
            rig.invalidate(key, "other", signed(key));
          } else if (typeof name === "number") {
            rig.messages.push({
              channel: rig.lane.channel,
              text: encodeMessage("epoch1", Math.max(1, published + name), signed("overheard")),
            });
          } else if (name === "deliver") rig.deliver();
          else if (name === "beat") void rig.lane.beat();
          else if (name === "answer") await rig.answer();
          else if (name === "fail") await rig.answer(true);
          else if (name === "cut") {
            link = "cut";
            rig.lane.onLost();
          } else if (name === "carry" && link === "cut") link = "carries";
          else if (name === "stand" && link !== "cut") stand();
          if (link === "cut") rig.messages.length = 0;
        }
        stand();
        await rig.settleAll();
        rig.clock.advance(100);
        for (let round = 0; round < 3; round += 1) await rig.heartbeat();
        expect([...open.keys()]).toEqual([]);
        expect(rig.proofs.at(-1)).toBe(rig.clock.now());
      }),
      { numRuns: Number(process.env.LARDER_PROPERTY_RUNS ?? 300) },
    );
  });

  it("on a real server costs a peer a miss, and hides nothing from it", async () => {
    const keyPrefix = uniquePrefix();
    const [a, b] = ["a", "b"].map(() => {
      const bus = new RedisInvalidationBus({ url: process.env.REDIS_URL as string, keyPrefix, signer });
      const l1 = new MemoryCache<StoredEntry<string>>({ maxEntries: 10 });
      return { bus, cache: createCoherentCache<string>({ l1, bus, backendBudgetMs: 5_000 }) };
    });
    const forger = new Redis(process.env.REDIS_URL as string);
    try {
      if (!a || !b) throw new Error("there are two");
      await Promise.all([a.cache.ready(), b.cache.ready()]);
      const overheard = new Promise<readonly [channel: string, text: string]>((resolve) => {
        forger.once("pmessage", (_pattern, channel: string, text: string) => resolve([channel, text]));
      });
      await forger.psubscribe(`${keyPrefix}:*bus`);
      await a.cache.invalidate("other");
      const [channel, text] = await overheard;
      const { epoch = "", seq = 0 } = decodeMessage(text) ?? {};
      expect(await b.cache.get("k", () => "old")).toBe("old");
      // Just after a heartbeat, so that as a rule none comes between the two.
      const { proofs } = b.bus.stats();
      await waitUntil("a proof", () => b.bus.stats().proofs > proofs);
      await forger.punsubscribe();
      await forger.publish(channel, encodeMessage(epoch, seq + 1, text.slice(text.indexOf("["))));
      expect(await a.cache.invalidate("k")).toMatchObject({ propagated: true });
      await waitUntil("b hears the real one", async () => (await b.cache.get("k", () => "new")) === "new");
    } finally {
      forger.disconnect();
      for (const member of [a, b]) {
        await member?.cache.close();
        member?.bus.close();
      }
    }
  });
});
