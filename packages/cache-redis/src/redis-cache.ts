import {
  type BackendCall,
  Budget,
  CacheError,
  checkDurationMs,
  checkEntries,
  checkKey,
  checkOptions,
  checkTags,
  checkValue,
  type FencedStore,
  type FillOptions,
  type FillOutcome,
  type InvalidationChannel,
  type InvalidationTarget,
  inSlices,
  type LeaseOutcome,
  type Lookup,
  type Replacement,
  type Reservation,
  SET_OPTIONS,
  type SetOptions,
  type StoreEntry,
  type Version,
} from "@larder/cache-core";
import type { BreakerState } from "./breaker.ts";
import { type CallFailure, toCacheError } from "./call-failure.ts";
import { BODY_START } from "./entry-format.ts";
import type { EntryReader, FoundDone } from "./entry-reader.ts";
import type { RedisCacheOptions } from "./options.ts";
import { publishRedisEvent } from "./redis-events.ts";
import { assembleParts, type RedisParts } from "./redis-parts.ts";
import type { RedisCacheStats } from "./redis-stats.ts";
import { tellApart } from "./tell-apart.ts";

/** How much of a call's budget its read may take. The rest is for the reservation: without one it loads what another process is loading, and stores nothing. */
const READ_SHARE = 0.8;

/**
 * A cache in Redis or Valkey (6.2 or later; one server, a Sentinel set, or a cluster), shared by all processes that give it the same name.
 *
 * It never hangs and never fails a reader: every call has a deadline, a breaker stands in front, and trouble is a miss that is counted.
 * Writers learn what happened. It is a cache by itself, and the second tier of a `TieredCache`, which adds read-through.
 *
 * Where to look for what: the bytes of an entry, `entry-format.ts`; what happens in Redis, `scripts.ts`; when an entry is valid,
 * `lane-versions.ts`; when Redis is asked at all, `lane.ts`, `breaker.ts`, `call-desk.ts`; one loader in the fleet, `reservations.ts`,
 * `leases.ts` and `lane-vigil.ts`; what goes through all keys, `entry-census.ts` and `sweeper.ts`.
 */
export class RedisCache<V> implements FencedStore<V> {
  readonly namespace: string;
  readonly #parts: RedisParts<V>;
  #isClosed = false;

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION naming the option that is out of range */
  constructor(options: RedisCacheOptions<V>) {
    this.#parts = assembleParts(options, (lane, state) => this.#observe(lane, state));
    const { settings, counters } = this.#parts;
    this.namespace = settings.namespace;
    counters.setDegraded(true);
    this.#open();
  }

  /**
   * Resolves when every lane was checked and is used; rejects when that is not so within `timeoutMs` milliseconds: 0 = unless it is so now,
   * `Infinity` = never. Nobody has to wait for it.
   * @throws {CacheError} ERR_CACHE_BACKEND when the time is over; ERR_CACHE_INVALID_OPTION for anything but a number >= 0; ERR_CACHE_CLOSED after close()
   */
  ready(timeoutMs = 5_000): Promise<void> {
    return this.#parts.lanes.ready(timeoutMs, () => this.#checkOpen());
  }

  get(key: string): Promise<V | undefined> {
    return this.#find(key, 0, toFreshValue);
  }

