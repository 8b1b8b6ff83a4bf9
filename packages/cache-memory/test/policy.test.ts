import { describe, expect, it } from "vitest";
import { MemoryCache } from "../src/index.ts";

/** Reads through the cache and counts hits, as a trace player does. */
function play(cache: MemoryCache<number>, keys: Iterable<string>): number {
  let hits = 0;
  for (const key of keys) {
    if (cache.get(key) !== undefined) hits += 1;
    else cache.set(key, 1);
  }
  return hits;
}

function* repeat(count: number, makeKey: (index: number) => string): Iterable<string> {
  for (let index = 0; index < count; index += 1) yield makeKey(index);
}

describe("the eviction policy", () => {
  it("keeps what is hot through a scan ten times as large as the cache", () => {
    const cache = new MemoryCache<number>({ maxEntries: 200 });
    for (let round = 0; round < 20; round += 1)
      play(
        cache,
        repeat(150, (index) => `hot:${index}`),
      );
    play(
      cache,
      repeat(2_000, (index) => `scan:${index}`),
    );
    expect(
      play(
        cache,
        repeat(150, (index) => `hot:${index}`),
      ),
    ).toBeGreaterThan(120);
  });

  it("counts a new value for a key as one more time that it was asked for", () => {
    const cache = new MemoryCache<number>({ maxEntries: 100 });
    for (const key of repeat(100, (index) => `${index % 2 === 0 ? "once" : "again"}:${index}`)) cache.set(key, 1);
    for (let round = 0; round < 5; round += 1) for (const key of repeat(50, (index) => `again:${2 * index + 1}`)) cache.set(key, round);
    // Forty that are asked for, and that take the place of others.
    for (const key of repeat(400, (index) => `new:${index % 40}`)) if (cache.get(key) === undefined) cache.set(key, 1);
    expect([...cache.keys()].filter((key) => key.startsWith("again:")).length).toBeGreaterThan(45);
  });

  it("holds a part of a loop that is larger than the cache, where LRU would hold none of it", () => {
    const cache = new MemoryCache<number>({ maxEntries: 100 });
    const accesses = 50 * 300;
    expect(
      play(
        cache,
        repeat(accesses, (index) => `loop:${index % 300}`),
      ),
    ).toBeGreaterThan(accesses * 0.2);
  });

  it("follows a working set that moves, which frequency alone would not", () => {
    const cache = new MemoryCache<number>({ maxEntries: 200 });
    for (let round = 0; round < 30; round += 1)
      play(
        cache,
        repeat(180, (index) => `old:${index}`),
      );
    let hits = 0;
    for (let round = 0; round < 30; round += 1)
      hits = play(
        cache,
        repeat(180, (index) => `new:${index}`),
      );
    expect(hits).toBeGreaterThan(150);
  });

  it("grows its window for keys that come in bursts and never again", () => {
    const cache = new MemoryCache<number>({ maxEntries: 400 });
    // Each key is asked for three times, 200 keys apart: a window smaller than that never meets it again.
    const bursts = repeat(120_000, (index) => `burst:${Math.floor(index / 3) - (index % 3) * 100}`);
    play(cache, bursts);
    const { hits, misses } = cache.stats();
    expect(hits / (hits + misses)).toBeGreaterThan(0.5);
  });

  it.each([50, 200, 400, 512])(
    "does so in %d entries after a long scan too, which has as few hits as a small window then has",
    (maxEntries) => {
      const cache = new MemoryCache<number>({ maxEntries });
      play(
        cache,
        repeat(100_000, (index) => `scan:${index}`),
      );
      const apart = maxEntries / 4;
      const bursts = repeat(50_000, (index) => `burst:${Math.floor(index / 3) - (index % 3) * Math.floor(apart)}`);
      expect(play(cache, bursts) / 50_000).toBeGreaterThan(0.5);
    },
  );

  it("evicts in a cache bounded by bytes alone as well as in one bounded by entries", () => {
    const cache = new MemoryCache<number>({ maxBytes: 2_000, sizeOf: () => 10 });
    for (let round = 0; round < 20; round += 1)
      play(
        cache,
        repeat(150, (index) => `hot:${index}`),
      );
    play(
      cache,
      repeat(2_000, (index) => `scan:${index}`),
    );
    expect(cache.size()).toBe(200);
    expect(
      play(
        cache,
        repeat(150, (index) => `hot:${index}`),
      ),
    ).toBeGreaterThan(120);
  });

  it.each([10, 40_000])(
    "learns anew what goes first when entries of another size come: after such of %d bytes as well as from the start",
    (firstBytes) => {
      const cache = new MemoryCache<number>({ maxBytes: 400_000, sizeOf: (bytes) => bytes });
      for (const key of repeat(100_000, (index) => `first:${index}`)) cache.set(key, firstBytes);
      const before = cache.stats();
      // Each key is asked for three times, 200 keys apart. A window of 10 % of the 400 entries never meets it again: that of the start, and of a cache
      // that judges by what was best for 40,000 entries, or for ten.
      for (const key of repeat(120_000, (index) => `burst:${Math.floor(index / 3) - (index % 3) * 100}`))
        if (cache.get(key) === undefined) cache.set(key, 1_000);
      expect((cache.stats().hits - before.hits) / 120_000).toBeGreaterThan(0.5);
    },
  );

  it("does as well behind a Map, behind shards and behind a digest index", () => {
    const ratio = (cache: MemoryCache<number>): number => {
      const hits = play(
        cache,
        repeat(60_000, (index) => `key:${((index * index) % 1_999).toString(16).padStart(16, "0")}`),
      );
      return hits / 60_000;
    };
    const map = ratio(new MemoryCache<number>({ maxEntries: 300 }));
    expect(Math.abs(ratio(new MemoryCache<number>({ maxEntries: 300, keys: "digest" })) - map)).toBeLessThan(0.05);
    expect(Math.abs(ratio(new MemoryCache<number>({ maxBytes: 300, sizeOf: () => 1 })) - map)).toBeLessThan(0.05);
  });
});
