import { MemoryInvalidationBus, type StoredEntry, TieredCache, type TieredCacheOptions } from "@larder/cache-core";
import { describeCache, describeReadThroughCache, ManualClock, NaiveStore } from "@larder/cache-testing";
import * as testApi from "vitest";
import { MemoryCache } from "../src/index.ts";

const clock = new ManualClock();
const advance = (ms: number): void => clock.advance(ms);
const tooLarge = "x".repeat(200_000);

const tiered = (options: { readonly ttlMs?: number }, others: Partial<TieredCacheOptions<unknown>> = {}): TieredCache<unknown> =>
  new TieredCache<unknown>({
    l1: new MemoryCache<StoredEntry<unknown>>({ clock, maxEntries: 1_000, maxBytes: 200_000 }),
    clock,
    jitter: 0,
    ...options,
    ...others,
  });

describeCache("TieredCache over MemoryCache alone", { create: (options) => tiered(options), advance, tooLarge, testApi });

describeCache("TieredCache over MemoryCache with values of its own", {
  create: (options) => tiered(options, { l1: new MemoryCache<StoredEntry<unknown>>({ clock, maxBytes: 200_000, values: "cloned" }) }),
  advance,
  tooLarge,
  testApi,
});

describeCache("TieredCache over MemoryCache and an in-process second tier", {
  create: (options) => tiered(options, { l2: new NaiveStore<unknown>({ clock, maxValueLength: 100_000 }) }),
  advance,
  tooLarge,
  testApi,
});

describeCache("TieredCache over MemoryCache, an in-process second tier and a bus, beside a peer", {
  create: (options) => {
    const bus = new MemoryInvalidationBus();
    const l2 = new NaiveStore<unknown>({ clock, maxValueLength: 100_000 });
    tiered(options, { l2: new NaiveStore<unknown>({ clock }, l2), bus });
    return tiered(options, { l2, bus });
  },
  advance,
  tooLarge,
  testApi,
});

for (const values of ["shared", "frozen", "cloned"] as const) {
  describeReadThroughCache(`TieredCache over MemoryCache with ${values} values, an in-process second tier and a bus`, {
    create: () => {
      const bus = new MemoryInvalidationBus();
      const l2 = new NaiveStore<unknown>({ clock });
      const make = (store: NaiveStore<unknown>): TieredCache<unknown> =>
        tiered({}, { l1: new MemoryCache<StoredEntry<unknown>>({ clock, maxBytes: 200_000, values }), l2: store, bus });
      return { a: make(l2), b: make(new NaiveStore<unknown>({ clock }, l2)), dispose: () => bus.close() };
    },
    advance,
    testApi,
  });
}

testApi.it("gives each entry its time: what the first tier would give it by itself counts for nothing, longer or shorter", async () => {
  for (const ttlMs of [5, 500]) {
    const l1 = new MemoryCache<StoredEntry<unknown>>({ clock, maxEntries: 10, ttlMs });
    const cache = tiered({ ttlMs: 50 }, { l1 });
    await cache.set("key", 1);
    clock.advance(49);
    testApi.expect(await cache.get("key")).toBe(1);
    clock.advance(1);
    testApi.expect(await cache.get("key")).toBe(undefined);
  }
});
