import type { BackendCall, FencedStore, LeaseOutcome } from "@larder/cache-core";
import { fillOptions, type StoreSuite } from "./store-suite.ts";

/** One of all processes loads, and the others learn how that ended. */
export function describeStoreLeases({ describe, it, expect, withPair, reserve, load, call }: StoreSuite): void {
  /** Has a process ask for a lease that another one has, and wait. */
  const wait = async (store: FencedStore<unknown>, terms: BackendCall = call()): Promise<{ readonly outcome: Promise<LeaseOutcome> }> => {
    const reservation = await reserve(store, "key", true);
    expect(reservation.lease).toBe("held");
    return { outcome: store.awaitFill(reservation, terms) };
  };
  describe("leases", () => {
    it("gives the lease to one who asks for it, tells the others that it is held, and none to who does not ask", () =>
      withPair(async ({ a, b }) => {
        expect(await reserve(a, "key", false)).toMatchObject({ lease: "none" });
        expect(await reserve(a, "key", true)).toMatchObject({ lease: "owned" });
        expect(await reserve(b, "key", true)).toMatchObject({ lease: "held" });
        expect(await reserve(b, "another key", true)).toMatchObject({ lease: "owned" });
      }));

    it("wakes who waits when the value is there, and has it for them", () =>
      withPair(async ({ a, b }) => {
        const owned = await reserve(a, "key", true);
        const waiting = await wait(b);
        expect(await a.fill(owned, "value", fillOptions())).toBe("stored");
        expect(await waiting.outcome).toBe("stored");
        expect(await reserve(b, "key", true)).toMatchObject({ entry: { value: "value" } });
      }));

    for (const outcome of ["not-stored", "failed"] as const) {
      it(`wakes who waits when the lease is given back as ${outcome}, and gives it to who asks next`, () =>
        withPair(async ({ a, b }) => {
          const owned = await reserve(a, "key", true);
          const waiting = await wait(b);
          await a.release(owned, outcome);
          // Who begins to wait when the lease has gone already does not know how it ended, and has to load as well.
          expect(await waiting.outcome).not.toBe("stored");
          expect(await reserve(b, "key", true)).toMatchObject({ lease: "owned" });
        }));
    }

    it("ends a lease with the invalidation of its key: what is loaded under it will not be stored", () =>
      withPair(async ({ a, b }) => {
        const owned = await reserve(a, "key", true);
        const waiting = await wait(b);
        await b.invalidate({ kind: "key", key: "key" }, call());
        expect(await waiting.outcome).not.toBe("stored");
        expect(await reserve(b, "key", true)).toMatchObject({ lease: "owned" });
        expect(await a.fill(owned, "old", fillOptions())).toBe("rejected");
        // And a lease that was given since is not ended by who had the former one.
        expect(await reserve(a, "key", true)).toMatchObject({ lease: "held" });
      }));

    it("lets who waits go when nobody wants the answer any more", () =>
      withPair(async ({ a, b }) => {
        await reserve(a, "key", true);
        const aborter = new AbortController();
        const waiting = await wait(b, { ...call(), signal: aborter.signal });
        aborter.abort(new Error("the caller gave up"));
        expect(await waiting.outcome.catch(() => "failed")).toBe("failed");
      }));

    it("hands over what was stored between a read and its reservation", () =>
      withPair(async ({ a, b }) => {
        expect(await a.read("key", call())).toBe(undefined);
        await load(b, "key", "value", { tags: ["t"] });
        expect(await reserve(a, "key", true)).toMatchObject({ entry: { value: "value", tags: ["t"] } });
      }));
  });
}
