import { Budget, CacheError, systemClock } from "@larder/cache-core";
import { type BusSuite, keyTarget } from "./bus-suite.ts";

/** What a bus cannot prevent it makes up for, or says. */
export function describeBusFaults({ expect, when, call }: BusSuite): void {
  when("cut", "lets the proof age while cut off, and afterwards tells what was missed before it proves anything", async (world) => {
    const { channelA, channelB, heardByA, heardByB } = world;
    await channelA.invalidate(keyTarget("before"), call());
    await heardByB.until("the one before", () => heardByB.heard.length === 1);
    await world.cut?.();
    const cutAt = systemClock.now();
    await channelA.invalidate(keyTarget("missed"), call());
    const acknowledgedAt = systemClock.now();
    // A's own proof passes: time enough for B to have had one, were it not cut off.
    await heardByA.proofOf(acknowledgedAt);
    expect(channelB.lastProofAt).toBeLessThan(acknowledgedAt);
    expect(channelB.lastProofAt).toBeLessThanOrEqual(cutAt + 1);
    const resets = heardByB.resets.length;
    let knewInTime = true;
    await world.heal?.();
    await heardByB.until("a proof after the cut", () => {
      const isProven = (heardByB.proofs.at(-1) ?? -Infinity) > acknowledgedAt;
      const isTold = heardByB.targets.some((target) => target.kind === "key" && target.key === "missed");
      if (isProven && !isTold && heardByB.resets.length === resets) knewInTime = false;
      return isProven;
    });
    expect(knewInTime).toBe(true);
  });

  when("cut", "refuses an invalidation while cut off, within the caller's budget", async (world) => {
    await world.cut?.();
    const startedAt = systemClock.now();
    const refusal = await world.channelB
      .invalidate(keyTarget("k"), { budget: new Budget(50, systemClock) })
      .catch((error: unknown) => error);
    expect(CacheError.is(refusal) && refusal.retryable).toBe(true);
    expect(systemClock.now() - startedAt).toBeLessThan(1_000);
    await world.heal?.();
  });

  when("forget", "drops everything when the order was lost, and starts a new epoch", async (world) => {
    const { channelA, heardByA, heardByB } = world;
    const before = await channelA.invalidate(keyTarget("k"), call());
    const [resetsA, resetsB] = [heardByA.resets.length, heardByB.resets.length];
    await world.forget?.();
    await heardByA.until("a reset at a", () => heardByA.resets.length > resetsA);
    await heardByB.until("a reset at b", () => heardByB.resets.length > resetsB);
    await heardByA.proofOf(systemClock.now());
    const after = await channelA.invalidate(keyTarget("k"), call());
    expect(after.epoch).not.toBe(before.epoch);
    await heardByB.until("the new one", () => heardByB.heard.some(({ epoch }) => epoch === after.epoch));
  });
}
