import { uniquePrefix, waitUntil } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RedisCache } from "../src/index.ts";
import { call, openCache, plain, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
afterAll(() => client.disconnect());

/** Two processes' views of one cache. */
async function pair(): Promise<{ a: RedisCache<string>; b: RedisCache<string>; keyPrefix: string }> {
  const keyPrefix = uniquePrefix();
  return { a: await openCache<string>({ client, keyPrefix }), b: await openCache<string>({ client, keyPrefix }), keyPrefix };
}

const reserve = async (cache: RedisCache<string>, key: string, lease = false) => {
  const reservation = await cache.reserve(key, lease, call());
  if (!reservation) throw new Error("no reservation");
  return reservation;
};

describe("a fill", () => {
  test("is stored when nothing happened since the reservation, and read by the other process", async () => {
    const { a, b } = await pair();
    expect(await a.fill(await reserve(a, "key"), "v1", plain)).toBe("stored");
    expect(await b.get("key")).toBe("v1");
  });

  const invalidations = {
    "its key": { kind: "key", key: "key" },
    "one of its tags": { kind: "tag", tag: "red" },
    "a pattern": { kind: "pattern", pattern: "k*" },
    all: { kind: "all" },
  } as const;
  for (const [what, target] of Object.entries(invalidations)) {
    test(`is refused when another process invalidated ${what} since the reservation`, async () => {
      const { a, b } = await pair();
      const reservation = await reserve(a, "key");
      await b.invalidate(target, call());
      expect(await a.fill(reservation, "old", { ...plain, tags: ["red", "blue"] })).toBe("rejected");
      expect(await a.get("key")).toBe(undefined);
      expect(a.stats().rejectedFills).toBe(1);
      expect(await a.fill(await reserve(a, "key"), "new", { ...plain, tags: ["red", "blue"] })).toBe("stored");
      expect(await b.get("key")).toBe("new");
    });
  }

  test("is accepted when another tag was invalidated since", async () => {
    const { a, b } = await pair();
    // A record for the tag must be there: one that was never seen might have been newer.
    await b.set("other", "x", { tags: ["red"] });
    const reservation = await reserve(a, "key");
    await b.invalidate({ kind: "tag", tag: "green" }, call());
    expect(await a.fill(reservation, "value", { ...plain, tags: ["red"] })).toBe("stored");
    expect(await b.get("key")).toBe("value");
  });

  test("is refused after the fence was lost: an absent token equals none", async () => {
    const { a, keyPrefix } = await pair();
    const reservation = await reserve(a, "key");
    await client.del(`${keyPrefix}:{test.0}:f:key`);
    expect(await a.fill(reservation, "old", plain)).toBe("rejected");
  });

  test("is refused after the version record was lost, and every older entry is void", async () => {
    const { a, b, keyPrefix } = await pair();
    await a.set("older", "value");
    const reservation = await reserve(a, "key");
    await client.del(`${keyPrefix}:{test.0}:version`);
    expect(await a.fill(reservation, "old", plain)).toBe("rejected");
    await b.invalidate({ kind: "tag", tag: "any" }, call());
    expect(await a.get("older")).toBe(undefined);
  });

  test("is refused after a set or a delete of the key in between", async () => {
    const { a, b } = await pair();
    const first = await reserve(a, "key");
    await b.set("key", "newer");
    expect(await a.fill(first, "old", plain)).toBe("rejected");
    expect(await a.get("key")).toBe("newer");
    const second = await reserve(a, "key");
    await b.delete("key");
    expect(await a.fill(second, "old", plain)).toBe("rejected");
  });

  test("that arrives after its deadline has no effect", async () => {
    const { a, b } = await pair();
    const slow = await openCache<string>({ client, keyPrefix: uniquePrefix(), writeTimeoutMs: 30 });
    const reservation = await reserve(slow, "key");
    const pause = client.duplicate();
    await pause.client("PAUSE", 120, "ALL");
    expect(await slow.fill(reservation, "late", plain)).toBe("failed");
    await pause.client("UNPAUSE");
    await client.ping();
    expect(await slow.get("key")).toBe(undefined);
    pause.disconnect();
    await Promise.all([a.close(), b.close(), slow.close()]);
  });
});

describe("judgement without a bus", () => {
  let a: RedisCache<string>;
  let b: RedisCache<string>;
  beforeAll(async () => {
    ({ a, b } = await pair());
  });

  test("drops what a tag covers, and nothing else", async () => {
    await a.set("red", "1", { tags: ["red", "warm"] });
    await a.set("blue", "2", { tags: ["blue"] });
    await a.set("none", "3");
    await b.invalidate({ kind: "tag", tag: "red" }, call());
    expect(await a.getMany(["red", "blue", "none"])).toEqual([undefined, "2", "3"]);
    expect(await b.getMany(["red", "blue", "none"])).toEqual([undefined, "2", "3"]);
  });

  test("drops what a pattern matches, and nothing else", async () => {
    await a.set("user:1", "1");
    await a.set("user:2", "2");
    await a.set("model:1", "3");
    await b.invalidate({ kind: "pattern", pattern: "user:?" }, call());
    expect(await a.getMany(["user:1", "user:2", "model:1"])).toEqual([undefined, undefined, "3"]);
  });

  test("keeps what no pattern matches, however often one comes", async () => {
    await a.set("model:2", "kept");
    for (let round = 0; round < 40; round += 1) {
      await b.invalidate({ kind: "pattern", pattern: "user:?" }, call());
      if (round === 20) await a.set("user:1", "old");
      if (round === 30) await a.set("user:2", "old");
    }
    expect(await a.getMany(["user:1", "user:2", "model:2"])).toEqual([undefined, undefined, "kept"]);
    await a.set("user:1", "new");
    // One more than are told apart: what was there before the older half of them is dropped, and what came after is judged by the others.
    for (let index = 0; index <= 32; index += 1) await b.invalidate({ kind: "pattern", pattern: `p${index}:*` }, call());
    expect(await a.getMany(["user:1", "model:2"])).toEqual([undefined, undefined]);
  });

  test("drops everything at once when cleared, and frees it in the background", async () => {
    const stored = await a.setMany(Array.from({ length: 300 }, (_, index) => [`many:${index}`, "x"] as const));
    // On a busy machine some come too late.
    const count = stored.filter(Boolean).length;
    await b.clear();
    expect(await a.get("many:7")).toBe(undefined);
    await a.set("after", "kept");
    await expect.poll(() => b.stats().sweptEntries).toBeGreaterThanOrEqual(count);
    expect(await b.get("after")).toBe("kept");
  });

  test("takes an entry whose tag's record was lost as a miss once any tag is newer", async () => {
    const { a: first, b: second, keyPrefix } = await pair();
    await first.set("key", "value", { tags: ["red"] });
    await second.invalidate({ kind: "tag", tag: "blue" }, call());
    expect(await first.get("key")).toBe("value");
    await client.del(`${keyPrefix}:{test.0}:t:red`);
    const fresh = await openCache<string>({ client, keyPrefix });
    expect(await fresh.get("key")).toBe(undefined);
  });
});

describe("entries", () => {
  test("tell a stale value apart inside its window, and never give it as a hit", async () => {
    const { a } = await pair();
    await a.fill(await reserve(a, "key"), "value", { ttlMs: 400, staleMs: 60_000, tags: [] });
    expect(await a.get("key")).toBe("value");
    await expect.poll(() => a.lookup("key")).toMatchObject({ status: "stale", value: "value" });
    expect(await a.get("key")).toBe(undefined);
    const entry = await a.read("key", call());
    expect(entry?.freshMs).toBeLessThanOrEqual(0);
    expect(entry?.remainingMs).toBeGreaterThan(50_000);
  });

  test("are moved to no other key: the owner stands inside", async () => {
    const { a, keyPrefix } = await pair();
    await a.set("mine", "secret of mine");
    await client.copy(`${keyPrefix}:{test.0}:v:mine`, `${keyPrefix}:{test.0}:v:yours`);
    expect(await a.get("yours")).toBe(undefined);
    expect(a.stats().refusedEntries.owner).toBe(1);
  });

  test("keep keys apart that UTF-8 would make one", async () => {
    const { a } = await pair();
    await a.set("\ud800", "first");
    await a.set("\ud801", "second");
    await a.set("\ufffd", "third");
    expect(await a.getMany(["\ud800", "\ud801", "\ufffd"])).toEqual(["first", "second", "third"]);
    expect(await a.delete("\ud800")).toBe(true);
    expect(await a.getMany(["\ud800", "\ud801", "\ufffd"])).toEqual([undefined, "second", "third"]);
  });

  test("of infinite time to live have none in Redis, and their tags' records neither", async () => {
    const { a, keyPrefix } = await pair();
    await a.set("key", "value", { ttlMs: Infinity, tags: ["red"] });
    expect(await client.pttl(`${keyPrefix}:{test.0}:v:key`)).toBe(-1);
    expect(await client.pttl(`${keyPrefix}:{test.0}:t:red`)).toBe(-1);
    await a.set("short", "value", { ttlMs: 1.5, tags: ["blue"] });
    expect(await client.pttl(`${keyPrefix}:{test.0}:t:blue`)).toBeLessThanOrEqual(2);
  });
});

// Regression: what could not be read threw in the callback of a reply, and ended the process.
test.each([
  ["patterns", "null"],
  ["patterns", "garbage"],
  ["clearedAt", "garbage"],
  ["seq", "1e99"],
])("a version record whose %s is %s voids what is there, and is made anew", async (field, garbage) => {
  const keyPrefix = uniquePrefix();
  const cache = await openCache<string>({ client, keyPrefix });
  await cache.set("key", "value");
  await client.hset(`${keyPrefix}:{test.0}:version`, field, garbage);
  const found = await Promise.all([cache.get("key"), cache.get("key"), cache.getMany(["key", "other"])]);
  expect(found).toEqual([undefined, undefined, [undefined, undefined]]);
  expect(await cache.delete("key")).toBe(false);
  await waitUntil("the next check has made it anew", async () => {
    await cache.set("key", "new");
    return (await cache.get("key")) === "new";
  });
  await cache.close();
});
