import type { AbortSignalLike, GetOrSetOptions } from "@larder/cache-core";
import { Departure } from "../http/departure.ts";

/** What one request says of its read. */
export interface ReadSettings {
  /** Milliseconds > 0. */
  readonly ttlMs: number;
  /** Milliseconds >= 0. */
  readonly staleWhileRevalidateMs: number;
  /** Milliseconds >= 0. */
  readonly staleIfErrorMs: number;
  readonly tags: readonly string[];
  /** A stream waits for no other process: that would delay its first byte. */
  readonly isStream: boolean;
  /** What is stored is not asked for, and replaced. */
  readonly isForced: boolean;
}

/**
 * The options of one request's read. The signal is asked for only when the answer is not in memory; a class, because a getter in an
 * object literal would give every request a hidden class of its own, with which nothing that it is handed to stays optimized.
 */
export class ReadOptions implements GetOrSetOptions {
  readonly ttlMs: number;
  readonly jitter = 0;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly tags: readonly string[];
  readonly singleFlight: "fleet" | "process";
  readonly forceRefresh: boolean;
  readonly #signal: AbortSignalLike;

  /** @param signal the caller's departure, which is watched from when it is asked for; or what ends a call that several share */
  constructor(settings: ReadSettings, signal: AbortSignalLike) {
    this.ttlMs = settings.ttlMs;
    this.staleWhileRevalidateMs = settings.staleWhileRevalidateMs;
    this.staleIfErrorMs = settings.staleIfErrorMs;
    this.tags = settings.tags;
    // Waiting for another process would cost a stream its first token.
    this.singleFlight = settings.isStream ? "process" : "fleet";
    this.forceRefresh = settings.isForced;
    this.#signal = signal;
  }

  get signal(): AbortSignalLike {
    return this.#signal instanceof Departure ? this.#signal.watched() : this.#signal;
  }
}
