import { ablated } from "./ablation.ts";
import { awaitFlight, holdFlight, isWithinWindow } from "./await-flight.ts";
import type { AbortSignalLike, LoadContext, Loader } from "./cache.ts";
import type { Clock } from "./clock.ts";
import { CacheError } from "./errors.ts";
import { FailedLoads } from "./failed-loads.ts";
import { Flight, type FlightHost } from "./flight.ts";
import type { Generations } from "./generations.ts";
import type { InvalidationMarks } from "./invalidation-marks.ts";
import type { LoadPolicy } from "./load-policy.ts";
import type { LoadRequest } from "./load-runner.ts";
import type { Proof } from "./proof.ts";
import type { MutableCounters } from "./stats.ts";
import type { StoredEntry } from "./stored-entry.ts";

/** What the flights of one cache share with its `TieredCache`. */
export interface FlightsOptions<V> {
  readonly clock: Clock;
  readonly generations: Generations;
  readonly marks: InvalidationMarks;
  readonly proof: Proof;
  readonly counters: MutableCounters;
  /** Runs a flight to its value. */
  readonly run: (request: LoadRequest<V>) => Promise<V | undefined>;
}

/** What stood before anything was read. */
export type Captured = Pick<Flight<unknown>, "key" | "generation" | "epoch" | "capturedAt"> & { readonly isDetached: false };

/**
 * The loads in flight of one cache: one per key and generation, shared by everyone who asks meanwhile (single flight).
 *
 * An invalidation detaches what it finds here, so that who comes later starts anew; a load that failed is held back for as long as its
 * callers asked (`errorTtlMs`); one that answered with a stale entry of the second tier is followed by a load of its own.
 */
export class Flights<V> {
  readonly #options: FlightsOptions<V>;
  readonly #byKey: Map<string, Flight<V>> = new Map();
  /** Those that nobody joins any more, and that go on for who waits already. */
  readonly #detached: Set<Flight<V>> = new Set();
  /** Flights that answered with a stale entry of the second tier, and must be followed by a load. */
  readonly #dueBehind: WeakMap<Flight<V>, StoredEntry<V>> = new WeakMap();
  readonly #failures: FailedLoads = new FailedLoads();
  readonly #host: FlightHost<V>;

