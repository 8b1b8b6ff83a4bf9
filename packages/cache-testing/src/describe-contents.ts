import type { Cache, SetOptions } from "@larder/cache-core";
import type { CacheSuite } from "./cache-suite.ts";

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
  "",
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

/** Keys of which UTF-8 makes one: it has no halves of surrogate pairs. */
const ILL_FORMED_KEYS = ["\ud800", "\ud801", "\udc00", "\ufffd"];

/** A call of each method that takes a key. */
export const KEYED_CALLS: ReadonlyArray<readonly [string, (cache: Cache<unknown>, key: string) => unknown]> = [
  ["get", (cache, key) => cache.get(key)],
  ["lookup", (cache, key) => cache.lookup(key)],
  ["set", (cache, key) => cache.set(key, 1)],
  ["has", (cache, key) => cache.has(key)],
  ["delete", (cache, key) => cache.delete(key)],
  ["getMany", (cache, key) => cache.getMany([key])],
  ["setMany", (cache, key) => cache.setMany([[key, 1]])],
  ["deleteMany", (cache, key) => cache.deleteMany([key])],
];

/** What is stored comes back, and undefined is not stored. */
function describeValues({ describe, it, expect, when, withCache, options }: CacheSuite): void {
  describe("values", () => {
    it("answers undefined for what was never stored", () => withCache(async (cache) => expect(await cache.get("absent")).toBe(undefined)));
    for (const [kind, value] of VALUES) {
      it(`gives ${kind} back, and tells it from a miss`, () =>
        withCache(async (cache) => {
          expect(await cache.set("key", value)).toBe(true);
          expect(await cache.get("key")).toEqual(value);
          expect(await cache.has("key")).toBe(true);
          expect(await cache.lookup("key")).toEqual(expect.objectContaining({ status: "hit", value, tier: expect.any(String) }));
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
        for (const set of [() => cache.set("key", undefined), () => cache.setMany([["key", undefined]])])
          await expect((async () => set())()).rejects.toMatchObject({ code: "ERR_CACHE_INVALID_OPTION" });
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
}

/** Keys are kept apart. */
function describeKeys({ describe, it, expect, when, withCache }: CacheSuite): void {
  const expectApart = (keys: readonly string[]): Promise<void> =>
    withCache(async (cache) => {
      for (const [index, key] of keys.entries()) await cache.set(key, index);
      // With its key, so that a failure names it: Jest's expect takes no message.
      for (const [index, key] of keys.entries()) expect([key, await cache.get(key)]).toEqual([key, index]);
    });
  describe("keys", () => {
    it("keeps odd keys apart and gives each its own value", () => expectApart(KEYS));
    when("ill-formed-keys", "keeps keys apart that UTF-8 cannot write down", () => expectApart(ILL_FORMED_KEYS));
    it("deletes only the key that was named", () =>
      withCache(async (cache) => {
        for (const key of KEYS) await cache.set(key, key);
        expect(await cache.delete("a*")).toBe(true);
        expect(await cache.get("a*")).toBe(undefined);
        for (const key of KEYS.filter((other) => other !== "a*")) expect([key, await cache.get(key)]).toEqual([key, key]);
      }));
  });
}

/** What is no key or tag is refused. */
function describeBadNames({ describe, expect, when, withCache }: CacheSuite): void {
  describe("keys, tags, options and lists of another kind", () => {
    for (const [method, call] of KEYED_CALLS) {
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
    for (const [method, set] of [
      ["set", (cache: Cache<unknown>, options: SetOptions) => cache.set("key", 1, options)],
      ["setMany", (cache: Cache<unknown>, options: SetOptions) => cache.setMany([["key", 1]], options)],
    ] as const) {
      when("bad-names-refused", `are refused by ${method} in place of options: a bare time to live would count for nothing`, () =>
        withCache(async (cache) => {
          for (const options of [1_000, "1h", true, null] as unknown[]) {
            await expect((async () => set(cache, options as SetOptions))()).rejects.toMatchObject({
              code: "ERR_CACHE_INVALID_OPTION",
              message: expect.stringContaining("options must be an object such as { ttlMs: 60_000 }"),
            });
          }
          expect(await cache.get("key")).toBe(undefined);
        }),
      );
    }
    when("bad-names-refused", "are refused as names of options: ttl, as other caches call it, would count for nothing", () =>
      withCache(async (cache) => {
        for (const name of ["ttl", "max", "TTLMS"]) {
          await expect((async () => cache.set("key", 1, { [name]: 1_000 }))()).rejects.toMatchObject({
            code: "ERR_CACHE_INVALID_OPTION",
            message: expect.stringContaining(`the name of an option must be one of ttlMs, tags, got the string "${name}"`),
          });
        }
        expect(await cache.get("key")).toBe(undefined);
        expect(await cache.set("key", 1, { ttl: undefined } as SetOptions)).toBe(true);
      }),
    );
    for (const [method, call] of [
      ["getMany", (cache: Cache<unknown>, list: unknown) => cache.getMany(list as string[])],
      ["setMany", (cache: Cache<unknown>, list: unknown) => cache.setMany(list as Array<[string, unknown]>)],
      ["deleteMany", (cache: Cache<unknown>, list: unknown) => cache.deleteMany(list as string[])],
    ] as const) {
      when("bad-names-refused", `are refused by ${method} in place of a list: a Map or a Set would be taken for empty`, () =>
        withCache(async (cache) => {
          for (const list of ["key", new Map([["key", 1]]), new Set(["key"]), null]) {
            await expect((async () => call(cache, list))()).rejects.toMatchObject({
              code: "ERR_CACHE_INVALID_OPTION",
              message: expect.stringContaining("must be an array"),
            });
          }
        }),
      );
    }
    when("bad-names-refused", "are refused by setMany in place of pairs, and none is stored: other caches take { key, value }", () =>
      withCache(async (cache) => {
        for (const entry of [{ key: "other", value: 1 }, "ab", undefined, null]) {
          const entries = [["key", 1], entry] as Array<[string, unknown]>;
          await expect((async () => cache.setMany(entries))()).rejects.toMatchObject({
            code: "ERR_CACHE_INVALID_OPTION",
            message: expect.stringContaining("must be a pair [key, value]"),
          });
        }
        expect(await cache.get("key")).toBe(undefined);
      }),
    );
  });
}

/** What is dropped is gone, and nothing else. */
function describeRemoval({ describe, it, expect, when, withCache, inSteps, options }: CacheSuite): void {
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
    it("keeps to itself: a neighbour in the same backend has its own entries, and keeps them when this one is cleared", () =>
      withCache((cache) =>
        withCache(async (neighbour) => {
          await cache.set("key", "own");
          expect(await neighbour.get("key")).toBe(undefined);
          await neighbour.set("key", "neighbour's");
          expect(await cache.get("key")).toBe("own");
          await cache.clear();
          expect(await cache.get("key")).toBe(undefined);
          expect(await neighbour.get("key")).toBe("neighbour's");
        }),
      ));
    when("ttl", "answers a deletion of what is over by itself as one of what was never there", () =>
      inSteps((unit) =>
        withCache(async (cache) => {
          const ttlMs = 100 * unit;
          await cache.setMany(
            [
              ["a", 1],
              ["b", 2],
            ],
            { ttlMs },
          );
          await options.advance(150 * unit);
          expect(await cache.delete("a")).toBe(false);
          expect(await cache.deleteMany(["b"])).toBe(0);
        }),
      ),
    );
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
    when("size", "counts nothing whose time is over", () =>
      inSteps((unit, mustBeWithin) =>
        withCache(async (cache) => {
          await cache.set("long", 2);
          await cache.set("short", 1, { ttlMs: 100 * unit });
          const size = await cache.size();
          mustBeWithin(100);
          expect(size).toBe(2);
          await options.advance(150 * unit);
          expect(await cache.size()).toBe(1);
        }),
      ),
    );
  });
}

/** What a cache holds: values, keys, what is refused, what is dropped. */
export function describeContents(suite: CacheSuite): void {
  describeValues(suite);
  describeKeys(suite);
  describeBadNames(suite);
  describeRemoval(suite);
}
