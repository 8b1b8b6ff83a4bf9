import { ablated } from "./ablation.ts";
import { Budget } from "./budget.ts";
import type { AbortSignalLike, LoadContext, Loader, SyncCache } from "./cache.ts";
import type { Clock } from "./clock.ts";
import { CacheError } from "./errors.ts";
import { publishEvent } from "./events.ts";
import type { FencedStore, FillOutcome, LeaseOutcome, Reservation, StoreEntry } from "./fenced-store.ts";
import type { Flight } from "./flight.ts";
import type { Generations } from "./generations.ts";
import type { BackendCall } from "./invalidation.ts";
import type { InvalidationMarks } from "./invalidation-marks.ts";
import type { LoadPolicy } from "./load-policy.ts";
import type { Proof } from "./proof.ts";
import type { RandomSource } from "./random.ts";
import { type Loaded, runLoad } from "./run-load.ts";
import type { MutableCounters } from "./stats.ts";
import type { StoredEntry } from "./stored-entry.ts";
import { uniteTags } from "./unite-tags.ts";

/** How often a miss asks for the lease before it loads without one: each round another process stored, and it was invalidated again. */
const LEASE_ROUNDS = 3;

/** What the loads of one cache work on. Shared with its `TieredCache`. */
export interface LoadRunnerOptions<V> {
  readonly namespace: string;
  readonly l1: SyncCache<StoredEntry<V>>;
  readonly l2: FencedStore<V> | undefined;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly generations: Generations;
  readonly marks: InvalidationMarks;
  readonly counters: MutableCounters;
  readonly proof: Proof;
  readonly backendBudgetMs: number;
  /** Whether the second tier must not be read for a key: an invalidation by this process has not reached it yet. */
  readonly isBypassed: (key: string) => boolean;
  /** Has a load follow one that answered with a stale entry of the second tier. */
  readonly followWithLoad: (key: string, entry: StoredEntry<V>) => void;
  /** Keeps a write that nobody waits for from being forgotten at close. */
  readonly trackWrite: (write: Promise<unknown>) => void;
}

/** One load as it is asked for. */
export interface LoadRequest<V> {
  readonly flight: Flight<V>;
  readonly loader: Loader<V>;
  readonly policy: LoadPolicy;
  readonly reason: LoadContext<V>["reason"];
}

/** An answer that the second tier had. */
interface Found<V> {
  readonly value: V;
}

/**
 * What happens in one flight: second tier, reservation, loader, first tier, second tier.
 *
 * The order is the protocol. Generation and epoch are captured when the flight is made, before anything is read. The reservation takes
 * the key's fence and the version from Redis before the loader runs. After it, the first tier takes the value only if generation and
 * epoch still stand; the second only if the fence does, which Redis itself checks in the step that writes. A fill that Redis refuses
 * tells of an invalidation that this process has not heard yet, so the first tier gives the value up too.
 */
export class LoadRunner<V> {
  readonly #options: LoadRunnerOptions<V>;

  constructor(options: LoadRunnerOptions<V>) {
    this.#options = options;
  }

  /** Runs a flight to its value. Rejects with the loader's own error, a timeout, or the cancellation. */
  run(request: LoadRequest<V>): Promise<V | undefined> {
    const { l2, isBypassed } = this.#options;
    return l2 && !isBypassed(request.flight.key) ? this.#runBehind(l2, request) : this.#load(request, undefined);
  }

  async #runBehind(l2: FencedStore<V>, request: LoadRequest<V>): Promise<V | undefined> {
    const call = this.createCall(request.flight.cancellation);
    const askedAt = this.#options.clock.now();
    if (request.reason === "miss" || request.reason === "stale") {
      let entry: StoreEntry<V> | undefined;
      try {
        entry = await l2.read(request.flight.key, call);
      } catch (error) {
        this.pardon(error, call.signal);
      }
      const found = this.#take(request, entry, askedAt);
      if (found) return found.value;
    }
    // An invalidation may have come meanwhile: a reservation made now would carry the new fence and let the old flight's value through.
    if (!this.#isCurrent(request.flight)) return this.#load(request, undefined);
    const reserved = await this.#reserve(l2, request, call);
    if (reserved.found) return reserved.found.value;
    return this.#load(request, reserved.reservation);
  }

