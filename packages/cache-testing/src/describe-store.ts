import type { FencedStore, InvalidationTarget } from "@larder/cache-core";
import { describeStoreLeases } from "./describe-store-leases.ts";
import type { DescribeStoreOptions } from "./describe-store-options.ts";
import { fillOptions, StoreSuite } from "./store-suite.ts";

/** Each drops "key", which is stored with the tag "t". */
const TARGETS: ReadonlyArray<readonly [what: string, target: InvalidationTarget]> = [
  ["its key", { kind: "key", key: "key" }],
  ["its tag", { kind: "tag", tag: "t" }],
  ["a pattern of its key", { kind: "pattern", pattern: "k*" }],
  ["all", { kind: "all" }],
];

/** Each leaves "key" alone. */
const OTHERS: readonly InvalidationTarget[] = [
  { kind: "key", key: "another" },
  { kind: "key", key: "t" },
  { kind: "tag", tag: "key" },
  { kind: "tag", tag: "another" },
  { kind: "pattern", pattern: "another*" },
  { kind: "pattern", pattern: "k" },
];

/** What else drops a key: the calls of a cache. */
const DROPS: ReadonlyArray<readonly [what: string, drop: (store: FencedStore<unknown>) => unknown]> = [
  ["a delete", (store) => store.delete("key")],
  ["a clear", (store) => store.clear()],
];

/** What one process stores, the others find. */
function describeFills({ describe, it, expect, withPair, reserve, load, call, options }: StoreSuite): void {
  describe("fills", () => {
    it("keeps what was loaded for everybody: the value, its tags and the version from before the load", () =>
      withPair(async ({ a, b }) => {
        const reservation = await reserve(a, "key");
        expect(reservation).toMatchObject({ key: "key", entry: undefined });
        for (const value of [{ deep: [1, null] }, null, 0, "", false]) {
          expect(await a.fill(await reserve(a, "key"), value, fillOptions({ tags: ["t", "u"] }))).toBe("stored");
          for (const store of [a, b]) {
            const found = await store.read("key", call());
            expect(found).toMatchObject({ value, version: reservation.version, freshMs: Infinity, remainingMs: Infinity });
            expect([...(found?.tags ?? [])].sort()).toEqual(["t", "u"]);
            expect(await store.get("key")).toEqual(value);
          }
        }
      }));

    it("keeps an entry past its time for stale policies, and not longer; only reads of them see it", () =>
      withPair(async ({ a, b }) => {
        const unit = options.ttlResolutionMs ?? 1;
        await load(a, "key", "value", { ttlMs: 100 * unit, staleMs: 100_000 * unit });
        await load(a, "short", "value", { ttlMs: 100 * unit, staleMs: 20 * unit });
        await options.advance(150 * unit);
        const found = await b.read("key", call());
        expect(found).toMatchObject({ value: "value" });
        expect(found?.freshMs).toBeLessThanOrEqual(0);
        expect(found?.remainingMs).toBeGreaterThan(0);
        expect(found?.ageMs).toBeGreaterThanOrEqual(149 * unit);
        expect([await b.get("key"), await b.has("key")]).toEqual([undefined, false]);
        expect(await b.read("short", call())).toBe(undefined);
      }));

    const refuses = "does not keep a value that is too large, and drops the former one by replacing it with one";
    const tooLarge = (): Promise<void> =>
      withPair(async ({ a, b }) => {
        expect(await load(a, "loaded", options.tooLarge)).not.toBe("stored");
        expect(await b.read("loaded", call())).toBe(undefined);
        await load(a, "key", "former");
        expect(await a.replace("key", options.tooLarge, fillOptions(), call())).toMatchObject({ isStored: false });
        expect(await b.read("key", call())).toBe(undefined);
      });
    if (options.tooLarge === undefined) it.skip(`${refuses} (no value is: tooLarge was not given)`, tooLarge);
    else it(refuses, tooLarge);
  });
}

