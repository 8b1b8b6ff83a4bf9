import type { Cache, MaybePromise } from "@larder/cache-core";
import { CountedCache } from "./counted-cache.ts";
import { resolveTestApi, type TestApi } from "./test-api.ts";

/** What a store may lack. Declared with a reason, so that nothing is skipped in silence. */
export interface MissingCapability {
  readonly capability: "size" | "ttl" | "undefined-refused" | "bad-ttl-refused" | "bad-names-refused" | "closed-refused" | "tiers-cleared";
  readonly reason: string;
}

/** How the suite gets at an implementation. */
export interface DescribeCacheOptions {
  /** A new, empty cache of its own: nothing else writes to it. `ttlMs` is its default time to live, when given. */
  readonly create: (options: { readonly ttlMs?: number }) => MaybePromise<Cache<unknown>>;
  /** Lets time pass: a manual clock moves, a server is waited for. */
  readonly advance: (ms: number) => MaybePromise<void>;
  /** The coarsest step in which the implementation tells times to live apart, in milliseconds; times in the suite are multiples of it. @default 1 */
  readonly ttlResolutionMs?: number;
  /** A value that is too large for the caches that `create` makes. @default none: the test of a refused `set` is skipped, and says so */
  readonly tooLarge?: unknown;
  /** What the implementation does not do. @default nothing */
  readonly lacks?: readonly MissingCapability[];
  /** The test functions, where vitest's own are not wanted (a CommonJS build, another runner with the same API). @default vitest's */
  readonly testApi?: TestApi;
}

/** Values that a cache must give back as they were. */
const VALUES: ReadonlyArray<readonly [string, unknown]> = [
  ["null", null],
  ["false", false],
  ["0", 0],
  ["the empty string", ""],
  ["a string", "text with ünïcödé, 𝄞 and \u0000"],
  ["an object", { role: "user", content: [1, 2, { deep: true }] }],
  ["an array", [1, "two", null]],
];

/** Keys that a careless implementation mixes up or mangles. */
const KEYS = [
  "a",
  "a:b",
  "a b",
  "*",
  "a*",
  "[ab]",
  "a?",
  "\\",
  "__proto__",
  "constructor",
  "toString",
  "é",
  "e\u0301",
  "\u0000",
  "{tag}:x",
  "{",
  "}",
  "{}",
  "a".repeat(1000),
];

/**
 * The conformance suite of the `Cache` contract: call it in a test file, once per implementation or combination. Every promise that
 * `Cache` makes in its doc comments has a test here.
 */
