import {
  type BackendCall,
  CacheError,
  checkDurationMs,
  type FencedStore,
  type FillOptions,
  type FillOutcome,
  type InvalidationChannel,
  type InvalidationTarget,
  KeySpace,
  type LeaseOutcome,
  type Lookup,
  PendingInvalidations,
  type Reservation,
  type SetOptions,
  type StoreEntry,
  type Version,
} from "@larder/cache-core";
import { CallDesk } from "./call-desk.ts";
import { type CallFailure, toCacheError } from "./call-failure.ts";
import type { EncodedEntry } from "./entry-format.ts";
import { EntryReader, type FoundDone } from "./entry-reader.ts";
import { EntryWriter, type Place } from "./entry-writer.ts";
import { IoredisPort } from "./ioredis-port.ts";
import { isWellFormed } from "./is-well-formed.ts";
import { KeySurvey } from "./key-survey.ts";
import { Lane, toText } from "./lane.ts";
import { LEASE_MS, Leases } from "./leases.ts";
import { openClient } from "./open-client.ts";
import { checkClient, type RedisCacheOptions, type RedisCacheSettings, toSettings } from "./options.ts";
import { publishRedisEvent } from "./redis-events.ts";
import type { RedisPort } from "./redis-port.ts";
import { type RedisCacheStats, RedisCounters } from "./redis-stats.ts";
import { heads, reserve } from "./scripts.ts";
import { ValuePipeline } from "./value-pipeline.ts";
import { WakeListener } from "./wake-listener.ts";

/** Keys told apart at most while their writes have not reached Redis; beyond, everything is cleared once it is back. */
const MAX_PENDING = 10_000;
/** Keys remembered while counting, so that one that SCAN gives twice is counted once. */
const MAX_COUNTED_APART = 100_000;

/**
 * A cache in Redis or Valkey (6.2 or later; one server, a Sentinel set, or a cluster), shared by all processes that give it the same name.
 *
 * It never hangs and never fails a reader: every call has a deadline, a breaker stands in front, and trouble is a miss that is counted.
 * Writers learn what happened. It is a cache by itself, and the second tier of a `TieredCache`, which adds read-through.
 *
 * Where to look for what: the bytes of an entry, `entry-format.ts`; what happens in Redis, `scripts.ts`; when an entry is valid,
 * `lane-versions.ts`; when Redis is asked at all, `lane.ts`, `breaker.ts`, `call-desk.ts`; one loader in the fleet, `leases.ts`.
 */