  constructor(options: FlightsOptions<V>) {
    this.#options = options;
    const { proof, clock, marks } = options;
    this.#host = {
      holds: (key, stale) =>
        (ablated.has("stale-bound") || proof.covers(stale.capturedAt, clock.now())) && marks.isValid(stale.epoch, key, stale.tags),
      cancelled: (flight, reason) => {
        this.#forget(flight);
        this.#holdBack(flight, reason);
        // Once: by the time that the second tier lets go of it, the key may have been invalidated, or loaded anew.
        flight.errorTtlMs = 0;
      },
    };
  }

  /** What a read or a load must know of the moment before it looked anywhere. */
  capture(key: string): Captured {
    const { generations, marks, clock } = this.#options;
    return { key, generation: generations.of(key), epoch: marks.epoch, capturedAt: clock.now(), isDetached: false };
  }

  /** The key's value from the load in flight, else from a new one. `known` is a stale entry, for the loader and in case it fails. */
  load(key: string, loader: Loader<V>, policy: LoadPolicy, known: StoredEntry<V> | undefined): Promise<V | undefined> {
    const { clock, counters } = this.#options;
    if (policy.signal?.aborted) {
      counters.misses += 1;
      return Promise.reject(new CacheError("ERR_CACHE_ABORTED", "the caller's signal was aborted", { cause: policy.signal.reason }));
    }
    const onStale = (): void => {
      counters.staleHits += 1;
    };
    const now = clock.now();
    const failure = policy.forceRefresh ? undefined : this.#failures.find(key, now);
    if (failure) {
      counters.misses += 1;
      if (!known || !isWithinWindow(known, policy.staleIfErrorMs, now)) return Promise.reject(failure.error);
      onStale();
      return Promise.resolve(known.value);
    }
    const running = policy.forceRefresh ? undefined : this.#joinable(key);
    if (running) counters.coalesced += 1;
    const flight = running ?? this.#start(key, loader, policy, policy.forceRefresh ? "forced" : known ? "stale" : "miss", known);
    if (flight.isLoading) counters.misses += 1;
    else flight.uncountedReads += 1;
    return awaitFlight({ flight, policy, clock, onStale });
  }

  /** Starts a load that nobody waits for; one that runs already serves as well. */
  refreshBehind(key: string, loader: Loader<V>, policy: LoadPolicy, reason: "stale" | "early", entry: StoredEntry<V>): void {
    const { clock } = this.#options;
    if (this.#byKey.has(key) || this.#failures.find(key, clock.now())) return;
    // A caller who joins and goes must not cancel it.
    holdFlight({ flight: this.#start(key, loader, policy, reason, entry), policy, clock });
  }

  /** Has a load follow the key's flight, which answers with a stale entry of the second tier. */
  followWithLoad(key: string, entry: StoredEntry<V>): void {
    const flight = this.#byKey.get(key);
    if (flight) this.#dueBehind.set(flight, entry);
  }

  /** What names the key's load in flight. */
  cancellationOf(key: string): AbortSignalLike | undefined {
    return this.#byKey.get(key)?.cancellation;
  }

  /**
   * The key was invalidated: nobody joins its load any more, nothing of it is kept, and an error held back is forgotten. The second tier ends the
   * key's lease in the same step in which it drops its entry.
   */
  invalidate(key: string): void {
    this.#detach(key);
    for (const flight of this.#detached) if (flight.key === key) flight.stale = undefined;
    this.#failures.delete(key);
  }

  /** As `invalidate`, of every key. The second tier does not know which leases that ends: their holders do. */
  invalidateAll(): void {
    for (const key of this.#byKey.keys()) this.#detach(key)?.endLease("not-stored");
    this.#failures.clear();
  }

  /** Cancels every load. */
  abort(reason: unknown): void {
    for (const flight of [...this.#byKey.values(), ...this.#detached]) flight.cancellation.abort(reason);
    this.#byKey.clear();
  }

  /**
   * The key's load in flight, if its data may still be served when it comes: the staleness bound of entries holds for a load that began
   * before this process lost touch, too. One that began too long ago goes on for those who wait already.
   */
  #joinable(key: string): Flight<V> | undefined {
    if (ablated.has("single-flight")) return undefined;
    const running = this.#byKey.get(key);
    if (running?.isAnswered) return undefined;
    if (!running || this.#options.proof.covers(running.capturedAt, this.#options.clock.now())) return running;
    this.#detach(key)?.endLease("not-stored");
    return undefined;
  }

  #start(
    key: string,
    loader: Loader<V>,
    policy: LoadPolicy,
    reason: LoadContext<V>["reason"],
    stale: StoredEntry<V> | undefined,
  ): Flight<V> {
    if (reason === "forced") {
      this.#options.generations.advance(key);
      this.#detach(key)?.endLease("not-stored");
    }
    const flight = new Flight<V>(key, this.capture(key), this.#host);
    flight.errorTtlMs = policy.errorTtlMs;
    flight.stale = stale;
    this.#byKey.set(key, flight);
    flight.result = this.#fly({ flight, loader, policy, reason });
    // Waiters have their own handlers; a load without any must not become an unhandled rejection.
    flight.result.catch(() => {});
    return flight;
  }

  async #fly(request: LoadRequest<V>): Promise<V | undefined> {
    const { flight, loader, policy } = request;
    try {
      const value = await this.#options.run(request);
      // A forced load may get through while the error of one before it is held back.
      if (!flight.isDetached) this.#failures.delete(flight.key);
      this.#options.counters.hits += flight.uncountedReads;
      return value;
    } catch (error) {
      this.#options.counters.misses += flight.uncountedReads;
      this.#holdBack(flight, error);
      throw error;
    } finally {
      flight.isSettled = true;
      this.#forget(flight);
      const behind = this.#dueBehind.get(flight);
      if (behind && !flight.isDetached) this.refreshBehind(flight.key, loader, policy, "stale", behind);
    }
  }

  /** At once where a load is cancelled: who tries again as soon as it is told must not be the one more than comes between. */
  #holdBack(flight: Flight<V>, error: unknown): void {
    if (flight.errorTtlMs > 0 && !flight.isDetached && !isCancelled(error))
      this.#failures.add(flight.key, error, this.#options.clock.now() + flight.errorTtlMs);
  }

  #forget(flight: Flight<V>): void {
    this.#detached.delete(flight);
    if (this.#byKey.get(flight.key) === flight) this.#byKey.delete(flight.key);
  }

  /** @returns the load that was detached, when there was one */
  #detach(key: string): Flight<V> | undefined {
    const flight = this.#byKey.get(key);
    if (!flight || ablated.has("detach")) return undefined;
    flight.isDetached = true;
    this.#byKey.delete(key);
    this.#detached.add(flight);
    return flight;
  }
}

/** Whether a load ended because nobody wanted it any more: that says nothing about the next one. */
function isCancelled(error: unknown): boolean {
  return CacheError.is(error) && (error.code === "ERR_CACHE_ABORTED" || error.code === "ERR_CACHE_CLOSED");
}
