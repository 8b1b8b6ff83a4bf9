import { HeldLoad } from "./held-load.ts";
import { errorOf, load, type ReadThroughSuite } from "./read-through-suite.ts";

/** What may be served past its time, and how long is waited. */
export function describeLoadPolicies({ describe, it, expect, withCache, options, unit }: ReadThroughSuite): void {
  const ttlMs = 100 * unit;
  const windowMs = 300 * unit;
  const failing = (): never => {
    throw new Error("failed");
  };
  describe("policies", () => {
    it("serves the old value at once while one load runs behind it, inside staleWhileRevalidateMs and no longer", () =>
      withCache(async (cache) => {
        const policy = { ttlMs, staleWhileRevalidateMs: windowMs };
        await load(cache, "key", () => "old", policy);
        await options.advance(150 * unit);
        const held = new HeldLoad();
        expect(await load(cache, "key", held.loader, policy)).toBe("old");
        expect(await held.begun).toMatchObject({ reason: "stale", stale: "old" });
        expect(await load(cache, "key", held.loader, policy)).toBe("old");
        held.end("new");
        // Who does not take what is old waits for the load that runs.
        expect(await load(cache, "key", held.loader)).toBe("new");
        expect(held.calls).toBe(1);
        await options.advance(ttlMs + 2 * windowMs);
        expect(await load(cache, "key", () => "newest", policy)).toBe("newest");
      }));

    it("serves the old value when a load fails, inside staleIfErrorMs and no longer, to those who ask for that", () =>
      withCache(async (cache) => {
        const policy = { ttlMs, staleIfErrorMs: windowMs };
        await load(cache, "key", () => "old", policy);
        await options.advance(150 * unit);
        expect(await load(cache, "key", failing, policy)).toBe("old");
        expect(await errorOf(load(cache, "key", failing))).toMatchObject({ message: "failed" });
        await options.advance(ttlMs + 2 * windowMs);
        expect(await errorOf(load(cache, "key", failing, policy))).toMatchObject({ message: "failed" });
      }));

    it("does not try again for errorTtlMs what has failed, but for who forces it or after an invalidation", () =>
      withCache(async (cache) => {
        const policy = { errorTtlMs: windowMs };
        const tries = (): Promise<unknown> => load(cache, "key", () => "value", policy);
        expect(await errorOf(load(cache, "key", failing, policy))).toMatchObject({ message: "failed" });
        expect(await errorOf(tries())).toMatchObject({ message: "failed" });
        await options.advance(2 * windowMs);
        expect(await tries()).toBe("value");
        expect(await errorOf(load(cache, "key", failing, { ...policy, forceRefresh: true }))).toMatchObject({ message: "failed" });
        await cache.invalidate("key");
        expect(await tries()).toBe("value");
      }));

    it("keeps a null for negativeTtlMs", () =>
      withCache(async (cache) => {
        await load(cache, "null", () => null, { negativeTtlMs: ttlMs });
        await load(cache, "zero", () => 0, { negativeTtlMs: ttlMs });
        await options.advance(150 * unit);
        expect([await cache.get("null"), await cache.get("zero")]).toEqual([undefined, 0]);
      }));

    it("lets who has waited for timeoutMs go, and cancels the load when nobody else waits", () =>
      withCache(async (cache) => {
        const held = new HeldLoad();
        const waiting = errorOf(load(cache, "key", held.loader, { timeoutMs: ttlMs }));
        const { signal } = await held.begun;
        await options.advance(150 * unit);
        expect(await waiting).toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
        expect(signal.aborted).toBe(true);
        expect(await load(cache, "key", () => "value")).toBe("value");
      }));

    it("gives who has waited for softTimeoutMs the old value, while the load goes on and is kept", () =>
      withCache(async (cache) => {
        const policy = { ttlMs, staleIfErrorMs: 100 * windowMs };
        await load(cache, "key", () => "old", policy);
        await options.advance(150 * unit);
        const held = new HeldLoad();
        const waiting = load(cache, "key", held.loader, { ...policy, softTimeoutMs: 50 * unit });
        const { signal } = await held.begun;
        await options.advance(80 * unit);
        expect(await waiting).toBe("old");
        expect(signal.aborted).toBe(false);
        const patient = load(cache, "key", held.loader);
        held.end("new");
        expect([await patient, await cache.get("key"), held.calls]).toEqual(["new", "new", 1]);
      }));
  });
}
