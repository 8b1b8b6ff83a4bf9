import type { Clock, RandomSource } from "@larder/cache-core";
import { checkCount, checkDurationMs, checkFlag, checkName, type OptionNames, systemClock, systemRandom } from "@larder/cache-core";
import type { Cluster, Redis } from "ioredis";
import type { RedisPort } from "./redis-port.ts";
import { jsonCodec, type ValueCodec } from "./value-codec.ts";
import { type BodyCompression, type BodySealing, checkId } from "./value-pipeline.ts";

/** How a `RedisCache` is made. Exactly one of `client`, `url` and `port` is given. */
export interface RedisCacheOptions<V> {
  /**
   * An ioredis client, 5.11 or later, of the caller's. It stays the caller's: `close` leaves it open. It must have no `keyPrefix` of its own
   * and, on a cluster, read from masters. Without a `socketTimeout` it stays on a dead connection for as long as TCP does, without a
   * `sentinelCommandTimeout` with a sentinel that hangs: `openClient` sets both.
   */
  readonly client?: Redis | Cluster;
  /** Where to connect: `redis://`, `rediss://`, several hosts with commas for a cluster, `redis+sentinel://host,host/name`. Closed with the cache. */
  readonly url?: string;
  /** A client of another kind, or none: the simulator's. Closed with the cache. */
  readonly port?: RedisPort;
  /** The cache's name among those of one application. All processes that mean the same cache agree on it. Non-empty, without braces and lone surrogates. */
  readonly namespace: string;
  /** What comes before every key. Non-empty, without braces and lone surrogates. @default "larder" */
  readonly keyPrefix?: string;
  /** Parts of the cache that may live on different masters, 1 to 16384. All processes, and the bus, agree on it. @default 16 on a cluster, else 1 */
  readonly lanes?: number;
  /** Time to live in milliseconds, > 0, of what is stored without one; `Infinity` = until evicted. @default 3600000 (an hour) */
  readonly ttlMs?: number;
  /** How values become bytes. `bytesCodec` does the least work; `v8Codec()` takes the most. @default jsonCodec() */
  readonly codec?: ValueCodec<V>;
  /** Makes values smaller: see `@larder/cache-redis/compression`. @default none */
  readonly compression?: BodyCompression;
  /** Encrypts values: see `@larder/cache-redis/sealing`. @default none */
  readonly sealing?: BodySealing;
  /** Milliseconds > 0 that a read may wait for Redis. Four fifths of what is left of a caller's budget may be less. @default 50 */
  readonly timeoutMs?: number;
  /** Milliseconds > 0 that a write may wait for Redis. A caller's budget may be less. Where it is more than 250, checks of the server may wait as long. @default 250 */
  readonly writeTimeoutMs?: number;
  /** Calls that Redis has not answered at most, integer >= 1; more fail at once, reads as misses. One takes about 1.4 KB. @default 4096 */
  readonly maxInFlight?: number;
  /** Bytes of values on their way to Redis at most, integer >= 1. @default 33554432 (32 MiB) */
  readonly maxInFlightBytes?: number;
  /** Bytes that a value may have after compression, its key and tags included, integer >= 1; a larger one is not stored. @default 8388608 (8 MiB) */
  readonly maxValueBytes?: number;
  /** Calls in a row without an answer after which Redis is not asked for a while, integer >= 1. @default 5 */
  readonly failureThreshold?: number;
  /** Milliseconds > 0, longer than any load: a value that took longer to load is not stored. @default 600000 (10 minutes) */
  readonly maxLoadMs?: number;
  /** Invalidations that the log keeps at least, for processes that missed them; integer >= 1. Should be the bus's own. @default 10000 */
  readonly logLength?: number;
  /** Whether invalidations are published by SPUBLISH, which needs Redis 7. Must be what the bus does. @default true on a cluster, else false */
  readonly isSharded?: boolean;
  /** @default the machine's */
  readonly clock?: Clock;
  /** @default the machine's */
  readonly random?: RandomSource;
}

/** Their names. */
export const REDIS_CACHE_OPTIONS: OptionNames<RedisCacheOptions<unknown>> = {
  client: true,
  url: true,
  port: true,
  namespace: true,
  keyPrefix: true,
  lanes: true,
  ttlMs: true,
  codec: true,
  compression: true,
  sealing: true,
  timeoutMs: true,
  writeTimeoutMs: true,
  maxInFlight: true,
  maxInFlightBytes: true,
  maxValueBytes: true,
  failureThreshold: true,
  maxLoadMs: true,
  logLength: true,
  isSharded: true,
  clock: true,
  random: true,
};

/** Options with all defaults in place. */
export type RedisCacheSettings<V> = Required<Omit<RedisCacheOptions<V>, "client" | "url" | "port" | "compression" | "sealing">> & {
  readonly compression: BodyCompression | undefined;
  readonly sealing: BodySealing | undefined;
};

/** Checks options and adds defaults. @throws {CacheError} ERR_CACHE_INVALID_OPTION naming the option that is out of range */
export function toSettings<V>(options: RedisCacheOptions<V>, isCluster: boolean): RedisCacheSettings<V> {
  const { keyPrefix = "larder", lanes = isCluster ? 16 : 1, ttlMs = 3_600_000, codec = jsonCodec<V>(), compression, sealing } = options;
  const { timeoutMs = 50, writeTimeoutMs = 250, maxLoadMs = 600_000, maxInFlight = 4_096, maxInFlightBytes = 33_554_432 } = options;
  const { maxValueBytes = 8_388_608, failureThreshold = 5, logLength = 10_000, isSharded = isCluster } = options;
  const { clock = systemClock, random = systemRandom } = options;
  checkId("codec", codec);
  checkId("compression", compression);
  checkId("sealing", sealing);
  return {
    namespace: checkName("namespace", options.namespace),
    keyPrefix: checkName("keyPrefix", keyPrefix),
    lanes: checkCount("lanes", lanes),
    ttlMs: checkDurationMs("ttlMs", ttlMs),
    codec,
    compression,
    sealing,
    timeoutMs: checkDurationMs("timeoutMs", timeoutMs),
    writeTimeoutMs: checkDurationMs("writeTimeoutMs", writeTimeoutMs),
    maxInFlight: checkCount("maxInFlight", maxInFlight),
    maxInFlightBytes: checkCount("maxInFlightBytes", maxInFlightBytes),
    maxValueBytes: checkCount("maxValueBytes", maxValueBytes),
    failureThreshold: checkCount("failureThreshold", failureThreshold),
    maxLoadMs: checkDurationMs("maxLoadMs", maxLoadMs),
    // Without an exponent, which Redis does not read.
    logLength: Math.min(checkCount("logLength", logLength), 1e15),
    isSharded: checkFlag("isSharded", isSharded),
    clock,
    random,
  };
}