export class RedisCache<V> implements FencedStore<V> {
  readonly namespace: string;
  readonly #settings: RedisCacheSettings<V>;
  readonly #keySpace: KeySpace;
  readonly #port: RedisPort;
  readonly #desk: CallDesk;
  readonly #lanes: readonly Lane[];
  readonly #counters: RedisCounters;
  readonly #values: ValuePipeline<V>;
  readonly #reader: EntryReader<V>;
  readonly #writer: EntryWriter;
  readonly #wakes: WakeListener;
  readonly #leases: Leases;
  readonly #survey: KeySurvey;
  /** Writes of this store that Redis has not acknowledged: their keys read as misses, and are deleted when it is back. */
  readonly #pending: PendingInvalidations;
  /** The lease behind a reservation, as it stands in Redis. */
  readonly #holders: WeakMap<Reservation<V>, string> = new WeakMap();
  readonly #readyWaiters: Set<() => void> = new Set();
  readonly #timeoutMs: number;
  #isClosed = false;

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION naming the option that is out of range */
  constructor(options: RedisCacheOptions<V>) {
    const { port, isCluster } = toPort(options);
    this.#port = port;
    this.#settings = toSettings(options, isCluster);
    const { clock, random, namespace, keyPrefix, lanes, codec, compression, sealing, timeoutMs, writeTimeoutMs } = this.#settings;
    this.namespace = namespace;
    const keySpace = new KeySpace({ namespace, keyPrefix, lanes });
    this.#keySpace = keySpace;
    this.#counters = new RedisCounters(namespace, clock);
    this.#values = new ValuePipeline({ codec, compression, sealing, owner: `${keyPrefix}{${namespace}}` });
    this.#desk = new CallDesk(this.#settings);
    this.#lanes = Array.from({ length: lanes }, (_, index) => this.#createLane(index));
    this.#wakes = new WakeListener(port, clock);
    this.#leases = new Leases({ clock, keySpace, wakes: this.#wakes, timeoutMs: writeTimeoutMs, maxHoldMs: this.#settings.maxLoadMs });
    this.#reader = new EntryReader({ clock, keySpace, values: this.#values, counters: this.#counters });
    const { logLength, isSharded } = this.#settings;
    this.#writer = new EntryWriter({
      clock,
      random,
      keySpace,
      lanes: this.#lanes,
      counters: this.#counters,
      timeoutMs: writeTimeoutMs,
      logLength,
      isSharded,
    });
    this.#survey = new KeySurvey({
      port,
      desk: this.#desk,
      clock,
      keySpace,
      lanes: this.#lanes,
      onSwept: (count) => {
        this.#counters.sweptEntries += count;
      },
    });
    this.#pending = new PendingInvalidations({ clock, limit: MAX_PENDING, send: (target) => this.#dropAgain(target) });
    this.#counters.setDegraded(true);
    this.#timeoutMs = timeoutMs;
    this.#open();
  }

  /** Resolves when every lane was checked and is used; rejects when that is not so within `timeoutMs` milliseconds. Nobody has to wait for it. */
  async ready(timeoutMs = 5_000): Promise<void> {
    const { clock } = this.#settings;
    const giveUpAt = clock.now() + timeoutMs;
    while (!this.#lanes.every((lane) => lane.isOpen)) {
      this.#checkOpen();
      if (clock.now() >= giveUpAt) throw new CacheError("ERR_CACHE_BACKEND", `Redis could not be used within ${timeoutMs} ms`);
      await new Promise<void>((resolve) => {
        this.#readyWaiters.add(resolve);
        clock.setTimer(resolve, Math.min(100, giveUpAt - clock.now()));
      });
      this.#readyWaiters.clear();
    }
  }

  get(key: string): Promise<V | undefined> {
    return this.#find(key, true, (entry) => (entry && entry.freshMs > 0 ? entry.value : undefined));
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

  getMany(keys: readonly string[]): Promise<Array<V | undefined>> {
    // One GET each: they leave in one write, and a cluster has no multi-key read over slots.
    return Promise.all(keys.map((key) => this.get(key)));
  }

  async set(key: string, value: V, options: SetOptions = {}): Promise<boolean> {
    this.#checkOpen();
    if (value === undefined) throw new CacheError("ERR_CACHE_INVALID_OPTION", "value must not be undefined: undefined is the miss");
    const fillOptions: FillOptions = {
      ttlMs: options.ttlMs === undefined ? this.#settings.ttlMs : checkDurationMs("ttlMs", options.ttlMs),
      staleMs: 0,
      tags: options.tags ?? [],
    };
    const entry = this.#values.encode(key, value, fillOptions);
    const place = this.#locate(key);
    if (this.#isTooLarge(entry)) {
      await this.#dropNow(place);
      return false;
    }
    let isStored = false;
    await this.#pending.run({ kind: "key", key }, async () => {
      isStored = (await this.#writer.replace(place, entry, fillOptions, false)).isStored;
    });
    return isStored;
  }

  setMany(entries: ReadonlyArray<readonly [key: string, value: V]>, options: SetOptions = {}): Promise<boolean[]> {
    return Promise.all(entries.map(([key, value]) => this.set(key, value, options)));
  }

  async delete(key: string): Promise<boolean> {
    this.#checkOpen();
    return this.#dropNow(this.#locate(key));
  }

  async deleteMany(keys: readonly string[]): Promise<number> {
    const answers = await Promise.all(keys.map((key) => this.delete(key)));
    return answers.filter(Boolean).length;
  }

  /**
   * Voids every entry of this cache by one mark in each lane: O(1), whatever it holds. Their memory is freed in the background. While Redis
   * is away everything reads as a miss here, and the mark is set when it is back.
   */
  async clear(): Promise<void> {
    this.#checkOpen();
    const target: InvalidationTarget = { kind: "all" };
    await this.#pending.run(target, () => this.#writer.mark(target, "clear"));
    this.#survey.sweepSoon();
  }

  /**
   * Live entries in Redis. Costs a SCAN of the whole database on every master and a look at each entry: for people, not for requests. An
   * estimate while entries come and go.
   * @throws {CacheError} ERR_CACHE_BACKEND when Redis is away
   */
  async size(): Promise<number> {
    this.#checkOpen();
    let count = 0;
    const counted = new Set<string>();
    try {
      for await (const { lane, redisKeys } of this.#survey.pages()) {
        const fresh = redisKeys.filter((redisKey) => !counted.has(redisKey));
        for (const redisKey of fresh) if (counted.size < MAX_COUNTED_APART) counted.add(redisKey);
        count += await this.#countLive(lane, fresh);
      }
    } catch (failure) {
      throw toSurveyError("size", failure);
    }
    return count;
  }

  /**
   * Live entries, in no order. Costs what `size` does, and a read of each value; moves no counter. Entries that come or go meanwhile may be
   * missing or come twice.
   * @throws {CacheError} ERR_CACHE_BACKEND when Redis is away
   */
  async *entries(): AsyncGenerator<readonly [key: string, value: V]> {
    this.#checkOpen();
    try {
      for await (const { lane, redisKeys } of this.#survey.pages()) {
        const keys = redisKeys.map((redisKey) => this.#keyOf(lane, redisKey));
        const found = await Promise.all(keys.map((key) => this.#find(key, false, (entry) => entry)));
        for (const [index, entry] of found.entries()) if (entry && entry.freshMs > 0) yield [keys[index] as string, entry.value];
      }
    } catch (failure) {
      throw toSurveyError("entries", failure);
    }
  }

  stats(): RedisCacheStats {
    const states = this.#lanes.map((lane) => lane.state);
    const breaker = states.includes("open") ? "open" : states.includes("half-open") ? "half-open" : "closed";
    return this.#counters.snapshot({ breaker, inFlight: this.#desk.inFlight });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#survey.close();
    this.#wakes.tellAll("gone");
    await this.#leases.releaseAll((key) => this.#locate(key).lane);
    await this.#pending.flush();
    this.#pending.close();
    for (const lane of this.#lanes) lane.disconnect();
    this.#port.close();
    this.#desk.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // What a tiered cache asks for.

  attach(channel: InvalidationChannel, maxStalenessMs: number): void {
    this.#writer.attach(channel);
    for (const lane of this.#lanes) lane.versions.attach(channel, maxStalenessMs);
  }

  async read(key: string, { budget }: BackendCall): Promise<StoreEntry<V> | undefined> {
    const timeoutMs = Math.min(this.#timeoutMs, budget.leftMs);
    if (timeoutMs <= 0) {
      this.#counters.base.misses += 1;
      this.#counters.fail("read", { kind: "timeout", word: "BUDGET" });
      return undefined;
    }
    return budget.spend(() => this.#find(key, true, (entry) => entry, timeoutMs));
  }

  async reserve(key: string, lease: boolean, call: BackendCall): Promise<Reservation<V> | undefined> {
    const { random, maxLoadMs } = this.#settings;
    const place = this.#locate(key);
    const { lane, name } = place;
    if (this.#isClosed || this.#pending.covers(key)) return undefined;
    const keySpace = this.#keySpace;
    const keys = [keySpace.value(name), keySpace.fence(name), keySpace.lease(name), keySpace.record(lane.index), keySpace.log(lane.index)];
    const deadline = lane.deadline(this.#writer.timeout(call));
    const args = [random.token(), deadline, random.token(), Math.ceil(Math.min(maxLoadMs, 1e12)), lease ? random.token() : "", LEASE_MS];
    try {
      const reply = (await this.#writer.run("reserve", lane, reserve, keys, args, call)) as unknown[];
      return await this.#toReservation(place, reply, call);
    } catch {
      return undefined;
    }
  }

  async fill(reservation: Reservation<V>, value: V, options: FillOptions): Promise<FillOutcome> {
    const place = this.#locate(reservation.key);
    const holder = reservation.lease === "owned" ? (this.#holders.get(reservation) ?? "") : "";
    let entry: EncodedEntry | undefined;
    try {
      entry = this.#values.encode(reservation.key, value, options);
    } catch {
      this.#counters.base.errors += 1;
    }
    if (entry === undefined || this.#isTooLarge(entry)) {
      await this.release(reservation, "not-stored");
      return "failed";
    }
    const outcome = await this.#writer.fill(
      place,
      { version: reservation.version, fence: reservation.fence, lease: holder },
      entry,
      options,
    );
    this.#leases.letGo(reservation.key, holder);
    return outcome;
  }

  async release(reservation: Reservation<V>, outcome: "not-stored" | "failed"): Promise<void> {
    const holder = this.#holders.get(reservation);
    if (reservation.lease !== "owned" || holder === undefined) return;
    await this.#leases.release(this.#locate(reservation.key).lane, this.#locate(reservation.key).name, holder, outcome);
  }

  async awaitFill(reservation: Reservation<V>, call: BackendCall): Promise<LeaseOutcome> {
    const holder = this.#holders.get(reservation);
    if (reservation.lease !== "held" || holder === undefined || this.#isClosed) return "failed";
    const { lane, key, name } = this.#locate(reservation.key);
    const outcome = await this.#leases.wait(lane, name, holder, call.signal);
    if (outcome !== undefined) return outcome;
    // Gone without a word, or its word came before we listened: what it left tells.
    const entry = await this.#find(key, false, (found) => found);
    return entry !== undefined && entry.freshMs > 0 ? "stored" : "failed";
  }

  async replace(key: string, value: V, options: FillOptions, call: BackendCall): Promise<Version> {
    const place = this.#locate(key);
    const entry = this.#values.encode(key, value, options);
    if (this.#isTooLarge(entry)) return this.invalidate({ kind: "key", key }, call);
    this.#counters.base.invalidations += 1;
    return this.#writer.tell(
      () => this.#writer.replace(place, entry, options, true, call).then(({ version }) => version as Version),
      "replace",
    );
  }

  async invalidate(target: InvalidationTarget, call: BackendCall): Promise<Version> {
    this.#checkOpen();
    const version = await this.#writer.invalidate(target, target.kind === "key" ? this.#locate(target.key) : undefined, call);
    if (target.kind === "all") this.#survey.sweepSoon();
    return version;
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
      const done: FoundDone<V> = (entry) => {
        if (isCounted) this.#countRead(entry);
        resolve(pick(entry));
      };
      if (this.#pending.covers(key)) {
        done(undefined);
        return;
      }
      const { lane, name } = this.#locate(key);
      this.#reader.read(lane, key, name, timeoutMs, done);
    });
  }

  #countRead(entry: StoreEntry<V> | undefined): void {
    const { base } = this.#counters;
    if (entry === undefined) base.misses += 1;
    else if (entry.freshMs > 0) base.hits += 1;
    else base.misses += 1;
  }

  #locate(key: string): Place {
    // UTF-8 has no lone surrogates: two keys that differ in them alone would be one in Redis.
    const name = isWellFormed(key) ? key : `\u0000utf16:${Buffer.from(key, "utf16le").toString("hex")}`;
    return { lane: this.#lanes[this.#keySpace.laneOf(name)] as Lane, key, name };
  }

  #keyOf(lane: Lane, redisKey: string): string {
    return toKey(redisKey.slice(`${this.#keySpace.base(lane.index)}v:`.length));
  }

  #isTooLarge(entry: EncodedEntry): boolean {
    if (entry.rest.length <= this.#settings.maxValueBytes) return false;
    this.#counters.base.rejectedSets += 1;
    return true;
  }

  /** Deletes a key. @returns whether a live entry was there; `false` also when nobody knows, and then it reads as a miss until it is gone */
  async #dropNow(place: Place): Promise<boolean> {
    let wasLive = false;
    await this.#pending.run({ kind: "key", key: place.key }, async () => {
      const { record, head } = await this.#writer.drop(place);
      const by = place.lane.versions.fromReply(record);
      wasLive = by !== undefined && head.length > 0 && (await this.#reader.isLive(place.lane, place.key, head, by, this.#timeoutMs));
    });
    return wasLive;
  }

  async #dropAgain(target: InvalidationTarget): Promise<unknown> {
    return target.kind === "key" ? this.#writer.drop(this.#locate(target.key)) : this.#writer.mark(target, "clear");
  }

  async #toReservation({ lane, key, name }: Place, reply: unknown[], call: BackendCall): Promise<Reservation<V> | undefined> {
    const [epoch, seq, clearedAt, taggedAt, patterns, , fence, lease, holder] = reply.slice(0, 9).map(toText);
    const by = lane.versions.fromReply([epoch, seq, clearedAt, taggedAt, patterns]);
    const bytes = reply[10];
    const entry =
      by && Buffer.isBuffer(bytes)
        ? await new Promise<StoreEntry<V> | undefined>((resolve) =>
            this.#reader.open(lane, key, bytes, by, this.#writer.timeout(call), resolve),
          )
        : undefined;
    const reservation: Reservation<V> = {
      key,
      version: { epoch: String(epoch), seq: Number(seq) },
      fence: String(fence),
      lease: lease === "owned" || lease === "held" ? lease : "none",
      entry,
    };
    this.#holders.set(reservation, String(holder));
    if (lease === "owned") this.#leases.hold(lane, name, String(holder));
    return reservation;
  }

  async #countLive(lane: Lane, redisKeys: readonly string[]): Promise<number> {
    if (redisKeys.length === 0) return 0;
    const reply = (await lane.run(heads, [this.#keySpace.record(lane.index), ...redisKeys], [], 1_000)) as unknown[];
    const by = lane.versions.fromReply(reply.slice(0, 5).map(toText));
    if (!by) return 0;
    const live = await Promise.all(
      redisKeys.map((redisKey, index) => {
        const head = reply[index + 6];
        return Buffer.isBuffer(head) && this.#reader.isLive(lane, this.#keyOf(lane, redisKey), head, by, 1_000);
      }),
    );
    return live.filter(Boolean).length;
  }

  #createLane(index: number): Lane {
    const { clock, random, failureThreshold } = this.#settings;
    return new Lane({
      port: this.#port,
      desk: this.#desk,
      keySpace: this.#keySpace,
      index,
      clock,
      random,
      failureThreshold,
      onState: (state) => {
        this.#counters.setDegraded(this.#lanes.some((lane) => !lane.isOpen));
        if (state === "open") this.#wakes.tellAll("look");
        if (state === "closed") {
          for (const wake of this.#readyWaiters) wake();
          void this.#pending.flush();
        }
        publishRedisEvent("redis-state", () => ({ namespace: this.namespace, lane: index, state }));
      },
    });
  }

  #open(): void {
    this.#port.open({
      onUp: () => {
        for (const lane of this.#lanes) lane.connect();
      },
      onDown: () => {
        for (const lane of this.#lanes) lane.disconnect();
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

function closed(): CacheError {
  return new CacheError("ERR_CACHE_CLOSED", "the cache has been closed");
}

function toSurveyError(operation: string, failure: unknown): CacheError {
  return CacheError.is(failure) ? failure : toCacheError(operation, failure as CallFailure);
}

/** The key behind the name that it has in Redis. */
function toKey(name: string): string {
  return name.startsWith("\u0000utf16:") ? Buffer.from(name.slice(7), "hex").toString("utf16le") : name;
}

function toPort<V>({ client, url, port }: RedisCacheOptions<V>): { readonly port: RedisPort; readonly isCluster: boolean } {
  if ([client, url, port].filter((given) => given !== undefined).length !== 1)
    throw new CacheError("ERR_CACHE_INVALID_OPTION", "exactly one of client, url and port must be given");
  if (port) return { port, isCluster: false };
  const opened = client ?? openClient(url as string);
  checkClient(opened);
  return { port: new IoredisPort(opened, client === undefined), isCluster: opened.isCluster };
}