/** What was read before an invalidation is never kept behind it. */
function describeFences({ describe, it, expect, withPair, reserve, load, valueIn, call }: StoreSuite): void {
  describe("fences", () => {
    const fenced = (drop: (store: FencedStore<unknown>) => unknown): Promise<void> =>
      withPair(async ({ a, b }) => {
        await load(a, "key", "former", { tags: ["t"], staleMs: 1_000_000 });
        const [here, there] = [await reserve(a, "key"), await reserve(b, "key")];
        await drop(b);
        expect([await valueIn(a, "key"), await valueIn(b, "key")]).toEqual([undefined, undefined]);
        expect(await a.fill(here, "old", fillOptions({ tags: ["t"] }))).toBe("rejected");
        expect(await b.fill(there, "old", fillOptions({ tags: ["t"] }))).toBe("rejected");
        expect([await valueIn(a, "key"), await valueIn(b, "key")]).toEqual([undefined, undefined]);
        expect(await load(a, "key", "new", { tags: ["t"] })).toBe("stored");
        expect(await valueIn(b, "key")).toBe("new");
      });
    for (const [what, target] of TARGETS)
      it(`drops an entry with ${what}, and refuses what was loaded before`, () => fenced((store) => store.invalidate(target, call())));
    for (const [what, drop] of DROPS) it(`drops an entry with ${what}, and refuses what was loaded before`, () => fenced(drop));

    it("refuses a load of a key that was never there before it was invalidated", () =>
      withPair(async ({ a, b }) => {
        const reservation = await reserve(a, "key");
        await b.invalidate({ kind: "key", key: "key" }, call());
        expect(await a.fill(reservation, "old", fillOptions())).toBe("rejected");
        expect(await valueIn(b, "key")).toBe(undefined);
      }));

    it("leaves alone what was not meant", () =>
      withPair(async ({ a, b }) => {
        await load(a, "key", "value", { tags: ["t"] });
        for (const target of OTHERS) {
          await b.invalidate(target, call());
          expect([target, await valueIn(a, "key"), await valueIn(b, "key")]).toEqual([target, "value", "value"]);
        }
      }));

    it("answers an invalidation with the version after it: further on than any reservation from before", () =>
      withPair(async ({ a, b }) => {
        const { version } = await reserve(a, "key");
        const after = await b.invalidate({ kind: "key", key: "key" }, call());
        expect(after.epoch).toBe(version.epoch);
        expect(after.seq).toBeGreaterThan(version.seq);
        expect((await reserve(a, "key")).version).toEqual({ epoch: after.epoch, seq: after.seq });
      }));
  });
}

/** An invalidation that brings the new value. */
function describeReplace({ describe, it, expect, withPair, reserve, load, valueIn, call, options }: StoreSuite): void {
  describe("replace", () => {
    it("has the new value for everybody, and refuses what was loaded before it", () =>
      withPair(async ({ a, b }) => {
        await load(a, "key", "former");
        const reservation = await reserve(b, "key");
        const { version, isStored } = await a.replace("key", "new", fillOptions({ tags: ["t"] }), call());
        expect(isStored).toBe(true);
        expect(version.seq).toBeGreaterThan(reservation.version.seq);
        expect(await b.fill(reservation, "old", fillOptions())).toBe("rejected");
        expect(await b.read("key", call())).toMatchObject({
          value: "new",
          tags: ["t"],
          version: { epoch: version.epoch, seq: version.seq },
        });
        await b.invalidate({ kind: "tag", tag: "t" }, call());
        expect(await valueIn(a, "key")).toBe(undefined);
      }));

    it("refuses a value that it cannot encode, and nothing has happened", () =>
      withPair(async ({ a, b }) => {
        await load(a, "key", "former");
        const reservation = await reserve(b, "key");
        const uncodable = options.uncodable ?? (() => {});
        await expect(a.replace("key", uncodable, fillOptions(), call())).rejects.toMatchObject({ code: "ERR_CACHE_CODEC" });
        expect(await valueIn(b, "key")).toBe("former");
        expect(await b.fill(reservation, "loaded", fillOptions())).toBe("stored");
        expect(await load(a, "another", uncodable)).toBe("failed");
      }));
  });
}

/**
 * The conformance suite of the `FencedStore` contract, which is what a second tier is beside a `Cache`: call it in a test file, once per implementation
 * or combination, with `describeCache`. It holds a store to what the tiers above rely on: fences, versions, tags, stale windows and leases, as two
 * processes see them.
 */
export function describeStore(name: string, options: DescribeStoreOptions): void {
  const suite = new StoreSuite(options);
  suite.describe(`${name} keeps the contract of a shared store`, () => {
    describeFills(suite);
    describeFences(suite);
    describeReplace(suite);
    describeStoreLeases(suite);
  });
}
