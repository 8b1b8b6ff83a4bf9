// What callers and loaders do that nobody meant them to. The tools depend on this package: they are imported by path.
import { describe, expect, it } from "vitest";
import { ManualClock, settle } from "../../cache-testing/src/manual-clock.ts";
import { NaiveCache } from "../../cache-testing/src/naive-cache.ts";
import { NaiveStore } from "../../cache-testing/src/naive-store.ts";
import {
  Budget,
  type GetOrSetOptions,
  type LoadStoreOptions,
  MemoryInvalidationBus,
  type StoredEntry,
  TieredCache,
  type TieredCacheOptions,
} from "../src/index.ts";

const setUp = (options: Partial<TieredCacheOptions<unknown>> = {}) => {
  const clock = new ManualClock();
  return { clock, cache: new TieredCache<unknown>({ l1: new NaiveCache({ clock }), clock, jitter: 0, ...options }) };
};

const refused = (naming: string) => ({ code: "ERR_CACHE_INVALID_OPTION", message: expect.stringContaining(naming) });

describe("an option of a name that there is not, such as another cache has", () => {
  it("is refused by the constructor, by each call that takes options, and by a loader's own", async () => {
    const naming = refused('got the string "ttl"');
    expect(() => setUp({ ttl: 1_000 } as object)).toThrow(expect.objectContaining(naming));
    const { cache } = setUp();
    await expect((async () => cache.set("key", 1, { ttl: 1_000 } as object))()).rejects.toMatchObject(naming);
    await expect((async () => cache.getOrSet("key", () => 1, { ttl: 1_000 } as object))()).rejects.toMatchObject(naming);
    const load = async () =>
      cache.getOrSet("key", ({ setOptions }) => {
        setOptions({ ttl: 1_000 } as object);
        return 1;
      });
    await expect(load()).rejects.toMatchObject(naming);
    expect(await cache.get("key")).toBe(undefined);
  });
});

describe("options that are a Map or a list", () => {
  it.each([
    ["a Map", new Map([["ttlMs", 1_000]])],
    ["a list", [1_000]],
    ["an empty list", []],
    ["URL parameters", new URLSearchParams("ttlMs=1000")],
  ])("are refused, %s: what they hold would count for nothing", async (_, options) => {
    const naming = refused("options must be an object such as { ttlMs: 60_000 }, got a");
    const { cache } = setUp();
    await expect((async () => cache.set("key", 1, options as object))()).rejects.toMatchObject(naming);
    await expect((async () => cache.getOrSet("key", () => 1, options as object))()).rejects.toMatchObject(naming);
    expect(() => new TieredCache(options as never)).toThrow(expect.objectContaining(naming));
  });

  it("are let pass as instances of a class, with accessors, without a prototype, frozen, and with what is undefined", async () => {
    class Options {
      readonly #ttlMs = 1_000;
      get ttlMs(): number {
        return this.#ttlMs;
      }
      help(): void {}
    }
    const { cache, clock } = setUp();
    const bare = Object.assign(Object.create(null), { ttlMs: 1_000 });
    for (const options of [new Options(), bare, Object.freeze({ ttlMs: 1_000, max: undefined }), new Proxy({ ttlMs: 1_000 }, {})]) {
      await cache.set("key", 1, options);
      expect(await cache.get("key")).toBe(1);
      clock.advance(1_001);
      expect(await cache.get("key")).toBe(undefined);
    }
  });
});

// Regression: on a hit of the first tier only `true` itself counted, and elsewhere whatever is truthy.
it.each([1, 0, "yes", "", null])(
  "forceRefresh that is no boolean, such as %j, is refused, where the first tier has an entry too",
  async (flag) => {
    const { cache } = setUp();
    const load = async () => cache.getOrSet("key", () => "new", { forceRefresh: flag as unknown as boolean });
    await expect(load()).rejects.toMatchObject(refused("forceRefresh must be true or false, got"));
    await cache.set("key", "old");
    await expect(load()).rejects.toMatchObject(refused("forceRefresh must be true or false, got"));
    expect(await cache.get("key")).toBe("old");
  },
);

