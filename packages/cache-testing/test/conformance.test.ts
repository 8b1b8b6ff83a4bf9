import { MemoryInvalidationBus, type StoredEntry, TieredCache } from "@larder/cache-core";
import * as vitest from "vitest";
import { describeCache } from "../src/describe-cache.ts";
import { describeReadThroughCache } from "../src/describe-read-through.ts";
import { describeStore } from "../src/describe-store.ts";
import { ManualClock } from "../src/manual-clock.ts";
import { NaiveCache } from "../src/naive-cache.ts";
import { NaiveStore } from "../src/naive-store.ts";

const clock = new ManualClock();
const advance = (ms: number): void => clock.advance(ms);

/** An `expect` as Jest's, which takes one argument and throws at a second. */
const expectOne = ((...values: unknown[]) => {
  if (values.length > 1) throw new Error("Expect takes at most one argument.");
  return vitest.expect(values[0]);
}) as typeof vitest.expect;

describeCache("NaiveCache, on Jest's functions", {
  create: (options) => new NaiveCache({ clock, ...options }),
  advance,
  testApi: { ...vitest, expect: Object.assign(expectOne, vitest.expect) },
});

describeCache("NaiveCache", { create: (options) => new NaiveCache({ clock, ...options }), advance, testApi: vitest });

const createTiered = (
  options: { readonly ttlMs?: number },
  extra: { readonly bus?: MemoryInvalidationBus; readonly l2?: NaiveStore<unknown> } = {},
) => new TieredCache<unknown>({ l1: new NaiveCache<StoredEntry<unknown>>({ clock }), clock, ...options, ...extra });

describeCache("TieredCache over a first tier", { create: (options) => createTiered(options), advance, testApi: vitest });

describeCache("TieredCache over a first tier and a bus", {
  create: (options) => createTiered(options, { bus: new MemoryInvalidationBus() }),
  advance,
  testApi: vitest,
});

describeCache("NaiveStore", {
  create: (options) => new NaiveStore<unknown>({ clock, maxValueLength: 10_000, ...options }),
  advance,
  tooLarge: "x".repeat(20_000),
  testApi: vitest,
});

describeStore("NaiveStore", {
  create: () => {
    const a = new NaiveStore<unknown>({ clock, maxValueLength: 10_000 });
    return { a, b: new NaiveStore<unknown>({ clock, maxValueLength: 10_000 }, a) };
  },
  advance,
  tooLarge: "x".repeat(20_000),
  testApi: vitest,
});

describeReadThroughCache("TieredCache over a first tier", { create: () => ({ a: createTiered({}) }), advance, testApi: vitest });

describeReadThroughCache("TieredCache over a first tier and a bus", {
  create: () => {
    const bus = new MemoryInvalidationBus();
    return { a: createTiered({}, { bus }), b: createTiered({}, { bus }), dispose: () => bus.close() };
  },
  advance,
  testApi: vitest,
});

describeReadThroughCache("TieredCache over two tiers and a bus", {
  create: () => {
    const bus = new MemoryInvalidationBus();
    const l2 = new NaiveStore<unknown>({ clock });
    return {
      a: createTiered({}, { bus, l2 }),
      b: createTiered({}, { bus, l2: new NaiveStore<unknown>({ clock }, l2) }),
      dispose: () => bus.close(),
    };
  },
  advance,
  testApi: vitest,
});