  /** A call to the second tier under this cache's budget. */
  createCall(signal?: AbortSignalLike): BackendCall {
    const budget = new Budget(this.#options.backendBudgetMs, this.#options.clock);
    return signal ? { budget, signal } : { budget };
  }

  /**
   * A second tier promises not to fail; one that does all the same, closed under this cache for example, has nothing and is not waited for.
   * @throws what it failed with, when the load was cancelled meanwhile, or the caller asked for what cannot be
   */
  pardon(error: unknown, signal?: AbortSignalLike): void {
    if (signal?.aborted || (CacheError.is(error) && error.code === "ERR_CACHE_INVALID_OPTION")) throw error;
    this.#options.counters.errors += 1;
  }

  /**
   * Puts an entry of the second tier into the first, if nothing was invalidated since `flight` was captured.
   *
   * The tier has judged it as of when it read it, and its answer may have lain in a process that stood still since, which is late with its deadlines as
   * well: beyond the time for which it may be served from memory, and the time that it may be under way, it is no answer any more (found by the
   * simulator: `answer-slept-through-an-invalidation.json`).
   * @returns the entry; `undefined` when it came too late
   */
  adopt(
    flight: Pick<Flight<V>, "key" | "generation" | "epoch" | "capturedAt" | "isDetached">,
    found: StoreEntry<V>,
    askedAt: number,
  ): StoredEntry<V> | undefined {
    const { clock, proof, backendBudgetMs } = this.#options;
    const now = clock.now();
    if (!proof.covers(askedAt, now - backendBudgetMs)) return undefined;
    const entry: StoredEntry<V> = {
      value: found.value,
      capturedAt: proof.asOf(flight.capturedAt),
      storedAt: now - found.ageMs,
      staleAt: now + found.freshMs,
      expiresAt: now + found.remainingMs,
      epoch: flight.epoch,
      loadMs: 0,
      tags: found.tags,
    };
    if (this.#isCurrent(flight)) this.#keep(flight.key, entry, found.remainingMs);
    return entry;
  }

  /**
   * Uses what the second tier answered: fresh, or stale and allowed to be served while a load runs behind it. Else remembers it for when the load fails;
   * so, too, for a forced load, which it does not make needless.
   */
  #take({ flight, reason }: LoadRequest<V>, found: StoreEntry<V> | undefined, askedAt: number): Found<V> | undefined {
    const entry = found && this.adopt(flight, found, askedAt);
    if (!entry) return undefined;
    if (found.freshMs > 0 && reason !== "forced") return entry;
    if (flight.isDetached) return undefined;
    flight.stale = entry;
    // A load that is there because the entry is stale must not end with it: the one to follow it would end the same way, and so on without end.
    if (reason !== "miss" || found.freshMs + flight.staleMs <= 0) return undefined;
    this.#options.counters.staleHits += flight.uncountedReads;
    this.#options.followWithLoad(flight.key, entry);
    flight.isAnswered = true;
    return entry;
  }

  async #reserve(
    l2: FencedStore<V>,
    request: LoadRequest<V>,
    call: BackendCall,
  ): Promise<{ readonly reservation?: Reservation<V> | undefined; readonly found?: Found<V> }> {
    const { flight, policy, reason } = request;
    const { clock } = this.#options;
    let wantsLease = policy.singleFlight === "fleet" && reason !== "forced";
    for (let round = 1; ; round += 1) {
      let reservation: Reservation<V> | undefined;
      const askedAt = clock.now();
      try {
        reservation = await l2.reserve(flight.key, wantsLease, call);
      } catch (error) {
        this.pardon(error, call.signal);
      }
      if (!reservation) return {};
      // What is live here is not replaced by what the tier has, which a fill may have failed to reach: one that is forced or early loads on.
      const found = (flight.stale?.staleAt ?? 0) <= askedAt && this.#take(request, reservation.entry, askedAt);
      if (found) {
        if (reservation.lease === "owned") this.#options.trackWrite(l2.release(reservation, "not-stored"));
        return { found };
      }
      if (reservation.lease === "owned") flight.holdLease((outcome) => this.#options.trackWrite(l2.release(reservation, outcome)));
      if (reservation.lease !== "held") return { reservation };
      this.#missReads(flight);
      let outcome: LeaseOutcome = "failed";
      try {
        outcome = await l2.awaitFill(reservation, call);
      } catch (error) {
        this.pardon(error, call.signal);
      }
      if (outcome !== "stored" || round >= LEASE_ROUNDS) wantsLease = false;
      if (!this.#isCurrent(flight)) return {};
    }
  }

  /** Nothing live was found: those who have asked so far, and who will, wait for a load, be it another process's. */
  #missReads(flight: Flight<V>): void {
    flight.isLoading = true;
    this.#options.counters.misses += flight.uncountedReads;
    flight.uncountedReads = 0;
  }

  async #load(request: LoadRequest<V>, reservation: Reservation<V> | undefined): Promise<V | undefined> {
    const { clock, counters, l2 } = this.#options;
    const { flight } = request;
    // Detached while the reservation was on its way: who comes now must not wait for a lease under which nothing will be stored.
    if (flight.isDetached) flight.endLease("not-stored");
    this.#missReads(flight);
    const { cancellation } = flight;
    // Everyone left while the second tier was asked: no loader is called, and none is counted.
    if (cancellation.aborted) {
      flight.endLease("failed");
      throw cancellation.reason;
    }
    counters.loads += 1;
    const startedAt = clock.now();
    let loaded: Loaded<V>;
    try {
      loaded = await runLoad({ flight, loader: request.loader, reason: request.reason, clock });
    } catch (error) {
      counters.loadErrors += 1;
      flight.endLease("failed");
      this.#tell(flight, startedAt, "failed");
      throw error;
    }
    const late = l2 && ablated.has("early-capture") ? await l2.reserve(flight.key, false, this.createCall()) : reservation;
    const outcome = this.#store(request, loaded, late);
    this.#tell(flight, startedAt, outcome);
    return loaded.value;
  }

