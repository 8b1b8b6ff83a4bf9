import {
  type BackendCall,
  Budget,
  CacheError,
  checkDurationMs,
  checkKey,
  checkOptions,
  checkTags,
  type FencedStore,
  type FillOptions,
  type FillOutcome,
  type InvalidationChannel,
  type InvalidationTarget,
  inSlices,
  KeySpace,
  type LeaseOutcome,
  type Lookup,
  type Replacement,
  type Reservation,
  type SetOptions,
  type StoreEntry,
  type Version,
} from "@larder/cache-core";
import type { BreakerState } from "./breaker.ts";
import { CallDesk } from "./call-desk.ts";
import { type CallFailure, toCacheError } from "./call-failure.ts";
import { EntryCensus } from "./entry-census.ts";
import { BODY_START } from "./entry-format.ts";
import { EntryReader, type FoundDone } from "./entry-reader.ts";
import { EntryWriter } from "./entry-writer.ts";
import { KeySurvey } from "./key-survey.ts";
import { LaneVigil } from "./lane-vigil.ts";
import { Lanes } from "./lanes.ts";
import { Leases } from "./leases.ts";
import { type RedisCacheOptions, type RedisCacheSettings, toSettings } from "./options.ts";
import { OwnWrites } from "./own-writes.ts";
import { planPort } from "./plan-port.ts";
import { publishRedisEvent } from "./redis-events.ts";
import type { RedisPort } from "./redis-port.ts";
import { type RedisCacheStats, RedisCounters } from "./redis-stats.ts";
import { Reservations } from "./reservations.ts";
import { Sweeper } from "./sweeper.ts";
import { ValuePipeline } from "./value-pipeline.ts";
import { WakeListener } from "./wake-listener.ts";

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
  readonly #settings: RedisCacheSettings<V>;
  readonly #port: RedisPort;
  readonly #desk: CallDesk;
  readonly #lanes: Lanes;
  readonly #counters: RedisCounters;
  readonly #values: ValuePipeline<V>;
  readonly #reader: EntryReader<V>;
  readonly #writer: EntryWriter;
  readonly #wakes: WakeListener;
  readonly #leases: Leases;
  readonly #reservations: Reservations<V>;
  readonly #census: EntryCensus<V>;
  readonly #sweeper: Sweeper;
  readonly #ownWrites: OwnWrites<V>;
  readonly #timeoutMs: number;
  #channel: InvalidationChannel | undefined;
  #isClosed = false;

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION naming the option that is out of range */
  constructor(options: RedisCacheOptions<V>) {
    const { isCluster, open } = planPort(options);
    const settings = toSettings(options, isCluster);
    const { clock, random, namespace, keyPrefix, timeoutMs, writeTimeoutMs, maxLoadMs } = settings;
    const keySpace = new KeySpace(settings);
    // Nothing throws from here on: what is opened now is closed with the cache.
    const port = open();
    this.namespace = namespace;
    this.#port = port;
    this.#settings = settings;
    this.#timeoutMs = timeoutMs;
    const counters = new RedisCounters(namespace, clock);
    const values = new ValuePipeline({ ...settings, owner: `${keyPrefix}{${namespace}}` });
    const desk = new CallDesk(settings);
    const lanes = new Lanes({ ...settings, port, desk, keySpace, onState: (lane, state) => this.#observe(lane, state) });
    const wakes = new WakeListener(port, clock);
    const vigil = new LaneVigil({ clock, timeoutMs: writeTimeoutMs });
    const leases = new Leases({ clock, keySpace, wakes, vigil, timeoutMs: writeTimeoutMs, maxHoldMs: maxLoadMs });
    const reader = new EntryReader({ clock, keySpace, values, counters });
    const writer = new EntryWriter({ ...settings, keySpace, lanes: lanes.all, counters, timeoutMs: writeTimeoutMs });
    const survey = new KeySurvey({ port, desk, keySpace, lanes: lanes.all });
    this.#counters = counters;
    this.#values = values;
    this.#desk = desk;
    this.#lanes = lanes;
    this.#wakes = wakes;
    this.#leases = leases;
    this.#reader = reader;
    this.#writer = writer;
    this.#reservations = new Reservations({ keySpace, random, reader, writer, leases, maxLoadMs });
    this.#census = new EntryCensus({ survey, keySpace, lanes, reader });
    this.#sweeper = new Sweeper({ survey, clock, keySpace, onSwept: (count) => counters.sweep(count) });
    this.#ownWrites = new OwnWrites({ clock, reader, writer, timeoutMs, locate: (key) => lanes.locate(key) });
    counters.setDegraded(true);
    this.#open();
  }

  /**
   * Resolves when every lane was checked and is used; rejects when that is not so within `timeoutMs` milliseconds: 0 = unless it is so now,
   * `Infinity` = never. Nobody has to wait for it.
   * @throws {CacheError} ERR_CACHE_BACKEND when the time is over; ERR_CACHE_INVALID_OPTION for anything but a number >= 0; ERR_CACHE_CLOSED after close()
   */
  ready(timeoutMs = 5_000): Promise<void> {
    return this.#lanes.ready(timeoutMs, () => this.#checkOpen());
  }

  get(key: string): Promise<V | undefined> {
    return this.#find(key, true, toFreshValue);
  }

  lookup(key: string): Promise<Lookup<V>> {
    return this.#find(key, true, (entry) => {
      if (!entry) return { status: "miss" };
      const { value, ageMs, freshMs } = entry;
      return { status: freshMs > 0 ? "hit" : "stale", value, tier: "redis", ageMs, remainingMs: freshMs };
    });
  }

  has(key: string): Promise<boolean> {
    return this.#find(key, false, (entry) => entry !== undefined && entry.freshMs > 0);
  }

  async getMany(keys: readonly string[]): Promise<Array<V | undefined>> {
    this.#checkOpen();
    // Those of one lane leave as MGETs (`read-batch.ts`): a cluster has no multi-key read over slots.
    return inSlices(keys, (key) => this.get(key));
  }

  async set(key: string, value: V, options: SetOptions = {}): Promise<boolean> {
    this.#checkOpen();
    if (value === undefined) throw new CacheError("ERR_CACHE_INVALID_OPTION", "value must not be undefined: undefined is the miss");
    checkOptions(options);
    const fillOptions: FillOptions = {
      ttlMs: options.ttlMs === undefined ? this.#settings.ttlMs : checkDurationMs("ttlMs", options.ttlMs),
      staleMs: 0,
      tags: checkTags(options.tags),
    };
    const place = this.#lanes.locate(key);
    const entry = this.#values.encode(key, value, fillOptions);
    if (this.#isTooLarge(entry)) {
      await this.#ownWrites.delete(place);
      return false;
    }
    return this.#ownWrites.set(place, entry, fillOptions);
  }

  async setMany(entries: ReadonlyArray<readonly [key: string, value: V]>, options: SetOptions = {}): Promise<boolean[]> {
    this.#checkOpen();
    return inSlices(entries, ([key, value]) => this.set(key, value, options));
  }

  async delete(key: string): Promise<boolean> {
    this.#checkOpen();
    return this.#ownWrites.delete(this.#lanes.locate(key));
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
    await this.#ownWrites.clear();
    await this.#tellApart({ kind: "all" }, { budget: new Budget(this.#settings.writeTimeoutMs, this.#settings.clock) }).catch(() => {});
    this.#sweeper.sweepSoon();
  }

  /**
   * Live entries in Redis. Costs a SCAN of the whole database on every master and a look at each entry: for people, not for requests. An
   * estimate while entries come and go.
   * @throws {CacheError} ERR_CACHE_BACKEND when Redis is away
   */
  async size(): Promise<number> {
    this.#checkOpen();
    try {
      return await this.#census.count();
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
      for await (const keys of this.#census.keys()) {
        const found = await Promise.all(keys.map((key) => this.#find(key, false, asFound)));
        for (const [index, entry] of found.entries()) if (entry && entry.freshMs > 0) yield [keys[index] as string, entry.value];
      }
    } catch (failure) {
      throw toSurveyError("entries", failure);
    }
  }

  stats(): RedisCacheStats {
    return this.#counters.snapshot({ breaker: this.#lanes.state, inFlight: this.#desk.inFlight });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sweeper.close();
    this.#wakes.tellAll("gone");
    await this.#leases.releaseAll((key) => this.#lanes.locate(key).lane);
    await this.#ownWrites.flush();
    this.#ownWrites.close();
    this.#lanes.disconnect();
    this.#port.close();
    this.#desk.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // What a tiered cache asks for.

  attach(channel: InvalidationChannel, maxStalenessMs: number): void {
    this.#channel = channel;
    this.#writer.attach(channel);
    for (const lane of this.#lanes.all) lane.versions.attach(channel, maxStalenessMs);
  }

  async read(key: string, { budget }: BackendCall): Promise<StoreEntry<V> | undefined> {
    const timeoutMs = Math.min(this.#timeoutMs, budget.leftMs);
    if (timeoutMs <= 0) {
      this.#counters.base.misses += 1;
      this.#counters.fail("read", { kind: "timeout", word: "BUDGET" });
      return undefined;
    }
    return budget.spend(() => this.#find(key, true, asFound, timeoutMs));
  }

  async reserve(key: string, lease: boolean, call: BackendCall): Promise<Reservation<V> | undefined> {
    const place = this.#lanes.locate(key);
    if (this.#isClosed || this.#ownWrites.covers(key)) return undefined;
    return this.#reservations.take(place, lease, call);
  }

  async fill(reservation: Reservation<V>, value: V, options: FillOptions): Promise<FillOutcome> {
    let entry: Buffer | undefined;
    try {
      entry = this.#values.encode(reservation.key, value, options);
    } catch {
      this.#counters.base.errors += 1;
    }
    if (entry === undefined || this.#isTooLarge(entry)) {
      await this.release(reservation, "not-stored");
      return "failed";
    }
    return this.#reservations.fill(this.#lanes.locate(reservation.key), reservation, entry, options);
  }

  release(reservation: Reservation<V>, outcome: "not-stored" | "failed"): Promise<void> {
    return this.#reservations.release(this.#lanes.locate(reservation.key), reservation, outcome);
  }

  async awaitFill(reservation: Reservation<V>, call: BackendCall): Promise<LeaseOutcome> {
    if (this.#isClosed) return "failed";
    const outcome = await this.#reservations.awaitEnd(this.#lanes.locate(reservation.key), reservation, call.signal);
    if (outcome !== undefined) return outcome;
    // What the lease's holder left tells how it ended.
    const entry = await this.#find(reservation.key, false, asFound);
    return entry !== undefined && entry.freshMs > 0 ? "stored" : "failed";
  }

  async replace(key: string, value: V, options: FillOptions, call: BackendCall): Promise<Replacement> {
    this.#checkOpen();
    const place = this.#lanes.locate(key);
    const entry = this.#values.encode(key, value, options);
    if (this.#isTooLarge(entry)) return { version: await this.invalidate({ kind: "key", key }, call), isStored: false };
    this.#counters.base.invalidations += 1;
    const replacement = await this.#writer.tell(() => this.#writer.replace(place, entry, options, call), "replace");
    await this.#tellApart({ kind: "key", key }, call);
    return replacement;
  }

  async invalidate(target: InvalidationTarget, call: BackendCall): Promise<Version> {
    this.#checkOpen();
    const version = await this.#writer.invalidate(target, target.kind === "key" ? this.#lanes.locate(target.key) : undefined, call);
    if (target.kind === "all") this.#sweeper.sweepSoon();
    await this.#tellApart(target, call);
    return version;
  }

  isOnChannel(): boolean {
    return this.#lanes.areOnChannel();
  }

  hasReached(target: InvalidationTarget, key: string): boolean {
    return this.#writer.hasReached(target, this.#lanes.locate(key).lane);
  }

  /**
   * Tells a channel that does not hear what the scripts publish: one within this process or this machine, or on another server. Those on it follow
   * at once; it proves nothing all the same where it can be seen to be apart (`isOnChannel`).
   */
  async #tellApart(target: InvalidationTarget, call: BackendCall): Promise<void> {
    const channel = this.#channel;
    if (channel === undefined) return;
    // Asked at each write, so of its own lane alone: there may be hundreds.
    const isHeard = target.kind === "key" ? this.#lanes.locate(target.key).lane.isOnChannel() : this.#lanes.areOnChannel();
    if (channel.lastProofAt === Infinity || !isHeard) await channel.invalidate(target, call);
  }

  /** Finds an entry and answers with what `pick` makes of it. */
  #find<T>(
    key: string,
    isCounted: boolean,
    pick: (entry: StoreEntry<V> | undefined) => T,
    timeoutMs: number = this.#timeoutMs,
  ): Promise<T> {
    if (this.#isClosed) return Promise.reject(closed());
    return new Promise((resolve) => {
      checkKey(key);
      const done: FoundDone<V> = (entry) => {
        if (isCounted) this.#countRead(entry);
        resolve(pick(entry));
      };
      if (this.#ownWrites.covers(key)) {
        done(undefined);
        return;
      }
      const { lane, name } = this.#lanes.locate(key);
      this.#reader.read(lane, key, name, timeoutMs, done);
    });
  }

  #countRead(entry: StoreEntry<V> | undefined): void {
    const { base } = this.#counters;
    if (entry === undefined) base.misses += 1;
    else if (entry.freshMs > 0) base.hits += 1;
    else base.misses += 1;
  }

  #isTooLarge(entry: Buffer): boolean {
    if (entry.length - BODY_START <= this.#settings.maxValueBytes) return false;
    this.#counters.base.rejectedSets += 1;
    return true;
  }

  #observe(lane: number, state: BreakerState): void {
    this.#counters.setDegraded(!this.#lanes.areOpen);
    if (state === "open") this.#wakes.tellAll("look");
    if (state === "closed") void this.#ownWrites.flush();
    publishRedisEvent("redis-state", () => ({ namespace: this.namespace, lane, state }));
  }

  #open(): void {
    this.#port.open({
      onUp: () => this.#lanes.connect(),
      onDown: () => {
        this.#lanes.disconnect();
        this.#desk.drop();
      },
      onMessage: (channel, text) => this.#wakes.tell(channel, text),
      onSubscriptionsLost: () => this.#wakes.tellAll("look"),
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
