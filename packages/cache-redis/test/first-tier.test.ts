import { type SetOptions, type StoredEntry, systemClock, TieredCache } from "@larder/cache-core";
import { NaiveCache, uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, expect, test } from "vitest";
import { openCache, redisUrl } from "./support.ts";

const client = new Redis(redisUrl);
afterAll(() => client.disconnect());

/** A first tier that gives and takes copies, as `values: "cloned"` does: what cannot be cloned is refused by a throw. */
class CloningCache<V> extends NaiveCache<V> {
  override get(key: string): V | undefined {
    return structuredClone(super.get(key));
  }

  override set(key: string, value: V, options?: SetOptions): boolean {
    return super.set(key, structuredClone(value), options);
  }
}

/** Two processes, in tests in which no deadline of Redis plays a part. */
async function openPair() {
  const keyPrefix = uniquePrefix();
  const [one, other] = await Promise.all(
    [0, 1].map(async () => {
      const l2 = await openCache<unknown>({ client, keyPrefix });
      return new TieredCache<unknown>({
        l1: new CloningCache<StoredEntry<unknown>>({ clock: systemClock }),
        l2,
        ttlMs: 60_000,
        backendBudgetMs: 5_000,
      });
    }),
  );
  return [one, other] as [TieredCache<unknown>, TieredCache<unknown>];
}

test("a value that the first tier cannot keep is an answer all the same, and no other process waits for its lease", async () => {
  const [a, b] = await openPair();
  const uncloneable = { value: () => "a function" };
  expect(await a.getOrSet("key", () => uncloneable)).toBe(uncloneable);
  expect(await b.getOrSet("key", () => "from b", { timeoutMs: 1_000 })).toBeDefined();
  expect(a.stats()).toMatchObject({ sets: 0, rejectedSets: 1 });
});

test("a fill that Redis refused leaves no copy in the first tier either", async () => {
  const [a, b] = await openPair();
  const answer = await a.getOrSet("key", async () => {
    await b.invalidate("key");
    return { version: "old" };
  });
  expect(answer).toEqual({ version: "old" });
  await expect.poll(() => a.stats().rejectedFills).toBe(1);
  expect(await a.getOrSet("key", () => ({ version: "new" }))).toEqual({ version: "new" });
});

test("a caller's timeoutMs ends its wait for another process's load", async () => {
  const [a, b] = await openPair();
  let finish!: (value: string) => void;
  const loading = a.getOrSet("key", () => new Promise((resolve) => (finish = resolve)));
  await expect.poll(() => finish).toBeDefined();
  await expect(b.getOrSet("key", () => "from b", { timeoutMs: 100 })).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
  finish("from a");
  expect(await loading).toBe("from a");
  await expect.poll(() => b.get("key")).toBe("from a");
});

test("lists longer than what may be under way at one time are stored, found and deleted whole", async () => {
  const [a, b] = await openPair();
  const keys = Array.from({ length: 5_000 }, (_, index) => `key ${index}`);
  const values = keys.map((key) => `value of ${key}`);
  expect((await a.setMany(keys.map((key, index) => [key, values[index]]))).every(Boolean)).toBe(true);
  expect(await b.getMany(keys)).toEqual(values);
  const l2 = await openCache<unknown>({ client });
  expect((await l2.setMany(keys.map((key, index) => [key, values[index]]))).every(Boolean)).toBe(true);
  expect(await l2.getMany(keys)).toEqual(values);
  expect(await l2.deleteMany(keys)).toBe(keys.length);
  expect(l2.stats().errors).toBe(0);
});