describe("a key that is asked for while its loader is still in its first step", () => {
  for (const [patience, options] of [
    ["any", {}],
    ["limited", { timeoutMs: 1_000 }],
  ] as const) {
    it(`gives who asks with ${patience} patience the load's value, not undefined`, async () => {
      const { cache } = setUp();
      let asked: unknown;
      const load = cache.getOrSet("key", async () => {
        asked = cache.getOrSet("key", () => "of a second load", options);
        return "loaded";
      });
      expect(await load).toBe("loaded");
      expect(await asked).toBe("loaded");
      expect(cache.stats()).toMatchObject({ loads: 1, coalesced: 1 });
    });
  }

  it("gives who asks the load's error", async () => {
    const { cache } = setUp();
    let asked: unknown;
    const load = cache.getOrSet("key", () => {
      asked = cache.getOrSet("key", () => "of a second load");
      throw new Error("refused");
    });
    await expect(load).rejects.toThrow("refused");
    await expect(asked).rejects.toThrow("refused");
  });

  it("keeps a loader that waits for its own key until its timeoutMs is over", async () => {
    const { cache, clock } = setUp();
    const load = cache.getOrSet("key", () => cache.getOrSet("key", () => "of a second load"), { timeoutMs: 50 });
    const outcome = expect(load).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    await clock.advanceAsync(50);
    await outcome;
  });
});

it("is held back for errorTtlMs when it took too long, also from who tries again as soon as it is told", async () => {
  const { cache, clock } = setUp({ timeoutMs: 10, errorTtlMs: 1_000 });
  let loads = 0;
  const load = async (): Promise<unknown> =>
    cache.getOrSet("key", () => {
      loads += 1;
      return new Promise(() => {});
    });
  const retried = expect(load().catch(load)).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
  await clock.advanceAsync(10);
  await retried;
  expect(loads).toBe(1);
  clock.advance(1_000);
  const again = expect(load()).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
  await clock.advanceAsync(10);
  await again;
  expect(loads).toBe(2);
});

it("is held back no more once its key was invalidated, though the second tier lets go of it later than its last caller", async () => {
  const clock = new ManualClock();
  const travel = (): Promise<void> => new Promise((resolve) => void clock.setTimer(resolve, 20));
  const { cache } = setUp({ clock, l2: new NaiveStore({ clock, travel }), errorTtlMs: 1_000 });
  const hurried = expect(cache.getOrSet("key", () => "late", { timeoutMs: 10 })).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
  await clock.advanceAsync(10);
  await hurried;
  void cache.invalidate("key");
  await clock.advanceAsync(200);
  const next = cache.getOrSet("key", () => "new");
  await clock.advanceAsync(200);
  expect(await next).toBe("new");
});

describe("a load that was detached, and then fails", () => {
  const old = "the old value";
  const error = "the load's error";

  it.each<[by: string, told: string, detach: (cache: TieredCache<unknown>) => unknown]>([
    ["a forced load", old, (cache) => void Promise.resolve(cache.getOrSet("key", () => 1, { forceRefresh: true }))],
    ["an invalidation of a tag that it has not", old, (cache) => cache.invalidateTag("other")],
    ["an invalidation of a pattern that its key does not match", old, (cache) => cache.invalidateMatching("other:*")],
    ["an invalidation of its tag", error, (cache) => cache.invalidateTag("tag")],
    ["an invalidation of a pattern that its key matches", error, (cache) => cache.invalidateMatching("k*")],
    ["an invalidation of its key", error, (cache) => cache.invalidate("key")],
    ["an invalidation of everything", error, (cache) => cache.invalidateAll()],
    [
      "a forced load, and an invalidation of its key since",
      error,
      async (cache) => {
        await expect(cache.getOrSet("key", () => Promise.reject(new Error("down")), { forceRefresh: true })).rejects.toThrow("down");
        await cache.invalidate("key");
      },
    ],
  ])("by %s, tells who asked for staleIfErrorMs %s", async (_, told, detach) => {
    const { cache, clock } = setUp();
    const options = { ttlMs: 10, staleIfErrorMs: 1_000, tags: ["tag"] };
    await cache.getOrSet("key", () => old, options);
    clock.advance(11);
    let fail: (() => void) | undefined;
    const loader = () => new Promise((_resolve, reject) => (fail = () => reject(new Error(error))));
    const load = Promise.resolve(cache.getOrSet("key", loader, options)).catch(({ message }: Error) => message);
    await detach(cache);
    fail?.();
    expect(await load).toBe(told);
  });
});

