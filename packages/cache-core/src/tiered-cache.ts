import type { BackgroundWrites } from "./background-writes.ts";
import type {
  AbortSignalLike,
  GetOrSetOptions,
  InvalidationResult,
  LoadContext,
  Loader,
  Lookup,
  MaybePromise,
  ReadThroughCache,
  SetOptions,
  SyncCache,
} from "./cache.ts";
import {
  checkDurationMs,
  checkEntries,
  checkFunction,
  checkKey,
  checkOptions,
  checkTags,
  checkValue,
  SET_OPTIONS,
} from "./check-option.ts";
import type { Clock } from "./clock.ts";
import { isRefreshDue } from "./early-refresh.ts";
import { CacheError } from "./errors.ts";
import type { FencedStore } from "./fenced-store.ts";
import type { Flights } from "./flights.ts";
import { inSlices } from "./in-slices.ts";
import type { InvalidationTarget } from "./invalidation.ts";
import type { InvalidationDesk } from "./invalidation-desk.ts";
import type { InvalidationMarks } from "./invalidation-marks.ts";
import { isPlainRead, type LoadPolicy, toCallPolicy } from "./load-policy.ts";
import type { Proof } from "./proof.ts";
import type { RandomSource } from "./random.ts";
import { type CacheStats, type MutableCounters, snapshotStats } from "./stats.ts";
import { createStoredEntry, describeEntry, type Servable, type StoredEntry } from "./stored-entry.ts";
import { createTierParts } from "./tier-parts.ts";
import { TierReader } from "./tier-reader.ts";
import { resolveTieredOptions, type TieredCacheOptions } from "./tiered-cache-options.ts";

/**
 * Composes a first tier in memory, an optional shared second tier and an optional invalidation bus into one read-through cache.
 *
 * How it keeps its promises (invariants I1 to I6; the numbers are the mechanisms of ARCHITECTURE.md):
 *
 * 1. Every read and load captures the key's local generation and the process-wide epoch before it looks anywhere. The first tier takes
 *    what it found only if both still stand. So a value read before an invalidation cannot be kept after it, however late it comes.
 * 2. An invalidation moves the generation on and detaches the load in flight: callers who come later start a new one, those who waited
 *    already get the old one's value, and nobody keeps it.
 * 3. The second tier's fills are fenced in Redis (`FencedStore`), so the same holds for other processes that have not heard yet.
 * 5. From the call of an invalidation until the backend acknowledges it, its key bypasses the second tier; a failed one is retried.
 * 6. Entries are served only while the bus gives proof that nothing was missed (`Proof`).
 *
 * Mechanism 2 bumps once, not twice: because the key bypasses the second tier from before the call leaves until it is acknowledged
 * (5), no load in between can have read the old value, and its result need not be thrown away (docs/decisions).
 *
 * The interleaving it does not survive: the process dies between the commit in the database and the call of `invalidate`. Other
 * processes then serve the old value until its time to live is over. An outbox bounds that (docs/coherence.md).
 *
 * On a first-tier hit `getOrSet` and `get` answer synchronously.
 */
export class TieredCache<V> implements ReadThroughCache<V> {
  readonly #l1: SyncCache<StoredEntry<V>>;
  readonly #l2: FencedStore<V> | undefined;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #policy: LoadPolicy;
  readonly #counters: MutableCounters;
  readonly #marks: InvalidationMarks;
  readonly #proof: Proof;
  readonly #flights: Flights<V>;
  readonly #desk: InvalidationDesk<V>;
  readonly #reader: TierReader<V>;
  readonly #writes: BackgroundWrites;
  #closing: Promise<void> | undefined;

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION naming the option that is out of range */
  constructor(options: TieredCacheOptions<V>) {
    const settings = resolveTieredOptions(options);
    const { l1, l2, bus, clock, random, policy } = settings;
    const parts = createTierParts(settings);
    this.#l1 = l1;
    this.#l2 = l2;
    this.#clock = clock;
    this.#random = random;
    this.#policy = policy;
    this.#counters = parts.counters;
    this.#marks = parts.marks;
    this.#proof = parts.proof;
    this.#flights = parts.flights;
    this.#desk = parts.desk;
    this.#writes = parts.writes;
    this.#reader = new TierReader({ ...parts, l1, clock });
    // Last, when nothing can be refused any more: who joined and then threw would go on hearing, and nobody could make it leave.
    if (bus) this.#desk.join(bus, settings.maxStalenessMs);
  }

