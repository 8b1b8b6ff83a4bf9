// Caches that break the contract in one place each: the suite must refuse them, by the test of that place.
import type { CacheStats, Lookup, SetOptions } from "@larder/cache-core";
import { expect, it } from "vitest";
import { describeCache } from "../src/describe-cache.ts";
import { ManualClock } from "../src/manual-clock.ts";
import { NaiveCache, type NaiveCacheOptions } from "../src/naive-cache.ts";
import { failingTitles } from "./failing-titles.ts";

type Entries = ReadonlyArray<readonly [key: string, value: unknown]>;

/** Sound, and with calls that its counters do not show: what is broken on top of it must be told by more than these. */
class Sound extends NaiveCache<unknown> {
  readonly clock: ManualClock;
  #hidden = { hits: 0, sets: 0 };

  constructor(options: NaiveCacheOptions & { readonly clock: ManualClock }) {
    super(options);
    this.clock = options.clock;
  }

  /** What is there and for how long yet. */
  protected peek(key: string): { readonly value: unknown; readonly remainingMs: number } | undefined {
    if (typeof key !== "string" || !this.has(key)) return undefined;
    this.#hidden.hits += 1;
    const found = super.lookup(key);
    return found.status === "miss" ? undefined : found;
  }

  protected put(key: string, value: unknown, ttlMs: number): void {
    this.#hidden.sets += 1;
    super.set(key, value, { ttlMs });
  }

