import type { InvalidationResult, ReadThroughCache } from "@larder/cache-core";
import { HeldLoad } from "./held-load.ts";
import { errorOf, load, type ReadThroughSuite } from "./read-through-suite.ts";
import { waitUntil } from "./redis-server.ts";

type Invalidation = readonly [what: string, invalidate: (cache: ReadThroughCache<unknown>) => Promise<InvalidationResult>];

/** Each drops "key", which is stored with the tag "t". */
const TARGETS: readonly Invalidation[] = [
  ["its key", (cache) => cache.invalidate("key")],
  ["its tag", (cache) => cache.invalidateTag("t")],
  ["a pattern of its key", (cache) => cache.invalidateMatching("k?y*")],
  ["all", (cache) => cache.invalidateAll()],
];

/** Each leaves "key" alone. */
const OTHERS: readonly Invalidation[] = [
  ["another key", (cache) => cache.invalidate("t")],
  ["another tag", (cache) => cache.invalidateTag("key")],
  ["a pattern of a part of its key", (cache) => cache.invalidateMatching("k?")],
  ["a pattern that is no character class", (cache) => cache.invalidateMatching("[k]*")],
  ["a pattern of a star by itself", (cache) => cache.invalidateMatching("\\*")],
];

const TAGGED = { tags: ["t"] };
const PROPAGATED: InvalidationResult = { propagated: true, pending: 0 };
const failing = (): never => {
  throw new Error("failed");
};

/** What was there before is gone, here and elsewhere, whichever way it is named. */
function describeDrops({ describe, it, expect, withPair, withCache, options, unit }: ReadThroughSuite): void {
  describe("invalidations", () => {
    for (const [what, invalidate] of TARGETS) {
      it(`drops an entry by ${what}, here and in other processes`, () =>
        withPair(async ({ a, b = a }) => {
          for (const cache of [a, b]) expect(await load(cache, "key", () => "old", TAGGED)).toBe("old");
          expect(await invalidate(a)).toEqual(PROPAGATED);
          expect(await a.get("key")).toBe(undefined);
          await waitUntil("the other process hears of it", async () => (await b.get("key")) === undefined);
          expect(await load(b, "key", () => "new", TAGGED)).toBe("new");
          expect(a.stats().invalidations).toBe(1);
        }));

      it(`keeps nothing of a load that began before an invalidation by ${what}, and lets nobody join it`, () =>
        withCache(async (cache) => {
          const [old, fresh] = [new HeldLoad(), new HeldLoad()];
          const before = load(cache, "key", old.loader, TAGGED);
          await old.begun;
          await invalidate(cache);
          const after = load(cache, "key", fresh.loader, TAGGED);
          await fresh.begun;
          old.end("old");
          // Who asked before has what was asked for.
          expect(await before).toBe("old");
          expect(await cache.get("key")).toBe(undefined);
          fresh.end("new");
          expect([await after, await cache.get("key")]).toEqual(["new", "new"]);
        }));

      it(`gives nothing back of what was invalidated by ${what}: neither to a loader nor when that fails`, () =>
        withCache(async (cache) => {
          const policy = { ...TAGGED, ttlMs: 100 * unit, staleIfErrorMs: 10_000 * unit, staleWhileRevalidateMs: 10_000 * unit };
          await load(cache, "key", () => "old", policy);
          await options.advance(150 * unit);
          const held = new HeldLoad();
          const waiting = errorOf(load(cache, "key", held.loader, { ...policy, staleWhileRevalidateMs: 0 }));
          const context = await held.begun;
          expect(context.stale).toBe("old");
          await invalidate(cache);
          expect(context.stale).toBe(undefined);
          held.fail(new Error("failed"));
          expect(await waiting).toMatchObject({ message: "failed" });
          expect(await errorOf(load(cache, "key", failing, policy))).toMatchObject({ message: "failed" });
        }));
    }

    it("leaves alone what was not meant", () =>
      withCache(async (cache) => {
        await load(cache, "key", () => "value", TAGGED);
        for (const [what, invalidate] of OTHERS) {
          expect(await invalidate(cache)).toEqual(PROPAGATED);
          expect([what, await cache.get("key")]).toEqual([what, "value"]);
        }
      }));
  });
}

/** Under which tags an entry falls, and what comes in the place of a load. */
function describeOwnership({ describe, it, expect, withPair, withCache }: ReadThroughSuite): void {
  describe("tags and writes", () => {
    it("drops an entry by the tags of everybody who shared its load, and by those that its loader gave", async () => {
      for (const tag of ["first", "second", "loader's"])
        await withCache(async (cache) => {
          const held = new HeldLoad();
          const first = load(cache, "key", held.loader, { tags: ["first"] });
          (await held.begun).setOptions({ tags: ["loader's"] });
          const second = load(cache, "key", held.loader, { tags: ["second"] });
          held.end("value");
          expect([await first, await second, await cache.get("key")]).toEqual(["value", "value", "value"]);
          await cache.invalidateTag(tag);
          expect([tag, await cache.get("key")]).toEqual([tag, undefined]);
        });
    });

    for (const [what, write, value] of [
      ["a set", (cache) => cache.set("key", "set"), "set"],
      ["a delete", (cache) => cache.delete("key"), undefined],
      ["a clear", (cache) => cache.clear(), undefined],
    ] satisfies ReadonlyArray<readonly [string, (cache: ReadThroughCache<unknown>) => unknown, unknown]>) {
      it(`keeps nothing of a load that began before ${what}`, () =>
        withCache(async (cache) => {
          const held = new HeldLoad();
          const before = load(cache, "key", held.loader);
          await held.begun;
          await write(cache);
          held.end("old");
          expect([await before, await cache.get("key")]).toEqual(["old", value]);
        }));
    }

    it("has other processes drop what is set anew", () =>
      withPair(async ({ a, b = a }) => {
        for (const cache of [a, b]) await load(cache, "key", () => "old");
        expect(await a.set("key", "new")).toBe(true);
        expect(await a.get("key")).toBe("new");
        await waitUntil("the other process hears of it", async () => (await b.get("key")) !== "old");
      }));
  });
}

/** What an invalidation ends, and what it does not. */
export function describeInvalidations(suite: ReadThroughSuite): void {
  describeDrops(suite);
  describeOwnership(suite);
}
