import { describe, expect, it } from "vitest";
import { Budget } from "./budget.ts";
import type { InvalidationListener } from "./bus.ts";
import { systemClock } from "./clock.ts";
import { MemoryInvalidationBus } from "./memory-bus.ts";

function recorder(): InvalidationListener & { readonly events: string[] } {
  const events: string[] = [];
  return {
    events,
    onInvalidation: ({ target }) => events.push(target.kind === "key" ? target.key : target.kind),
    onReset: (reason) => events.push(reason),
    onProof: (provenAt) => events.push(`proof ${provenAt}`),
    onProofLost: () => events.push("proof lost"),
  };
}

const call = { budget: new Budget(1_000, systemClock) };

// The contract's suite is run in cache-testing; here is what only this bus does.
describe("MemoryInvalidationBus", () => {
  it("takes its proof back from those who are still on it when it is closed, and from nobody who has left", async () => {
    const bus = new MemoryInvalidationBus();
    const [left, stayed, clumsy] = [recorder(), recorder(), recorder()];
    const channel = bus.join("n", left);
    const listener = {
      ...clumsy,
      onProofLost: () => {
        throw new Error("a bug in the listener");
      },
    };
    bus.join("n", listener);
    const staying = bus.join("n", stayed);
    channel.leave();
    bus.close();
    bus.close();
    expect(left.events).toEqual(["proof Infinity"]);
    expect(stayed.events).toEqual(["proof Infinity", "proof lost"]);
    expect(staying.lastProofAt).toBe(-Infinity);
    await expect(staying.invalidate({ kind: "all" }, call)).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
  });

  it("holds nothing of a name when the last who joined by it has left, and all of it until then", async () => {
    const bus = new MemoryInvalidationBus();
    const [first, second] = [bus.join("n", recorder()), bus.join("n", recorder())];
    await first.invalidate({ kind: "key", key: "key" }, call);
    first.leave();
    expect(bus.join("n", recorder()).version(0)).toBe(second.version(0));
    const alone = bus.join("m", recorder());
    alone.leave();
    const again = bus.join("m", recorder());
    expect(again.version(0)).not.toBe(alone.version(0));
    alone.leave();
    expect(bus.join("m", recorder()).version(0)).toBe(again.version(0));
  });

  it("closes under a listener that knows nothing of it", () => {
    const bus = new MemoryInvalidationBus();
    bus.join("n", { onInvalidation: () => {}, onReset: () => {}, onProof: () => {} });
    expect(() => bus.close()).not.toThrow();
  });
});
