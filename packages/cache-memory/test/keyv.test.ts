import suite, { keyvIteratorTests } from "@keyv/test-suite";
import { CacheOverKeyv, KeyvStore } from "@larder/cache-core/keyv";
import { describeCache, ManualClock } from "@larder/cache-testing";
import Keyv from "keyv";
import { Keyv as Keyv6 } from "keyv-6";
import * as testApi from "vitest";
import { MemoryCache } from "../src/index.ts";

// Keyv's own suite judges the adapter: it takes vitest's namespace and a store per call.
type SuiteArguments = Parameters<typeof suite>;
const createStore = (): unknown => new KeyvStore(new MemoryCache<unknown>({ maxEntries: 10_000 }));
suite(testApi as unknown as SuiteArguments[0], Keyv as unknown as SuiteArguments[1], createStore as SuiteArguments[2]);
keyvIteratorTests(testApi as unknown as SuiteArguments[0], Keyv as unknown as SuiteArguments[1], createStore as SuiteArguments[2]);

testApi.test("a KeyvStore refuses an option that there is not: without its namespace, clear() would drop everything", () => {
  const make = (): unknown => new KeyvStore(new MemoryCache<unknown>(), { prefix: "users" } as object);
  testApi.expect(make).toThrow(/ERR_CACHE_INVALID_OPTION.*must be one of namespace, got the string "prefix"/);
});

testApi.test.each([
  ["a KeyvStore over a Map, which knows no times to live", () => new KeyvStore(new Map() as never), "cache.lookup"],
  ["a KeyvStore over nothing", () => new KeyvStore(undefined as never), "cache.lookup"],
  ["a CacheOverKeyv over nothing", () => new CacheOverKeyv(undefined as never), "keyv.get"],
  ["a CacheOverKeyv with a clock that is none", () => new CacheOverKeyv(new Keyv(), { clock: Date as never }), "clock.wallNow"],
])("%s is refused", (_, make, naming) => {
  testApi.expect(make).toThrow(`[ERR_CACHE_INVALID_OPTION] ${naming} must be a function of a`);
});

const clock = new ManualClock();

describeCache("CacheOverKeyv on a Keyv over MemoryCache", {
  create: ({ ttlMs }) => {
    const keyv = new Keyv({ store: new KeyvStore(new MemoryCache<unknown>({ clock, maxBytes: 100_000 })) });
    return new CacheOverKeyv<unknown>(keyv, { clock, ...(ttlMs === undefined ? {} : { ttlMs }) });
  },
  advance: (ms) => clock.advance(ms),
  tooLarge: "x".repeat(100_000),
  lacks: [{ capability: "size", reason: "Keyv does not count" }],
  testApi,
});

testApi.describe("CacheOverKeyv on a database that has trouble", () => {
  const { expect, it } = testApi;

  /** What Keyv makes of a table, as far as it is asked. */
  class Database {
    readonly rows: Map<string, unknown> = new Map();
    isFull = false;
    async get(key: string): Promise<unknown> {
      return this.rows.get(key);
    }
    async set(key: string, value: unknown): Promise<unknown> {
      if (this.isFull) return false;
      this.rows.set(key, value);
      return true;
    }
    async delete(key: string): Promise<boolean> {
      return this.rows.delete(key);
    }
    async clear(): Promise<void> {
      this.rows.clear();
    }
  }

  it("keeps no former value of a set that Keyv answers with false, and counts it", async () => {
    const database = new Database();
    const cache = new CacheOverKeyv<string>(database);
    await cache.set("key", "former");
    database.isFull = true;
    expect(await cache.set("key", "new")).toBe(false);
    expect(await cache.get("key")).toBe(undefined);
    expect(cache.stats()).toMatchObject({ sets: 1, rejectedSets: 1, errors: 0 });
  });

  it("keeps no former value of a set that throws, and counts the error", async () => {
    const database = new Database();
    const cache = new CacheOverKeyv<string>(database);
    await cache.set("key", "former");
    database.set = () => Promise.reject(new Error("the disk is full"));
    expect(await cache.set("key", "new")).toBe(false);
    expect(await cache.get("key")).toBe(undefined);
    expect(cache.stats()).toMatchObject({ sets: 1, rejectedSets: 0, errors: 1 });
  });
});

testApi.describe("KeyvStore below Keyv 6", () => {
  const { expect, it } = testApi;

  it("tells the cache the time to live, which Keyv 6 would keep from a Map", async () => {
    const cache = new MemoryCache<unknown>();
    const keyv = new Keyv6({ store: new KeyvStore(cache) });
    await keyv.set("a", { name: "Ada" }, 60_000);
    expect(await keyv.get("a")).toEqual({ name: "Ada" });
    expect(cache.lookup("a")).toMatchObject({ status: "hit", remainingMs: expect.closeTo(60_000, -4) });
    await keyv.set("b", 1);
    expect(cache.lookup("b")).toMatchObject({ remainingMs: Number.POSITIVE_INFINITY });
  });

  it("keeps namespaces over one cache apart, and clears one of them alone", async () => {
    const cache = new MemoryCache<unknown>();
    const [users, pages] = ["users", "pages"].map((namespace) => new Keyv6({ store: new KeyvStore(cache), namespace }));
    await users?.set("1", "Ada");
    await pages?.set("1", "home");
    expect([await users?.get("1"), await pages?.get("1")]).toEqual(["Ada", "home"]);
    await users?.clear();
    expect([await users?.get("1"), await pages?.get("1")]).toEqual([undefined, "home"]);
  });

  it("refuses to clear a namespace over a cache that cannot list its keys, instead of clearing its neighbours", async () => {
    const cache = Object.assign(Object.create(new MemoryCache<unknown>()), { entries: undefined });
    const keyv = new Keyv6({ store: new KeyvStore(cache), namespace: "users" });
    await expect(keyv.clear()).rejects.toThrow("has no iterator()");
  });
});
