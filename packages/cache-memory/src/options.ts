import {
  CacheError,
  type Clock,
  checkCount,
  checkDurationMs,
  checkFunction,
  checkName,
  checkOptions,
  describeValue,
  type OptionNames,
  systemClock,
} from "@larder/cache-core";
import type { RemovalListener } from "./removal.ts";
import { bytesOfEntry } from "./size-of.ts";
import type { ValueMode } from "./value-mode.ts";

/** How a `MemoryCache` is bounded and what it promises about values. */
export interface MemoryCacheOptions<V> {
  /**
   * Entries held at most; what goes first is the policy's choice. Integer >= 1; `Infinity` = bounded by `maxBytes` alone, which must then
   * be finite. @default 1000, or `Infinity` when only `maxBytes` is given
   */
  readonly maxEntries?: number;
  /**
   * Bytes held at most, keys and overhead included, as `sizeOf` counts them. Integer >= 1; `Infinity` = not counted (unless `sizeOf` is
   * given), bounded by `maxEntries` alone. A larger value is refused: `set` answers `false`. @default 67108864 (64 MiB), or `Infinity` when only `maxEntries` is given
   */
  readonly maxBytes?: number;
  /**
   * Bytes of one entry, a number >= 0, asked once per `set`; `Infinity` = never stored. It must account for the key, too. @default strings, buffers, typed arrays and blobs
   * by length, objects by a walk over at most 512 nodes (larger ones by a sample of that size), plus the key and 96 bytes of overhead
   */
  readonly sizeOf?: (value: V, key: string) => number;
  /** Time to live in milliseconds, > 0; `Infinity` keeps an entry until evicted. A `ttlMs` given to `set` wins. @default Infinity */
  readonly ttlMs?: number;
  /** Who may change a value that is in the cache: see `ValueMode`. @default "shared" */
  readonly values?: ValueMode;
  /**
   * What keys look like. `"digest"`: every key ends in at least 16 hexadecimal digits of a cryptographic digest, and only those are hashed, which makes
   * reads with freshly built keys faster than a `Map`'s: 2.7 times at 1,000 entries, 1.5 times at 100,000; other keys are refused. Never for keys that a stranger can choose. @default "text"
   */
  readonly keys?: "text" | "digest";
  /** Told of each entry that is removed, after it happened. @default nobody */
  readonly onRemoved?: RemovalListener<V>;
  /** Names the cache in events. @default "memory" */
  readonly name?: string;
  /** Where time comes from. @default the machine's monotonic clock, cached within one turn of the event loop */
  readonly clock?: Clock;
}

/** The options after defaults and checks. */
export interface ResolvedOptions<V> {
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** `undefined`: bytes are not counted. */
  readonly sizeOf: ((value: V, key: string) => number) | undefined;
  readonly ttlMs: number;
  readonly values: ValueMode;
  readonly keys: "text" | "digest";
  readonly onRemoved: RemovalListener<V> | undefined;
  readonly name: string;
  readonly clock: Clock;
}

const OPTIONS: OptionNames<MemoryCacheOptions<never>> = {
  maxEntries: true,
  maxBytes: true,
  sizeOf: true,
  ttlMs: true,
  values: true,
  keys: true,
  onRemoved: true,
  name: true,
  clock: true,
};
const VALUE_MODES: readonly ValueMode[] = ["shared", "frozen", "cloned"];
const KEY_MODES: ReadonlyArray<"text" | "digest"> = ["text", "digest"];

/** The error that refuses a value. */
export function invalid(name: string, expected: string, value: unknown): CacheError {
  return new CacheError("ERR_CACHE_INVALID_OPTION", `${name} must be ${expected}, got ${describeValue(value)}`);
}

function checkChoice<Choice extends string>(name: string, value: Choice, choices: readonly Choice[]): Choice {
  if (choices.includes(value)) return value;
  throw invalid(name, `one of ${choices.map((choice) => `"${choice}"`).join(", ")}`, value);
}

/** Applies the defaults. @throws {CacheError} ERR_CACHE_INVALID_OPTION for what is out of range or leaves the cache without a bound */
export function resolveOptions<V>(options: MemoryCacheOptions<V>): ResolvedOptions<V> {
  checkOptions(options, OPTIONS);
  const {
    maxBytes = options.maxEntries === undefined ? 67_108_864 : Infinity,
    maxEntries = options.maxBytes === undefined ? 1000 : Infinity,
    ttlMs = Infinity,
    values = "shared",
    keys = "text",
    name = "memory",
    clock = systemClock,
    sizeOf = (value, key) => bytesOfEntry(key, value),
    onRemoved,
  } = options;
  // Date has none, and would do until the first dump.
  checkFunction("clock.wallNow", clock?.wallNow, " of a Clock");
  checkCount("maxEntries", maxEntries);
  checkCount("maxBytes", maxBytes);
  if (maxEntries === Infinity && maxBytes === Infinity)
    throw new CacheError("ERR_CACHE_INVALID_OPTION", "maxEntries or maxBytes must be finite: a cache without a bound is a leak");
  const isCounting = maxBytes !== Infinity || options.sizeOf !== undefined;
  return {
    maxEntries,
    maxBytes,
    sizeOf: isCounting ? checkFunction("sizeOf", sizeOf) : undefined,
    ttlMs: checkDurationMs("ttlMs", ttlMs),
    values: checkChoice("values", values, VALUE_MODES),
    keys: checkChoice("keys", keys, KEY_MODES),
    onRemoved: onRemoved === undefined ? onRemoved : checkFunction("onRemoved", onRemoved),
    name: checkName("name", name),
    clock,
  };
}