describe("a forced load that replaces a live value", () => {
  const fail = () => Promise.reject(new Error("down"));

  it("fails for who asked for no stale value, whatever else was asked for", async () => {
    const { cache } = setUp();
    await cache.set("key", "live");
    for (const options of [{}, { timeoutMs: 100 }, { softTimeoutMs: 100 }, { signal: new AbortController().signal }]) {
      await expect(cache.getOrSet("key", fail, { ...options, forceRefresh: true })).rejects.toThrow("down");
    }
    expect(cache.stats().staleHits).toBe(0);
    expect(await cache.get("key")).toBe("live");
  });

  it("is waited for past softTimeoutMs by who asked for no stale value", async () => {
    const { cache, clock } = setUp();
    await cache.set("key", "live");
    const load = cache.getOrSet("key", () => new Promise((resolve) => clock.setTimer(() => resolve("new"), 100)), {
      forceRefresh: true,
      softTimeoutMs: 10,
    });
    await clock.advanceAsync(100);
    expect(await load).toBe("new");
  });

  it("gives the live value when it fails to who asked for staleIfErrorMs", async () => {
    const { cache } = setUp();
    await cache.set("key", "live");
    expect(await cache.getOrSet("key", fail, { forceRefresh: true, staleIfErrorMs: 1 })).toBe("live");
  });
});

describe("arguments of another kind", () => {
  it("are refused as options of set, setMany and of a load, a time to live in their place above all", async () => {
    const { cache } = setUp();
    for (const options of [5_000, null, "1h"] as unknown[]) {
      expect(() => cache.set("key", 1, options as object)).toThrow("options must be an object");
      expect(() => cache.setMany([["key", 1]], options as object)).toThrow("options must be an object");
      expect(() => cache.getOrSet("key", () => 1, options as object)).toThrow("options must be an object");
    }
    expect(await cache.get("key")).toBe(undefined);
  });

  it("reject the promise of an invalidation, and do not throw where one waits for a rejection", async () => {
    const { cache } = setUp();
    await expect(cache.invalidate(5 as unknown as string)).rejects.toMatchObject(refused("key"));
    await expect(cache.invalidateTag("")).rejects.toMatchObject(refused("tag"));
    await expect(cache.invalidateMatching("")).rejects.toMatchObject(refused("pattern"));
    expect(cache.stats().invalidations).toBe(0);
  });

  it("are refused as tiers, bus, clock and chance by the constructor, which names them", () => {
    const l1 = new NaiveCache<never>({ clock: new ManualClock() });
    const make = (options: object) => () => new TieredCache(options as TieredCacheOptions<unknown>);
    expect(make({ l1: new Map() })).toThrow("l1.lookup must be a function of a SyncCache such as MemoryCache, got undefined");
    expect(make({ l1, l2: new NaiveCache({ clock: new ManualClock() }) })).toThrow(
      "l2.reserve must be a function of a FencedStore such as RedisCache, got undefined",
    );
    expect(make({ l1, bus: {} })).toThrow("bus.join must be a function");
    expect(make({ l1, bus: [new MemoryInvalidationBus()] })).toThrow("bus.join must be a function");
    for (const clock of [Date, performance, null]) expect(make({ l1, clock })).toThrow("clock.wallNow must be a function of a Clock");
    for (const random of [Math.random, null]) expect(make({ l1, random })).toThrow("random.next must be a function");
    for (const bare of [l1.get, 500, null]) expect(make(bare as unknown as object)).toThrow("options must be an object such as");
  });
});

it("refuses a bare number in place of the options of getOrSet, on a hit as on a miss: as a time to live it would count for nothing", async () => {
  const { cache } = setUp();
  for (const state of ["absent", "live"]) {
    for (const options of [1_000, null] as unknown[]) {
      const call = (): unknown => cache.getOrSet("key", () => 1, options as GetOrSetOptions);
      expect(call, `${state}, ${options}`).toThrow("options must be an object such as { ttlMs: 60_000 }");
    }
    await cache.set("key", 1);
  }
});

it("refuses a bare number that a loader sets as options", async () => {
  const { cache } = setUp();
  const load = cache.getOrSet("key", ({ setOptions }) => {
    setOptions(1_000 as LoadStoreOptions);
    return 1;
  });
  await expect(load).rejects.toMatchObject(refused("options must be an object such as { ttlMs: 60_000 }"));
});

it("refuses a signal that cannot be let go of again, by name: who waits with it would wait for ever", () => {
  const { cache } = setUp();
  const signal = { aborted: false, addEventListener: () => {} };
  const call = (): unknown => cache.getOrSet("key", () => 1, { signal: signal as unknown as AbortSignal });
  expect(call).toThrow("signal.removeEventListener must be a function");
});

