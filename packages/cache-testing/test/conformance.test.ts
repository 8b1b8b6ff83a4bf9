import { MemoryInvalidationBus, type StoredEntry, TieredCache } from "@larder/cache-core";
import * as vitest from "vitest";
import { describeCache } from "../src/describe-cache.ts";
import { ManualClock } from "../src/manual-clock.ts";
import { NaiveCache } from "../src/naive-cache.ts";
import { NaiveStore } from "../src/naive-store.ts";

const clock = new ManualClock();
const advance = (ms: number): void => clock.advance(ms);

describeCache("NaiveCache", { create: (options) => new NaiveCache({ clock, ...options }), advance, testApi: vitest });

const createTiered = (options: { readonly ttlMs?: number }, extra: { readonly bus?: MemoryInvalidationBus } = {}) =>
  new TieredCache<unknown>({ l1: new NaiveCache<StoredEntry<unknown>>({ clock }), clock, ...options, ...extra });

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