  get(key: string): MaybePromise<V | undefined> {
    const entry = this.#l1.get(key);
    if (entry !== undefined && this.#isPlainHit(entry)) {
      this.#counters.hits += 1;
      return entry.value;
    }
    const found = this.#find(key, entry);
    if (found?.status === "hit") {
      this.#counters.hits += 1;
      return found.entry.value;
    }
    if (!this.#l2) {
      this.#counters.misses += 1;
      return undefined;
    }
    return this.#reader.read(this.#l2, key).then((read) => {
      const fresh = read?.status === "hit" ? read : undefined;
      this.#countRead(fresh);
      return fresh?.entry.value;
    });
  }

  lookup(key: string): MaybePromise<Lookup<V>> {
    const found = this.#find(key, this.#l1.get(key));
    if (found?.status === "hit" || !this.#l2) {
      this.#countRead(found);
      return describeEntry(found, "l1", this.#clock.now());
    }
    return this.#reader.read(this.#l2, key).then((read) => {
      this.#countRead(read ?? found);
      return describeEntry(read ?? found, read ? "l2" : "l1", this.#clock.now());
    });
  }

  getOrSet(key: string, loader: (context: LoadContext<V>) => MaybePromise<V>, options?: GetOrSetOptions): MaybePromise<V>;
  getOrSet(key: string, loader: Loader<V>, options?: GetOrSetOptions): MaybePromise<V | undefined>;
  getOrSet(key: string, loader: Loader<V>, options?: GetOrSetOptions): MaybePromise<V | undefined> {
    const entry = this.#l1.get(key);
    if (
      entry !== undefined &&
      (options === undefined || isPlainRead(options)) &&
      this.#policy.earlyRefresh === 0 &&
      this.#isPlainHit(entry)
    ) {
      this.#counters.hits += 1;
      return entry.value;
    }
    return this.#getOrLoad(key, entry, loader, options);
  }

  /**
   * An invalidation that brings the new value: other processes drop theirs, loads in flight are detached.
   * @returns whether every tier has it and the others were told. When not, it is too large for a tier, or the backend is full, and the former
   * value is gone there too; or the backend is away, and the others are told later. The tiers that have it serve it
   * @throws {CacheError} also ERR_CACHE_CODEC when a tier cannot encode it: nothing is sent then, and this process forgets the key
   */
  set(key: string, value: V, options: SetOptions = {}): MaybePromise<boolean> {
    this.#checkOpen();
    checkKey(key);
    checkValue(value);
    checkOptions(options, SET_OPTIONS);
    const ttlMs = options.ttlMs === undefined ? this.#policy.ttlMs : checkDurationMs("ttlMs", options.ttlMs);
    // Copied: the entry must fall with the tags that it was given, whatever the caller does with the array afterwards.
    const tags = [...checkTags(options.tags)];
    this.#desk.drop({ kind: "key", key });
    const isKept = this.#l1.set(key, createStoredEntry(value, { now: this.#clock.now(), ttlMs, epoch: this.#marks.epoch, tags }), {
      ttlMs,
    });
    if (this.#desk.hasRemote) return this.#desk.publishSet(key, value, { ttlMs, tags, isKept });
    this.#counters[isKept ? "sets" : "rejectedSets"] += 1;
    return isKept;
  }

  has(key: string): MaybePromise<boolean> {
    this.#checkOpen();
    if (this.#find(key, this.#l1.get(key))?.status === "hit") return true;
    return this.#l2 ? this.#reader.has(this.#l2, key) : false;
  }

  /**
   * Drops the key from this cache's own tiers and detaches its load. Other processes are not told: what their first tiers hold of it they
   * serve until its time to live is over.
   */
  delete(key: string): MaybePromise<boolean> {
    this.#checkOpen();
    const wasHere = this.#find(key, this.#l1.get(key))?.status === "hit";
    this.#desk.drop({ kind: "key", key });
    if (!this.#l2) return wasHere;
    return Promise.resolve(this.#l2.delete(key)).then((wasThere) => wasHere || wasThere);
  }

  getMany(keys: readonly string[]): MaybePromise<Array<V | undefined>> {
    this.#checkOpen();
    return inSlices(keys, (key) => this.get(key));
  }

  setMany(entries: ReadonlyArray<readonly [key: string, value: V]>, options: SetOptions = {}): MaybePromise<boolean[]> {
    this.#checkOpen();
    return inSlices(checkEntries(entries), ([key, value]) => this.set(key, value, options));
  }

  async deleteMany(keys: readonly string[]): Promise<number> {
    this.#checkOpen();
    const answers = await inSlices(keys, (key) => this.delete(key));
    return answers.filter(Boolean).length;
  }

  /**
   * Drops everything from this cache's own tiers and detaches its loads. A shared second tier is one for all: its entries are voided by a mark in
   * its version, and processes on a bus hear of that and empty their first tiers, as after `invalidateAll`. Without a second tier nobody is told.
   */
  clear(): MaybePromise<void> {
    this.#checkOpen();
    this.#desk.drop({ kind: "all" });
    if (this.#l2) return this.#desk.tell({ kind: "all" }).then(() => {});
  }

  /** Entries in the second tier where there is one (a scan), else in the first. */
  size(): MaybePromise<number> {
    this.#checkOpen();
    return this.#l2 ? this.#l2.size() : this.#l1.size();
  }

  invalidate(key: string): Promise<InvalidationResult> {
    return this.#invalidate({ kind: "key", key });
  }

  invalidateTag(tag: string): Promise<InvalidationResult> {
    return this.#invalidate({ kind: "tag", tag });
  }

  invalidateMatching(pattern: string): Promise<InvalidationResult> {
    return this.#invalidate({ kind: "pattern", pattern });
  }

  invalidateAll(): Promise<InvalidationResult> {
    return this.#invalidate({ kind: "all" });
  }

  /** Whether invalidations may be missed unnoticed now: what is served may then be as old as `maxStalenessMs` or the time to live. */
  get isDegraded(): boolean {
    return this.#proof.isLost;
  }

  /**
   * The load that a read of the key would join now, by the object that its loader was given as `cancellation`; `undefined` when it would
   * start one of its own. For those who tell a value while it is being made, such as a stream.
   */
  loading(key: string): AbortSignalLike | undefined {
    return this.#flights.cancellationOf(key);
  }

  /** Resolves when the bus has proven itself once; at once without one. @throws {CacheError} ERR_CACHE_CLOSED when closed before */
  async ready(): Promise<void> {
    this.#checkOpen();
    await this.#desk.ready();
  }

  stats(): CacheStats {
    const l1 = this.#l1.stats();
    const { evictions, expirations } = l1;
    const counters = { ...this.#counters, evictions, expirations };
    return snapshotStats(counters, {
      degradedMs: this.#proof.degradedMs,
      isDegraded: this.#proof.isLost,
      entries: l1.entries,
      bytes: l1.bytes,
      tiers: this.#l2 ? { l1, l2: this.#l2.stats() } : { l1 },
    });
  }

  /**
   * Cancels loads in flight, waits for writes and invalidations on their way, sends what is pending once more, leaves the bus. The tiers and the bus
   * stay open: they were handed in.
   */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The whole check of the hot path: in time, nothing invalidated since, proof fresh. Nothing passes it after `close`. */
  #isPlainHit(entry: StoredEntry<V>): boolean {
    const now = this.#clock.now();
    return now < entry.staleAt && entry.epoch === this.#marks.epoch && now <= this.#proof.servableUntil;
  }

  /** Judges an entry of the first tier in full. */
  #find(key: string, entry: StoredEntry<V> | undefined): Servable<V> | undefined {
    this.#checkOpen();
    return this.#reader.find(key, entry);
  }

  /** Counts a read by what it is answered with. */
  #countRead(found: Servable<V> | undefined): void {
    this.#counters[found ? "hits" : "misses"] += 1;
    if (found?.status === "stale") this.#counters.staleHits += 1;
  }

  /** What `getOrSet` does beside a plain hit: apart, so that a hit is small enough to be compiled into its caller. */
  #getOrLoad(
    key: string,
    entry: StoredEntry<V> | undefined,
    loader: Loader<V>,
    options: GetOrSetOptions | undefined,
  ): MaybePromise<V | undefined> {
    const policy = toCallPolicy(this.#policy, options);
    const found = this.#find(key, entry);
    checkFunction("loader", loader);
    const now = this.#clock.now();
    if (found && !policy.forceRefresh) {
      const { status, entry: current } = found;
      if (status === "hit") {
        this.#counters.hits += 1;
        if (isRefreshDue(current, now, policy.earlyRefresh, this.#random))
          this.#flights.refreshBehind(key, loader, policy, "early", current);
        return current.value;
      }
      if (now < current.staleAt + policy.staleWhileRevalidateMs) {
        this.#countRead(found);
        this.#flights.refreshBehind(key, loader, policy, "stale", current);
        return current.value;
      }
    }
    return this.#flights.load(key, loader, policy, found?.entry);
  }

  #invalidate(target: InvalidationTarget): Promise<InvalidationResult> {
    return this.#closing ? Promise.reject(wasClosed()) : this.#desk.invalidate(target);
  }

  async #shutDown(): Promise<void> {
    this.#proof.stop();
    // First: who waits for a load must not wait for a backend that hangs, and what ends with it gives its lease back, which is a write like the others.
    this.#flights.abort(new CacheError("ERR_CACHE_CLOSED", "the cache was closed while the load ran"));
    await this.#desk.drain();
    await this.#writes.settled();
    this.#desk.leave();
  }

  #checkOpen(): void {
    if (this.#closing) throw wasClosed();
  }
}

function wasClosed(): CacheError {
  return new CacheError("ERR_CACHE_CLOSED", "the cache has been closed");
}
