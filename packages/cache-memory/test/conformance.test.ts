import { describeCache, ManualClock } from "@larder/cache-testing";
import * as testApi from "vitest";
import { MemoryCache } from "../src/index.ts";

const clock = new ManualClock();

describeCache("MemoryCache", {
  create: (options) => new MemoryCache<unknown>({ ...options, clock }),
  advance: (ms) => clock.advance(ms),
  testApi,
});

describeCache("MemoryCache that clones and counts bytes", {
  create: (options) => new MemoryCache<unknown>({ ...options, clock, values: "cloned", maxBytes: 1_000_000 }),
  advance: (ms) => clock.advance(ms),
  tooLarge: "x".repeat(1_000_000),
  testApi,
});

describeCache("MemoryCache large enough for shards", {
  create: (options) => new MemoryCache<unknown>({ ...options, clock, maxEntries: 150_000 }),
  advance: (ms) => clock.advance(ms),
  testApi,
});