  lookup(key: string): Promise<Lookup<V>> {
    return this.#find(key, -Infinity, (entry) => {
      if (!entry) return { status: "miss" };
      const { value, ageMs, freshMs } = entry;
      return { status: freshMs > 0 ? "hit" : "stale", value, tier: "redis", ageMs, remainingMs: freshMs };
    });
  }

  has(key: string): Promise<boolean> {
    return this.#find(key, undefined, (entry) => entry !== undefined && entry.freshMs > 0);
  }

  async getMany(keys: readonly string[]): Promise<Array<V | undefined>> {
    this.#checkOpen();
    // Those of one lane leave as MGETs (`read-batch.ts`): a cluster has no multi-key read over slots.
    return inSlices(keys, (key) => this.get(key));
  }

  async set(key: string, value: V, options: SetOptions = {}): Promise<boolean> {
    this.#checkOpen();
    checkValue(value);
    checkOptions(options, SET_OPTIONS);
    const fillOptions: FillOptions = {
      ttlMs: options.ttlMs === undefined ? this.#parts.settings.ttlMs : checkDurationMs("ttlMs", options.ttlMs),
      staleMs: 0,
      tags: checkTags(options.tags),
    };
    const place = this.#parts.lanes.locate(key);
    const entry = this.#parts.values.encode(key, value, fillOptions);
    if (this.#isTooLarge(entry)) {
      await this.#parts.ownWrites.delete(place);
      return false;
    }
    return this.#parts.ownWrites.set(place, entry, fillOptions);
  }

  async setMany(entries: ReadonlyArray<readonly [key: string, value: V]>, options: SetOptions = {}): Promise<boolean[]> {
    this.#checkOpen();
    return inSlices(checkEntries(entries), ([key, value]) => this.set(key, value, options));
  }

  async delete(key: string): Promise<boolean> {
    this.#checkOpen();
    return this.#parts.ownWrites.delete(this.#parts.lanes.locate(key));
  }

  async deleteMany(keys: readonly string[]): Promise<number> {
    this.#checkOpen();
    const answers = await inSlices(keys, (key) => this.delete(key));
    return answers.filter(Boolean).length;
  }

  /**
   * Voids every entry of this cache by one mark in each lane: O(1), whatever it holds. Caches of this name on a bus hear the mark. What the
   * entries take is freed in the background, about 9,000 keys of the database a second where a call takes 0.1 ms, and fewer where it takes
   * longer (`sweeper.ts`). While Redis is away everything reads as a miss here, and the mark is set when it is back; of a cluster, what lives
   * on the shard that is away.
   */
  async clear(): Promise<void> {
    this.#checkOpen();
    await this.#parts.ownWrites.clear();
    await this.#tellApart({ kind: "all" }, { budget: new Budget(this.#parts.settings.writeTimeoutMs, this.#parts.settings.clock) }).catch(
      () => {},
    );
    this.#parts.sweeper.sweepSoon();
  }

  /**
   * Live entries in Redis. Costs a SCAN of the whole database on every master and a look at each entry: for people, not for requests. An
   * estimate while entries come and go.
   * @throws {CacheError} ERR_CACHE_BACKEND when Redis is away
   */
  async size(): Promise<number> {
    this.#checkOpen();
    try {
      return await this.#parts.census.count();
    } catch (failure) {
      throw toSurveyError("size", failure);
    }
  }

  /**
   * Live entries, in no order. Costs what `size` does, and a read of each value; moves no counter. Entries that come or go meanwhile may be
   * missing or come twice.
   * @throws {CacheError} ERR_CACHE_BACKEND when Redis is away
   */
  async *entries(): AsyncGenerator<readonly [key: string, value: V]> {
    this.#checkOpen();
    try {
      for await (const keys of this.#parts.census.keys()) {
        const found = await Promise.all(keys.map((key) => this.#find(key, undefined, asFound)));
        for (const [index, entry] of found.entries()) if (entry && entry.freshMs > 0) yield [keys[index] as string, entry.value];
      }
    } catch (failure) {
      throw toSurveyError("entries", failure);
    }
  }

  stats(): RedisCacheStats {
    return this.#parts.counters.snapshot({ breaker: this.#parts.lanes.state, inFlight: this.#parts.desk.inFlight });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#parts.sweeper.close();
    this.#parts.wakes.tellAll("gone");
    await this.#parts.leases.releaseAll((key) => this.#parts.lanes.locate(key).lane);
    await this.#parts.ownWrites.flush();
    this.#parts.ownWrites.close();
    this.#parts.lanes.disconnect();
    this.#parts.port.close();
    this.#parts.desk.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // What a tiered cache asks for.

  attach(channel: InvalidationChannel, maxStalenessMs: number): void {
    this.#parts.writer.channel = channel;
    for (const lane of this.#parts.lanes.all) lane.versions.attach(channel, maxStalenessMs);
  }

  async read(key: string, { budget }: BackendCall): Promise<StoreEntry<V> | undefined> {
    const timeoutMs = Math.min(this.#parts.settings.timeoutMs, budget.leftMs * READ_SHARE);
    if (timeoutMs <= 0) {
      this.#parts.counters.base.misses += 1;
      this.#parts.counters.fail("read", { kind: "timeout", word: "BUDGET" });
      return undefined;
    }
    return budget.spend(() => this.#find(key, 0, asFound, timeoutMs, this.#parts.tierReader), timeoutMs);
  }

  async reserve(key: string, lease: boolean, call: BackendCall): Promise<Reservation<V> | undefined> {
    const place = this.#parts.lanes.locate(key);
    if (this.#isClosed || this.#parts.ownWrites.covers(key)) return undefined;
    return this.#parts.reservations.take(place, lease, call);
  }

  async fill(reservation: Reservation<V>, value: V, options: FillOptions): Promise<FillOutcome> {
    let entry: Buffer | undefined;
    try {
      entry = this.#parts.values.encode(reservation.key, value, options);
    } catch {
      this.#parts.counters.base.errors += 1;
    }
    if (entry === undefined || this.#isTooLarge(entry)) {
      await this.release(reservation, "not-stored");
      return "failed";
    }
    return this.#parts.reservations.fill(this.#parts.lanes.locate(reservation.key), reservation, entry, options);
  }

  release(reservation: Reservation<V>, outcome: "not-stored" | "failed"): Promise<void> {
    return this.#parts.reservations.release(this.#parts.lanes.locate(reservation.key), reservation, outcome);
  }

  async awaitFill(reservation: Reservation<V>, call: BackendCall): Promise<LeaseOutcome> {
    if (this.#isClosed) return "failed";
    const outcome = await this.#parts.reservations.awaitEnd(this.#parts.lanes.locate(reservation.key), reservation, call.signal);
    if (outcome !== undefined) return outcome;
    // What the lease's holder left tells how it ended.
    const entry = await this.#find(reservation.key, undefined, asFound);
    return entry !== undefined && entry.freshMs > 0 ? "stored" : "failed";
  }

  async replace(key: string, value: V, options: FillOptions, call: BackendCall): Promise<Replacement> {
    this.#checkOpen();
    const place = this.#parts.lanes.locate(key);
    const entry = this.#parts.values.encode(key, value, options);
    if (this.#isTooLarge(entry)) return { version: await this.invalidate({ kind: "key", key }, call), isStored: false };
    this.#parts.counters.base.invalidations += 1;
    const replacement = await this.#parts.writer.tell(() => this.#parts.writer.replace(place, entry, options, call), "replace");
    await this.#tellApart({ kind: "key", key }, call);
    return replacement;
  }

  async invalidate(target: InvalidationTarget, call: BackendCall): Promise<Version> {
    this.#checkOpen();
    const version = await this.#parts.writer.invalidate(
      target,
      target.kind === "key" ? this.#parts.lanes.locate(target.key) : undefined,
      call,
    );
    if (target.kind === "all") this.#parts.sweeper.sweepSoon();
    await this.#tellApart(target, call);
    return version;
  }

  isOnChannel(): boolean {
    return this.#parts.lanes.areOnChannel();
  }

  hasReached(target: InvalidationTarget, key: string): boolean {
    return this.#parts.writer.hasReached(target, this.#parts.lanes.locate(key).lane);
  }

  async #tellApart(target: InvalidationTarget, call: BackendCall): Promise<void> {
    const { writer, lanes, settings } = this.#parts;
    const channel = call.channel ?? writer.channel;
    if (!channel) return;
    // Asked at each write, so of its own lane alone: there may be hundreds.
    const concerned = target.kind === "key" ? [lanes.locate(target.key).lane] : lanes.all;
    await tellApart({ channel, lanes: concerned, target, call, settings });
  }

  /** Finds an entry and answers with what `pick` makes of it. @param hitAboveMs time that a hit has left; `undefined` = not counted */
  #find<T>(
    key: string,
    hitAboveMs: number | undefined,
    pick: (entry: StoreEntry<V> | undefined) => T,
    timeoutMs: number = this.#parts.settings.timeoutMs,
    reader: EntryReader<V> = this.#parts.reader,
  ): Promise<T> {
    if (this.#isClosed) return Promise.reject(closed());
    return new Promise((resolve) => {
      checkKey(key);
      const done: FoundDone<V> = (entry) => {
        if (hitAboveMs !== undefined) this.#countRead(entry?.freshMs ?? Number.NaN, hitAboveMs);
        resolve(pick(entry));
      };
      if (this.#parts.ownWrites.covers(key)) {
        done(undefined);
        return;
      }
      const { lane, name } = this.#parts.lanes.locate(key);
      reader.read(lane, key, name, timeoutMs, done);
    });
  }

  /** @param freshMs NaN for what was not found */
  #countRead(freshMs: number, hitAboveMs: number): void {
    const { base } = this.#parts.counters;
    base[freshMs > hitAboveMs ? "hits" : "misses"] += 1;
    if (freshMs > hitAboveMs && freshMs <= 0) base.staleHits += 1;
  }

  #isTooLarge(entry: Buffer): boolean {
    if (entry.length - BODY_START <= this.#parts.settings.maxValueBytes) return false;
    this.#parts.counters.base.rejectedSets += 1;
    return true;
  }

  #observe(lane: number, state: BreakerState): void {
    this.#parts.counters.setDegraded(!this.#parts.lanes.areOpen);
    if (state === "open") this.#parts.wakes.tellAll("look");
    if (state === "closed") void this.#parts.ownWrites.flush();
    publishRedisEvent("redis-state", () => ({ namespace: this.namespace, lane, state }));
  }

  #open(): void {
    this.#parts.port.open({
      onUp: () => {
        // What is under way a client may have sent again, as a cluster's always does: to a server that no check has seen (found by the simulator).
        this.#parts.desk.endAll();
        this.#parts.lanes.connect();
      },
      onDown: () => {
        this.#parts.lanes.disconnect();
        this.#parts.desk.drop();
      },
      onMessage: (channel, text) => this.#parts.wakes.tell(channel, text),
      onSubscriptionsLost: () => this.#parts.wakes.tellAll("look"),
    });
  }

  #checkOpen(): void {
    if (this.#isClosed) throw closed();
  }
}

function toFreshValue<V>(entry: StoreEntry<V> | undefined): V | undefined {
  return entry && entry.freshMs > 0 ? entry.value : undefined;
}

function asFound<V>(entry: StoreEntry<V> | undefined): StoreEntry<V> | undefined {
  return entry;
}

function closed(): CacheError {
  return new CacheError("ERR_CACHE_CLOSED", "the cache has been closed");
}

function toSurveyError(operation: string, failure: unknown): CacheError {
  return CacheError.is(failure) ? failure : toCacheError(operation, failure as CallFailure);
}
