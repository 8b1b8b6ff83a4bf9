import {
  type CacheStats,
  type Clock,
  createCounters,
  type LatencyHistogram,
  type MutableCounters,
  snapshotStats,
} from "@larder/cache-core";
import type { BreakerState } from "./breaker.ts";
import type { CallFailure, CallFailureKind } from "./call-failure.ts";
import { Latency } from "./latency.ts";
import { publishRedisEvent } from "./redis-events.ts";
import type { PipelineFault } from "./value-pipeline.ts";

/** What is timed by itself. */
export type RedisOperation = "read" | "reserve" | "fill" | "replace" | "set" | "invalidate" | "delete" | "clear";

/** What a `RedisCache` counts beyond every cache. `latency` is that of reads which Redis answered or failed to. */
export interface RedisCacheStats extends CacheStats {
  /** Latency per operation, of calls that were sent. */
  readonly operations: Readonly<Record<RedisOperation, LatencyHistogram>>;
  /** Calls without a usable answer, by kind: `bypassed` and `down` were not sent at all, `busy` were over the cap. */
  readonly failures: Readonly<Record<CallFailureKind, number>>;
  /** Bytes under a key that were not an entry of it, by what was wrong with them. Each was a miss. */
  readonly refusedEntries: Readonly<Record<PipelineFault, number>>;
  /** `closed`: every lane is used; `open`: at least one is not; `half-open`: at least one is being checked, and none is open. */
  readonly breaker: BreakerState;
  /** Calls that Redis has not answered yet. */
  readonly inFlight: number;
  /** Bytes of entries read from Redis, headers included. */
  readonly bytesIn: number;
  /** Bytes of entries sent to Redis, headers included. */
  readonly bytesOut: number;
  /** Invalid entries that a background sweep has freed. */
  readonly sweptEntries: number;
}

const OPERATIONS: readonly RedisOperation[] = ["read", "reserve", "fill", "replace", "set", "invalidate", "delete", "clear"];

/** State that is asked for when a snapshot is taken. */
export interface RedisState {
  readonly breaker: BreakerState;
  readonly inFlight: number;
}

/** Counts for one `RedisCache`. */
export class RedisCounters {
  readonly base: MutableCounters = createCounters();
  readonly readLatency: Latency = new Latency();
  bytesIn = 0;
  bytesOut = 0;
  sweptEntries = 0;
  readonly #namespace: string;
  readonly #clock: Clock;
  readonly #latencies: Record<string, Latency> = { read: this.readLatency };
  readonly #failures: Record<CallFailureKind, number> = { down: 0, bypassed: 0, busy: 0, timeout: 0, lost: 0, refused: 0 };
  readonly #faults: Record<PipelineFault, number> = {
    short: 0,
    foreign: 0,
    checksum: 0,
    owner: 0,
    stamp: 0,
    codec: 0,
    sealing: 0,
    value: 0,
  };
  #degradedMs = 0;
  #degradedSince: number | undefined;

  constructor(namespace: string, clock: Clock) {
    this.#namespace = namespace;
    this.#clock = clock;
    for (const operation of OPERATIONS) this.#latencies[operation] ??= new Latency();
  }

  /** A call had no usable answer. */
  fail(operation: RedisOperation, { kind, word }: CallFailure): void {
    this.base.errors += 1;
    this.#failures[kind] += 1;
    publishRedisEvent("redis-call-failed", () => ({ namespace: this.#namespace, operation, kind, word }));
  }

  /** Bytes under a key were not an entry of it. */
  refuse(key: string, fault: PipelineFault): void {
    this.#faults[fault] += 1;
    publishRedisEvent("redis-entry-refused", () => ({ namespace: this.#namespace, key, fault }));
  }

  /** A sweep has freed so many entries. */
  sweep(count: number): void {
    this.sweptEntries += count;
  }

  /** Takes in how long an operation took. */
  time(operation: RedisOperation, durationMs: number): void {
    this.#latencies[operation]?.add(durationMs);
  }

  /** Takes in whether any lane is bypassed now. */
  setDegraded(isDegraded: boolean): void {
    if (isDegraded) {
      this.#degradedSince ??= this.#clock.now();
    } else if (this.#degradedSince !== undefined) {
      this.#degradedMs += this.#clock.now() - this.#degradedSince;
      this.#degradedSince = undefined;
    }
  }

  snapshot({ breaker, inFlight }: RedisState): RedisCacheStats {
    const sinceMs = this.#degradedSince === undefined ? 0 : this.#clock.now() - this.#degradedSince;
    const operations = Object.fromEntries(OPERATIONS.map((name) => [name, (this.#latencies[name] as Latency).snapshot()]));
    const base = snapshotStats(this.base, {
      degradedMs: this.#degradedMs + sinceMs,
      isDegraded: this.#degradedSince !== undefined,
      latency: this.readLatency.snapshot(),
    });
    return Object.freeze({
      ...base,
      operations: operations as RedisCacheStats["operations"],
      failures: { ...this.#failures },
      refusedEntries: { ...this.#faults },
      breaker,
      inFlight,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      sweptEntries: this.sweptEntries,
    });
  }
}
