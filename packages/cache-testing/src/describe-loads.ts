import { HeldLoad } from "./held-load.ts";
import { errorOf, load, type ReadThroughSuite } from "./read-through-suite.ts";

/** What a loader makes is the answer, and is kept. */
function describeValues({ describe, it, expect, withCache, options, unit }: ReadThroughSuite): void {
  describe("values", () => {
    for (const value of [{ deep: [1, null] }, null, 0, "", false]) {
      it(`keeps ${JSON.stringify(value)} for as long as it lives, and calls no loader meanwhile`, () =>
        withCache(async (cache) => {
          let calls = 0;
          const make = (): unknown => {
            calls += 1;
            return value;
          };
          for (let round = 0; round < 3; round += 1) expect(await load(cache, "key", make, { ttlMs: 100 * unit })).toEqual(value);
          expect(calls).toBe(1);
          expect(await cache.get("key")).toEqual(value);
          await options.advance(150 * unit);
          expect(await cache.get("key")).toBe(undefined);
          await load(cache, "key", make);
          expect(calls).toBe(2);
        }));
    }

    it("gives undefined where a loader does, and does not keep it", () =>
      withCache(async (cache) => {
        expect(await load(cache, "key", () => undefined)).toBe(undefined);
        expect(await cache.has("key")).toBe(false);
        expect(await load(cache, "key", () => "value")).toBe("value");
      }));

    it("keeps what a loader makes as the loader says: not at all, or for a time of its own", () =>
      withCache(async (cache) => {
        await load(cache, "skipped", ({ skipStore }) => {
          skipStore();
          return "value";
        });
        await load(cache, "short", ({ setOptions }) => {
          setOptions({ ttlMs: 10 * unit });
          return "value";
        });
        expect([await cache.get("skipped"), await cache.get("short")]).toEqual([undefined, "value"]);
        await options.advance(20 * unit);
        expect(await cache.get("short")).toBe(undefined);
      }));

    it("loads anew and replaces what lives where that is asked for, and tells the loader why it is called", () =>
      withCache(async (cache) => {
        const told: unknown[] = [];
        const loading = (value: string, forceRefresh: boolean): Promise<unknown> =>
          load(
            cache,
            "key",
            ({ key, reason, stale }) => {
              told.push([key, reason, stale]);
              return value;
            },
            { forceRefresh },
          );
        await loading("first", false);
        expect(await loading("second", true)).toBe("second");
        expect(await cache.get("key")).toBe("second");
        expect(told).toEqual([
          ["key", "miss", undefined],
          ["key", "forced", "first"],
        ]);
      }));

    it("refuses what is no loader, and options that are none", () =>
      withCache(async (cache) => {
        const refused = { code: "ERR_CACHE_INVALID_OPTION" };
        expect(await errorOf(load(cache, "key", "value" as unknown as () => unknown))).toMatchObject(refused);
        for (const wrong of [{ ttlMs: 0 }, { timeoutMs: Number.NaN }, { staleIfErrorMs: -1 }, { jitter: 2 }, { tags: "t" }])
          expect(await errorOf(load(cache, "key", () => 1, wrong as { ttlMs: number }))).toMatchObject(refused);
        expect(await cache.has("key")).toBe(false);
      }));
  });
}

/** Who asks at one time shares. */
function describeSharing({ describe, it, expect, withCache }: ReadThroughSuite): void {
  describe("single flight", () => {
    it("calls one loader of a key for all who ask while it runs, and one of each key", () =>
      withCache(async (cache) => {
        const [held, another] = [new HeldLoad(), new HeldLoad()];
        const callers = [load(cache, "key", held.loader)];
        await held.begun;
        for (let count = 0; count < 3; count += 1) callers.push(load(cache, "key", held.loader));
        const apart = load(cache, "another key", another.loader);
        await another.begun;
        held.end("value");
        expect(await Promise.all(callers)).toEqual(["value", "value", "value", "value"]);
        another.end("another value");
        expect(await apart).toBe("another value");
        expect([held.calls, another.calls]).toEqual([1, 1]);
        expect(cache.stats()).toMatchObject({ loads: 2, coalesced: 3, hits: 0, misses: 5 });
      }));

    it("gives a loader's error to all who wait for it, as it was thrown, and keeps nothing of it", () =>
      withCache(async (cache) => {
        const held = new HeldLoad();
        const first = errorOf(load(cache, "key", held.loader));
        await held.begun;
        const second = errorOf(load(cache, "key", held.loader));
        const error = new Error("the loader's own");
        held.fail(error);
        // Said as a boolean: what differs may be an object without end.
        expect([(await first) === error, (await second) === error]).toEqual([true, true]);
        expect(await load(cache, "key", () => "value")).toBe("value");
        expect(cache.stats()).toMatchObject({ loads: 2, loadErrors: 1 });
      }));

    it("frees who aborts, alone, and cancels the load when the last one has left", () =>
      withCache(async (cache) => {
        const held = new HeldLoad();
        const [one, other] = [new AbortController(), new AbortController()];
        const first = errorOf(load(cache, "key", held.loader, { signal: one.signal }));
        const { signal } = await held.begun;
        const second = errorOf(load(cache, "key", held.loader, { signal: other.signal }));
        one.abort(new Error("left"));
        expect(await first).toMatchObject({ code: "ERR_CACHE_ABORTED", cause: one.signal.reason });
        expect(signal.aborted).toBe(false);
        other.abort();
        expect(await second).toMatchObject({ code: "ERR_CACHE_ABORTED" });
        expect(signal.aborted).toBe(true);
        // Nobody joins what was cancelled.
        expect(await load(cache, "key", () => "value")).toBe("value");
      }));

    it("ends with the cache: who waits is told, and so is who comes later", async () =>
      withCache(async (cache) => {
        const held = new HeldLoad();
        const waiting = errorOf(load(cache, "key", held.loader));
        await held.begun;
        await cache.close();
        expect(await waiting).toMatchObject({ code: "ERR_CACHE_CLOSED" });
        const calls = [
          load(cache, "key", () => 1),
          cache.invalidate("key"),
          cache.invalidateTag("t"),
          cache.invalidateMatching("*"),
          cache.invalidateAll(),
        ];
        for (const error of await Promise.all(calls.map(errorOf))) expect(error).toMatchObject({ code: "ERR_CACHE_CLOSED" });
      }));
  });
}

/** Loaders, what they make, and who shares it. */
export function describeLoads(suite: ReadThroughSuite): void {
  describeValues(suite);
  describeSharing(suite);
}