describe("an array of tags that its caller uses again", () => {
  it("does not change what a set entry falls with", async () => {
    const { cache } = setUp();
    const tags = ["first"];
    await cache.set("key", 1, { tags });
    tags[0] = "second";
    await cache.invalidateTag("first");
    expect(await cache.get("key")).toBe(undefined);
  });

  it("does not change what a load that follows its call falls with", async () => {
    const clock = new ManualClock();
    const store = new NaiveStore<unknown>({ clock });
    const { cache: other } = setUp({ clock, l2: store });
    await other.getOrSet("key", () => "old", { ttlMs: 10, staleWhileRevalidateMs: 1_000 });
    await settle();
    clock.advance(11);
    const { cache } = setUp({ clock, l2: store });
    const tags = ["first"];
    const answer = cache.getOrSet("key", () => "new", { tags, staleWhileRevalidateMs: 1_000 });
    tags[0] = "second";
    expect(await answer).toBe("old");
    await settle();
    expect(await cache.get("key")).toBe("new");
    await cache.invalidateTag("first");
    expect(await cache.get("key")).toBe(undefined);
  });
});

describe("a tier that fails although it promised not to", () => {
  const broken = (method: string, clock: ManualClock): NaiveStore<unknown> => {
    const store = new NaiveStore<unknown>({ clock });
    const fail = (): Promise<never> => Promise.reject(new Error("broken"));
    return new Proxy(store, {
      get: (target, name) => {
        if (name === method) return fail;
        const member = Reflect.get(target, name, target) as unknown;
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  };

  for (const method of ["read", "reserve", "fill"]) {
    it(`is a miss for readers when it is the second one's ${method}, counted`, async () => {
      const clock = new ManualClock();
      const { cache } = setUp({ clock, l2: broken(method, clock) });
      expect(await cache.getOrSet("key", () => "loaded")).toBe("loaded");
      await settle();
      expect(await cache.get("other")).toBe(undefined);
      expect((await cache.lookup("other")).status).toBe("miss");
      expect(cache.stats()).toMatchObject({ loads: 1, errors: method === "read" ? 3 : 1 });
    });
  }

  it("does not hold up who waits for another process's load", async () => {
    const clock = new ManualClock();
    const l2 = broken("awaitFill", clock);
    await l2.reserve("key", true, { budget: new Budget(50, clock) });
    const { cache } = setUp({ clock, l2 });
    expect(await cache.getOrSet("key", () => "loaded")).toBe("loaded");
    expect(cache.stats()).toMatchObject({ loads: 1, errors: 1 });
  });

  it("has nothing when it is the second one's has", async () => {
    const clock = new ManualClock();
    const { cache } = setUp({ clock, l2: broken("has", clock) });
    expect(await cache.has("key")).toBe(false);
    expect(cache.stats().errors).toBe(1);
  });

  it("keeps no other cache from being told, when the first one was closed", async () => {
    const clock = new ManualClock();
    const bus = new MemoryInvalidationBus();
    const l1 = new NaiveCache<never>({ clock });
    const { cache } = setUp({ clock, bus, l1 });
    const { cache: peer } = setUp({ clock, bus });
    await peer.getOrSet("key", () => "old");
    l1.close();
    expect(await cache.invalidate("key")).toEqual({ propagated: true, pending: 0 });
    expect(await peer.get("key")).toBe(undefined);
  });
});

describe("a value that the first tier throws at, since it cannot be cloned or measured", () => {
  const refuse = (value: unknown): void => {
    if (value === "odd") throw new Error("refused");
  };
  const setUpRefusing = () => {
    const clock = new ManualClock();
    const l1 = new NaiveCache<StoredEntry<unknown>>({ clock });
    const set = l1.set.bind(l1);
    l1.set = (key, entry, options) => {
      refuse(entry.value);
      return set(key, entry, options);
    };
    return { ...setUp({ clock, l1 }), clock, l1 };
  };

  it("is the answer, and who comes next is not given the older one that it was to replace", async () => {
    const { cache } = setUpRefusing();
    await cache.set("key", "old");
    expect(await cache.getOrSet("key", () => "odd", { forceRefresh: true })).toBe("odd");
    expect(await cache.get("key")).toBe(undefined);
    expect(cache.stats()).toMatchObject({ rejectedSets: 1, loadErrors: 0 });
  });

  it("is so behind a stale one, too, which would be served for as long as its window is", async () => {
    const { cache, clock } = setUpRefusing();
    const options = { ttlMs: 10, staleWhileRevalidateMs: 1_000 };
    await cache.getOrSet("key", () => "old", options);
    clock.advance(11);
    expect(await cache.getOrSet("key", () => "odd", options)).toBe("old");
    await settle();
    expect(await cache.getOrSet("key", () => "next", options)).toBe("next");
  });

  it("is the answer when the tier was closed meanwhile", async () => {
    const { cache, l1 } = setUpRefusing();
    const load = cache.getOrSet("key", async () => {
      await settle();
      return "value";
    });
    l1.close();
    expect(await load).toBe("value");
  });
});

it("leaves no rejection unhandled when a later entry of setMany is refused", async () => {
  const clock = new ManualClock();
  const { cache } = setUp({ clock, l2: new NaiveStore({ clock }), bus: new MemoryInvalidationBus() });
  const unhandled: unknown[] = [];
  const listen = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", listen);
  // The first is refused by the second tier, later; the second at once.
  expect(() =>
    cache.setMany([
      ["a", 10n],
      ["b", undefined],
    ]),
  ).toThrow("undefined");
  await settle();
  await settle();
  process.off("unhandledRejection", listen);
  expect(unhandled).toEqual([]);
});

it("has who closes it again wait for the end of the first close, too", async () => {
  const clock = new ManualClock();
  let arrive: (() => void) | undefined;
  const travel = (): Promise<void> => new Promise((resolve) => (arrive = resolve));
  const { cache } = setUp({ clock, l2: new NaiveStore({ clock, travel }) });
  const invalidated = cache.invalidate("key");
  const closed: string[] = [];
  const closing = Promise.all(["first", "second"].map((name) => cache.close().then(() => closed.push(name))));
  await settle();
  expect(closed).toEqual([]);
  for (let leg = 0; leg < 2; leg += 1) {
    arrive?.();
    await settle();
  }
  await closing;
  expect(await invalidated).toMatchObject({ propagated: true });
});

describe("a load that runs when the cache is closed", () => {
  /** A cache whose second tier answers everything at once but one operation, and a load in it that never ends by itself. */
  const setUpLoad = async (operation: string) => {
    const clock = new ManualClock();
    let arrive: (() => void) | undefined;
    const travel = (_leg: string, asked: string): Promise<void> =>
      asked === operation ? new Promise((resolve) => (arrive = resolve)) : Promise.resolve();
    const { cache } = setUp({ clock, l2: new NaiveStore({ clock, travel }) });
    await cache.getOrSet("stored", () => "value");
    const ended = expect(cache.getOrSet("key", () => new Promise(() => {}))).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    await settle();
    return { cache, ended, arrive: () => arrive?.() };
  };

  it("ends at once, and does not wait for a second tier that hangs", async () => {
    const { cache, ended, arrive } = await setUpLoad("fill");
    const closed = cache.close();
    expect(await Promise.race([ended.then(() => "ended"), settle().then(() => "waits")])).toBe("ended");
    arrive();
    await settle();
    arrive();
    await closed;
  });

  it("has given its lease back by the end of it: who closes the backend then would leave the other processes to wait for one that is gone", async () => {
    const { cache, ended, arrive } = await setUpLoad("release");
    const closed: string[] = [];
    const closing = cache.close().then(() => closed.push("closed"));
    await ended;
    await settle();
    expect(closed).toEqual([]);
    arrive();
    await settle();
    arrive();
    await closing;
  });
});

it.each<[by: string, detach: (cache: TieredCache<unknown>) => unknown]>([
  ["an invalidation of its key", (cache) => cache.invalidate("key")],
  ["an invalidation of a tag", (cache) => cache.invalidateTag("tag")],
  ["a forced load", (cache) => void Promise.resolve(cache.getOrSet("key", () => 1, { forceRefresh: true }))],
])(
  "cancels a load that %s has detached, too, when it is closed: who waits for it would wait for as long as its loader does",
  async (_, detach) => {
    const { cache } = setUp();
    let signal: AbortSignal | undefined;
    const load = Promise.resolve(
      cache.getOrSet("key", (context) => {
        signal = context.signal;
        return new Promise(() => {});
      }),
    );
    const ended = expect(load).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    await detach(cache);
    await cache.close();
    expect(signal?.aborted).toBe(true);
    await ended;
  },
);

it("makes Node warn of no leak when many calls share a signal, or a loader makes many requests with its own", async () => {
  const { cache } = setUp();
  const warnings: Error[] = [];
  const listen = (warning: Error): void => void warnings.push(warning);
  process.on("warning", listen);
  const { signal } = new AbortController();
  const calls = Array.from({ length: 30 }, (_, index) => cache.getOrSet(`key ${index}`, async () => settle(), { signal }));
  const busy = cache.getOrSet("busy", async (context) => {
    for (let request = 0; request < 30; request += 1) context.signal.addEventListener("abort", () => {});
    await settle();
  });
  await Promise.all([...calls, busy]);
  await settle();
  process.off("warning", listen);
  expect(warnings).toEqual([]);
});