export function describeCache(name: string, options: DescribeCacheOptions): void {
  const { describe, it, expect } = resolveTestApi(options.testApi);
  const unit = options.ttlResolutionMs ?? 1;
  const lack = (capability: MissingCapability["capability"]): MissingCapability | undefined =>
    options.lacks?.find((missing) => missing.capability === capability);
  /** Runs the test, or reports it as skipped under the declared reason. */
  const when = (capability: MissingCapability["capability"], title: string, run: () => Promise<void>): void => {
    const missing = lack(capability);
    if (missing) it.skip(`${title} (lacks ${capability}: ${missing.reason})`, run);
    else it(title, run);
  };
  const withCache = async (run: (cache: Cache<unknown>) => Promise<void>, ttlMs?: number): Promise<void> => {
    const cache = new CountedCache(await options.create(ttlMs === undefined ? {} : { ttlMs }));
    try {
      await run(cache);
      await checkCounters(cache);
    } finally {
      await cache.close();
    }
  };
  const checkCounters = async (cache: CountedCache): Promise<void> => {
    const { hits, misses, staleHits, sets, rejectedSets, entries = 0 } = cache.stats();
    expect({ reads: hits + misses, sets: sets + rejectedSets }).toEqual({ reads: cache.reads, sets: cache.stored + cache.refused });
    expect(sets, "sets answered with true").toBeGreaterThanOrEqual(cache.stored);
    expect(staleHits).toBeLessThanOrEqual(hits + misses);
    expect(entries).toBeLessThanOrEqual(sets);
  };

  describe(`${name} keeps the contract of a cache`, () => {
    describe("values", () => {
      it("answers undefined for what was never stored", () =>
        withCache(async (cache) => expect(await cache.get("absent")).toBe(undefined)));
      for (const [kind, value] of VALUES) {
        it(`gives ${kind} back, and tells it from a miss`, () =>
          withCache(async (cache) => {
            expect(await cache.set("key", value)).toBe(true);
            expect(await cache.get("key")).toEqual(value);
            expect(await cache.has("key")).toBe(true);
            expect(await cache.lookup("key")).toMatchObject({ status: "hit" });
          }));
      }
      it("replaces a value", () =>
        withCache(async (cache) => {
          await cache.set("key", "old");
          await cache.set("key", "new");
          expect(await cache.get("key")).toBe("new");
        }));
      when("undefined-refused", "refuses undefined as a value", () =>
        withCache(async (cache) => {
          await expect((async () => cache.set("key", undefined))()).rejects.toMatchObject({ code: "ERR_CACHE_INVALID_OPTION" });
          expect(await cache.get("key")).toBe(undefined);
        }),
      );
      const refuses = "answers false for a value that is too large, counts it, and has dropped the former value";
      const refusedSet = (): Promise<void> =>
        withCache(async (cache) => {
          await cache.set("key", "former");
          expect(await cache.set("key", options.tooLarge)).toBe(false);
          expect(await cache.get("key")).toBe(undefined);
          expect(await cache.has("key")).toBe(false);
          expect(cache.stats()).toMatchObject({ sets: 1, rejectedSets: 1 });
          expect(
            await cache.setMany([
              ["other", "small"],
              ["key", options.tooLarge],
            ]),
          ).toEqual([true, false]);
        });
      if (options.tooLarge === undefined) it.skip(`${refuses} (no value is: tooLarge was not given)`, refusedSet);
      else it(refuses, refusedSet);
    });

    describe("keys", () => {
      it("keeps odd keys apart and gives each its own value", () =>
        withCache(async (cache) => {
          for (const [index, key] of KEYS.entries()) await cache.set(key, index);
          for (const [index, key] of KEYS.entries()) expect(await cache.get(key), JSON.stringify(key)).toBe(index);
        }));
      it("deletes only the key that was named", () =>
        withCache(async (cache) => {
          for (const key of KEYS) await cache.set(key, key);
          expect(await cache.delete("a*")).toBe(true);
          expect(await cache.get("a*")).toBe(undefined);
          for (const key of KEYS.filter((other) => other !== "a*")) expect(await cache.get(key), JSON.stringify(key)).toBe(key);
        }));
    });

    const calls: ReadonlyArray<readonly [string, (cache: Cache<unknown>, key: string) => unknown]> = [
      ["get", (cache, key) => cache.get(key)],
      ["lookup", (cache, key) => cache.lookup(key)],
      ["set", (cache, key) => cache.set(key, 1)],
      ["has", (cache, key) => cache.has(key)],
      ["delete", (cache, key) => cache.delete(key)],
      ["getMany", (cache, key) => cache.getMany([key])],
      ["setMany", (cache, key) => cache.setMany([[key, 1]])],
      ["deleteMany", (cache, key) => cache.deleteMany([key])],
    ];
    describe("keys and tags of another kind", () => {
      for (const [method, call] of calls) {
        when("bad-names-refused", `are refused by ${method}, which names the key`, () =>
          withCache(async (cache) => {
            for (const key of [5, undefined, null, {}] as unknown[]) {
              await expect((async () => call(cache, key as string))()).rejects.toMatchObject({
                code: "ERR_CACHE_INVALID_OPTION",
                message: expect.stringContaining("key must be a string"),
              });
            }
          }),
        );
      }
      when("bad-names-refused", "are refused by set, which names the tags and stores nothing", () =>
        withCache(async (cache) => {
          for (const tags of ["abc", 5, [5], {}] as unknown[]) {
            await expect((async () => cache.set("key", 1, { tags: tags as string[] }))()).rejects.toMatchObject({
              code: "ERR_CACHE_INVALID_OPTION",
              message: expect.stringContaining("tags"),
            });
          }
          expect(await cache.get("key")).toBe(undefined);
        }),
      );
    });

    describe("delete, has and clear", () => {
      it("tells whether a deleted entry was there", () =>
        withCache(async (cache) => {
          await cache.set("key", 1);
          expect(await cache.delete("key")).toBe(true);
          expect(await cache.delete("key")).toBe(false);
          expect(await cache.has("key")).toBe(false);
        }));
      it("clears everything, and can be filled again", () =>
        withCache(async (cache) => {
          await cache.setMany([
            ["a", 1],
            ["b", 2],
          ]);
          await cache.clear();
          expect(await cache.getMany(["a", "b"])).toEqual([undefined, undefined]);
          await cache.set("a", 3);
          expect(await cache.get("a")).toBe(3);
        }));
      when("size", "counts what it holds", () =>
        withCache(async (cache) => {
          expect(await cache.size()).toBe(0);
          await cache.setMany([
            ["a", 1],
            ["b", 2],
          ]);
          await cache.set("a", 3);
          expect(await cache.size()).toBe(2);
          await cache.delete("a");
          expect(await cache.size()).toBe(1);
          await cache.clear();
          expect(await cache.size()).toBe(0);
        }),
      );
    });

    describe("many keys at once", () => {
      it("answers getMany in the order of the keys, undefined for each miss, and repeats included", () =>
        withCache(async (cache) => {
          expect(
            await cache.setMany([
              ["a", 1],
              ["b", null],
            ]),
          ).toEqual([true, true]);
          expect(await cache.getMany(["b", "absent", "a", "b"])).toEqual([null, undefined, 1, null]);
        }));
      it("answers empty lists with empty answers", () =>
        withCache(async (cache) => {
          expect(await cache.getMany([])).toEqual([]);
          expect(await cache.setMany([])).toEqual([]);
          expect(await cache.deleteMany([])).toBe(0);
        }));
      it("counts what deleteMany dropped", () =>
        withCache(async (cache) => {
          await cache.set("a", 1);
          await cache.set("b", 2);
          expect(await cache.deleteMany(["a", "absent", "b"])).toBe(2);
          expect(await cache.getMany(["a", "b"])).toEqual([undefined, undefined]);
        }));
    });

    describe("time to live", () => {
      when("ttl", "keeps an entry until its time to live is over, and not longer", () =>
        withCache(async (cache) => {
          await cache.set("key", 1, { ttlMs: 100 * unit });
          await options.advance(20 * unit);
          expect(await cache.get("key")).toBe(1);
          await options.advance(100 * unit);
          expect(await cache.get("key")).toBe(undefined);
          expect(await cache.has("key")).toBe(false);
          expect(await cache.lookup("key")).toEqual({ status: "miss" });
        }),
      );
      when("ttl", "lets the time to live of a set win over the cache's own", () =>
        withCache(async (cache) => {
          await cache.set("short", 1);
          await cache.set("long", 1, { ttlMs: 1000 * unit });
          await options.advance(150 * unit);
          expect(await cache.getMany(["short", "long"])).toEqual([undefined, 1]);
        }, 100 * unit),
      );
      when("ttl", "starts the time anew when a value is replaced", () =>
        withCache(async (cache) => {
          await cache.set("key", 1, { ttlMs: 100 * unit });
          await options.advance(60 * unit);
          await cache.set("key", 2, { ttlMs: 100 * unit });
          await options.advance(60 * unit);
          expect(await cache.get("key")).toBe(2);
        }),
      );
      when("ttl", "keeps an entry of infinite time to live", () =>
        withCache(async (cache) => {
          await cache.set("key", 1, { ttlMs: Number.POSITIVE_INFINITY });
          await options.advance(500 * unit);
          expect(await cache.get("key")).toBe(1);
          expect(await cache.lookup("key")).toMatchObject({ status: "hit", remainingMs: Number.POSITIVE_INFINITY });
        }, 100 * unit),
      );
      when("ttl", "tells age and remaining time", () =>
        withCache(async (cache) => {
          await cache.set("key", 1, { ttlMs: 1000 * unit });
          await options.advance(100 * unit);
          const found = await cache.lookup("key");
          if (found.status !== "hit") throw new Error(`expected a hit, got ${found.status}`);
          expect(found.ageMs).toBeGreaterThanOrEqual(99 * unit);
          expect(found.remainingMs).toBeGreaterThan(0);
          expect(found.remainingMs).toBeLessThanOrEqual(901 * unit);
        }),
      );
      for (const ttlMs of [0, -5, Number.NaN, "10 seconds", null]) {
        when("bad-ttl-refused", `refuses a time to live of ${JSON.stringify(ttlMs) ?? ttlMs} and names it`, () =>
          withCache(async (cache) => {
            await cache.set("key", "kept");
            await expect((async () => cache.set("key", "new", { ttlMs: ttlMs as number }))()).rejects.toMatchObject({
              code: "ERR_CACHE_INVALID_OPTION",
              message: expect.stringContaining("ttlMs"),
            });
            expect(await cache.get("key")).toBe("kept");
          }),
        );
      }
    });

    describe("stats", () => {
      it("counts each read once, as a hit or a miss, and has as neither", () =>
        withCache(async (cache) => {
          const before = cache.stats();
          await cache.set("key", null);
          await cache.get("key");
          await cache.get("absent");
          await cache.lookup("key");
          await cache.getMany(["key", "absent"]);
          await cache.has("key");
          const after = cache.stats();
          expect(after.hits - before.hits).toBe(3);
          expect(after.misses - before.misses).toBe(2);
          expect(after.sets - before.sets).toBe(1);
        }));
      it("gives snapshots that later calls do not change", () =>
        withCache(async (cache) => {
          const before = cache.stats();
          await cache.get("absent");
          expect(before.misses).toBe(0);
          expect(Object.isFrozen(before)).toBe(true);
        }));
      it("leaves the counters alone when it is cleared", () =>
        withCache(async (cache) => {
          await cache.get("absent");
          await cache.clear();
          expect(cache.stats().misses).toBe(1);
        }));
    });

    describe("close", () => {
      it("may be closed twice, and by await using", async () => {
        const cache = await options.create({});
        await cache.close();
        await cache.close();
        await cache[Symbol.asyncDispose]();
      });
      const others: typeof calls = [
        ["getMany of no keys", (cache) => cache.getMany([])],
        ["setMany of no entries", (cache) => cache.setMany([])],
        ["deleteMany of no keys", (cache) => cache.deleteMany([])],
        ["clear", (cache) => cache.clear()],
        ["size", (cache) => cache.size()],
      ];
      for (const [method, call] of [...calls, ...others]) {
        when("closed-refused", `refuses ${method} after it was closed`, async () => {
          const cache = await options.create({});
          await cache.close();
          await expect((async () => call(cache, "key"))()).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
        });
      }
      it("tells its counters after it was closed", async () => {
        const cache = await options.create({});
        await cache.get("absent");
        await cache.close();
        expect(cache.stats()).toMatchObject({ hits: 0, misses: 1 });
      });
    });
  });
}