  override stats(): CacheStats {
    const stats = super.stats();
    return Object.freeze({ ...stats, hits: stats.hits - this.#hidden.hits, sets: stats.sets - this.#hidden.sets });
  }
}

/** As UTF-8 has it. */
const written = (key: string): string => (typeof key === "string" ? Buffer.from(key, "utf8").toString("utf8") : key);

class NullForMiss extends Sound {
  override get(key: string): unknown {
    return super.get(key) ?? undefined;
  }
}

class LooksUpNothing extends Sound {
  override lookup(key: string): Lookup<unknown> {
    const found = super.lookup(key);
    return found.status === "miss" ? found : { ...found, value: undefined };
  }
}

class NamesNoTier extends Sound {
  override lookup(key: string): Lookup<unknown> {
    const found = super.lookup(key);
    return found.status === "miss" ? found : { ...found, tier: undefined as unknown as string };
  }
}

class TakesNoEmptyKey extends Sound {
  override get(key: string): unknown {
    const value = super.get(key);
    return key === "" ? undefined : value;
  }
}

class WritesUtf8 extends Sound {
  override get(key: string): unknown {
    return super.get(written(key));
  }
  override set(key: string, value: unknown, options?: SetOptions): boolean {
    return super.set(written(key), value, options);
  }
}

class LosesOptionsOfMany extends Sound {
  override setMany(entries: Entries, options?: SetOptions): boolean[] {
    return typeof options === "object" && options !== null ? super.setMany(entries) : super.setMany(entries, options);
  }
}

class TakesUndefinedAmongMany extends Sound {
  override setMany(entries: Entries, options?: SetOptions): boolean[] {
    const isSound = !Array.isArray(entries) || !entries.some((entry) => Array.isArray(entry) && entry[1] === undefined);
    return isSound ? super.setMany(entries, options) : entries.map(([key]) => super.set(key, null, options));
  }
}

class KeepsTheFirstOfMany extends Sound {
  override setMany(entries: Entries, options?: SetOptions): boolean[] {
    const answers = super.setMany(entries, options);
    for (const [key, value] of [...entries].reverse()) this.put(key, value, options?.ttlMs ?? Infinity);
    return answers;
  }
}

class CountsRepeats extends Sound {
  override deleteMany(keys: readonly string[]): number {
    const live = Array.isArray(keys) ? keys.filter((key) => this.peek(key)).length : 0;
    super.deleteMany(keys);
    return live;
  }
}

class CountsWhatIsOver extends Sound {
  readonly #names: Set<string> = new Set();
  override set(key: string, value: unknown, options?: SetOptions): boolean {
    const isStored = super.set(key, value, options);
    this.#names.add(key);
    return isStored;
  }
  override delete(key: string): boolean {
    super.delete(key);
    return this.#names.delete(key);
  }
}

const everyCache: Set<Sound> = new Set();
class ClearsNeighbours extends Sound {
  constructor(options: NaiveCacheOptions & { readonly clock: ManualClock }) {
    super(options);
    everyCache.add(this);
  }
  override clear(): void {
    for (const cache of everyCache) NaiveCache.prototype.clear.call(cache);
  }
  override close(): void {
    everyCache.delete(this);
    super.close();
  }
}

class ProlongsByReading extends Sound {
  readonly #ttlMs: Map<string, number> = new Map();
  override set(key: string, value: unknown, options?: SetOptions): boolean {
    const isStored = super.set(key, value, options);
    if (options?.ttlMs !== undefined) this.#ttlMs.set(key, options.ttlMs);
    return isStored;
  }
  override get(key: string): unknown {
    const value = super.get(key);
    const ttlMs = this.#ttlMs.get(key);
    if (value !== undefined && ttlMs !== undefined) this.put(key, value, ttlMs);
    return value;
  }
}

class NeverShortens extends Sound {
  override set(key: string, value: unknown, options?: SetOptions): boolean {
    const left = this.peek(key)?.remainingMs ?? 0;
    const isStored = super.set(key, value, options);
    if (options?.ttlMs !== undefined && options.ttlMs < left) this.put(key, value, left);
    return isStored;
  }
}

class KeepsAFormerTime extends Sound {
  override set(key: string, value: unknown, options?: SetOptions): boolean {
    const left = this.peek(key)?.remainingMs;
    const isStored = super.set(key, value, options);
    if (left !== undefined && options?.ttlMs === undefined) this.put(key, value, left);
    return isStored;
  }
}

class TellsTheFirstAge extends Sound {
  readonly #storedAt: Map<string, number> = new Map();
  override set(key: string, value: unknown, options?: SetOptions): boolean {
    if (!this.#storedAt.has(key)) this.#storedAt.set(key, this.clock.now());
    return super.set(key, value, options);
  }
  override lookup(key: string): Lookup<unknown> {
    const found = super.lookup(key);
    return found.status === "miss" ? found : { ...found, ageMs: this.clock.now() - (this.#storedAt.get(key) ?? 0) };
  }
}

class StaysOpen extends Sound {
  override async [Symbol.asyncDispose](): Promise<void> {}
}

/** Runs the suite over caches of a kind. @returns the titles of the tests that fail */
function failuresOf(Kind: typeof Sound): Promise<string[]> {
  const clock = new ManualClock();
  return failingTitles((testApi) =>
    describeCache("a kind of cache", {
      create: (options) => new Kind({ clock, ...options }),
      advance: (ms) => clock.advance(ms),
      testApi,
    }),
  );
}

it("finds nothing in a sound cache", async () => {
  expect(await failuresOf(Sound)).toEqual([]);
});

const BROKEN: ReadonlyArray<readonly [Kind: typeof Sound, title: string]> = [
  [NullForMiss, "gives null back, and tells it from a miss"],
  [LooksUpNothing, "gives a string back, and tells it from a miss"],
  [NamesNoTier, "gives a string back, and tells it from a miss"],
  [TakesNoEmptyKey, "keeps odd keys apart and gives each its own value"],
  [WritesUtf8, "keeps keys apart that UTF-8 cannot write down"],
  [LosesOptionsOfMany, "stores all of setMany for the time to live that it is given"],
  [LosesOptionsOfMany, "refuses a time to live of 0 and names it"],
  [TakesUndefinedAmongMany, "refuses undefined as a value"],
  [KeepsTheFirstOfMany, "keeps the last of the values that setMany brings for one key"],
  [CountsRepeats, "counts what deleteMany dropped, and a key that it is given twice once"],
  [CountsWhatIsOver, "answers a deletion of what is over by itself as one of what was never there"],
  [ClearsNeighbours, "keeps to itself: a neighbour in the same backend has its own entries, and keeps them when this one is cleared"],
  [ProlongsByReading, "is not prolonged by reads of any kind"],
  [NeverShortens, "ends sooner when a value is replaced by one with a shorter time to live"],
  [KeepsAFormerTime, "goes by its own time to live when a value is replaced by one without any"],
  [TellsTheFirstAge, "tells the age of the value that is there, not of one before it"],
  [StaysOpen, "is closed at the end of await using"],
];

it.each(BROKEN.map(([Kind, title]) => [Kind.name, title, Kind] as const))(`refuses %s, by "%s"`, async (_name, title, Kind) => {
  expect(await failuresOf(Kind)).toContain(title);
});