  #store(request: LoadRequest<V>, loaded: Loaded<V>, reservation: Reservation<V> | undefined): "stored" | "not-stored" | "rejected" {
    const { counters, l2, clock } = this.#options;
    const { flight, policy } = request;
    const isWanted = loaded.value !== undefined && !loaded.isSkipped;
    const isCurrent = this.#isCurrent(flight);
    if (!isWanted || !isCurrent) {
      if (isWanted) counters.rejectedFills += 1;
      flight.endLease("not-stored");
      return isWanted ? "rejected" : "not-stored";
    }
    const value = loaded.value as V;
    const ttlMs = this.#timeToLive(value, loaded.ttlMs, policy);
    const staleMs = Math.max(policy.staleWhileRevalidateMs, policy.staleIfErrorMs);
    const tags = uniteTags(flight.tags, loaded.tags);
    const now = clock.now();
    const entry: StoredEntry<V> = {
      value,
      capturedAt: flight.capturedAt,
      storedAt: now,
      staleAt: now + ttlMs,
      expiresAt: now + ttlMs + staleMs,
      epoch: flight.epoch,
      loadMs: loaded.durationMs,
      tags,
    };
    counters[this.#keep(flight.key, entry, ttlMs + staleMs) ? "sets" : "rejectedSets"] += 1;
    if (l2 && reservation) this.#options.trackWrite(this.#fill(l2, reservation, entry, { ttlMs, staleMs, tags }));
    return "stored";
  }

  async #fill(
    l2: FencedStore<V>,
    reservation: Reservation<V>,
    entry: StoredEntry<V>,
    options: Parameters<FencedStore<V>["fill"]>[2],
  ): Promise<void> {
    let outcome: FillOutcome = "failed";
    try {
      outcome = await l2.fill(reservation, entry.value, options);
    } catch {
      // As a fill that it tells to have failed.
    }
    if (outcome === "failed") this.#options.counters.errors += 1;
    if (outcome !== "rejected") return;
    this.#options.counters.rejectedFills += 1;
    this.#options.generations.advance(reservation.key);
    if (isSameLoad(this.#options.l1.get(reservation.key), entry)) this.#options.l1.delete(reservation.key);
  }

  /** Puts an entry into the first tier. One that cannot be kept there, since it cannot be cloned or the tier was closed, is still an answer. */
  #keep(key: string, entry: StoredEntry<V>, ttlMs: number): boolean {
    const { l1 } = this.#options;
    try {
      return l1.set(key, entry, { ttlMs });
    } catch {
      try {
        // As of a value that is too large: what was there before is older than what is answered now.
        l1.delete(key);
      } catch {
        // Closed: it gives nothing any more.
      }
      return false;
    }
  }

  #isCurrent(flight: Pick<Flight<V>, "key" | "generation" | "epoch" | "isDetached">): boolean {
    const { generations, marks } = this.#options;
    if (ablated.has("early-capture")) return true;
    return !flight.isDetached && generations.of(flight.key) === flight.generation && marks.epoch === flight.epoch;
  }

  #timeToLive(value: V, loaderTtlMs: number | undefined, policy: LoadPolicy): number {
    const negativeTtlMs = value === null && policy.negativeTtlMs > 0 ? policy.negativeTtlMs : undefined;
    const ttlMs = loaderTtlMs ?? negativeTtlMs ?? policy.ttlMs;
    return policy.jitter === 0 ? ttlMs : ttlMs * (1 - policy.jitter * this.#options.random.next());
  }

  #tell(flight: Flight<V>, startedAt: number, outcome: "stored" | "not-stored" | "rejected" | "failed"): void {
    const { namespace, clock } = this.#options;
    publishEvent("load-finished", () => ({ namespace, key: flight.key, durationMs: clock.now() - startedAt, outcome }));
  }
}

/** Whether an entry is that of a load, or a copy of it: a first tier may give copies. */
function isSameLoad(held: StoredEntry<unknown> | undefined, entry: StoredEntry<unknown>): boolean {
  return held !== undefined && held.storedAt === entry.storedAt && held.capturedAt === entry.capturedAt && held.loadMs === entry.loadMs;
}
