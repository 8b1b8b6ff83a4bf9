import {
  type BackendCall,
  Budget,
  CacheError,
  type CacheStats,
  type Clock,
  checkDurationMs,
  checkEntries,
  checkKey,
  checkList,
  checkOptions,
  checkTags,
  createCounters,
  type FencedStore,
  type FillOptions,
  type FillOutcome,
  type InvalidationChannel,
  type InvalidationTarget,
  type LeaseOutcome,
  type Lookup,
  matchesGlob,
  type Replacement,
  type Reservation,
  SET_OPTIONS,
  type SetOptions,
  type StoreEntry,
  snapshotStats,
  type Version,
} from "@larder/cache-core";

/** What a `NaiveStore` is made of. */
export interface NaiveStoreOptions {
  /** Where time comes from. */
  readonly clock: Clock;
  /** The cache's name. @default "default" */
  readonly namespace?: string;
  /** Time to live in milliseconds of entries set without one, > 0. @default Infinity */
  readonly ttlMs?: number;
  /** Characters of JSON that a value may have; a larger one is not stored. @default Infinity */
  readonly maxValueLength?: number;
  /**
   * Awaited before each operation takes effect, and again before it is answered: what a network does meanwhile. When it rejects the
   * operation fails as it does when the backend is away; on the way back it has taken effect all the same. @default at once
   */
  readonly travel?: (leg: "request" | "reply", operation: string, key: string | undefined) => Promise<void>;
}

interface NaiveRecord {
  readonly json: string;
  readonly version: Version;
  readonly tags: readonly string[];
  readonly storedAt: number;
  readonly staleAt: number;
  readonly expiresAt: number;
}

/** What all processes see. */
interface Shared {
  readonly records: Map<string, NaiveRecord>;
  readonly leases: Map<string, Lease>;
  /** Everything that was ever invalidated: its place is its sequence number. */
  readonly log: InvalidationTarget[];
  reservations: number;
}

interface Lease {
  readonly token: string;
  readonly waiters: Array<(outcome: LeaseOutcome) => void>;
}

const EPOCH = "00000000000000000000000000000000";

/**
 * The contract of a second tier in the fewest lines, in this process: a `Map` of JSON, a log of all invalidations for a fence, leases. For tests of what is composed of tiers, without a server and with every await in the test's hand. It grows without end.
 */
export class NaiveStore<V> implements FencedStore<V> {
  readonly namespace: string;
  readonly #options: NaiveStoreOptions;
  readonly #ttlMs: number;
  readonly #shared: Shared;
  readonly #counters: ReturnType<typeof createCounters> = createCounters();
  #channel: InvalidationChannel | undefined;
  #isClosed = false;

  /** @param peer another process's view of the same store */
  constructor(options: NaiveStoreOptions, peer?: NaiveStore<V>) {
    this.#options = options;
    this.#shared = peer ? peer.#shared : { records: new Map(), leases: new Map(), log: [], reservations: 0 };
    this.namespace = options.namespace ?? "default";
    this.#ttlMs = checkDurationMs("ttlMs", options.ttlMs ?? Infinity);
  }

  async get(key: string): Promise<V | undefined> {
    const found = await this.#look("get", key);
    this.#countRead(found);
    return found && found.freshMs > 0 ? found.value : undefined;
  }

  async lookup(key: string): Promise<Lookup<V>> {
    const found = await this.#look("lookup", key);
    this.#countRead(found);
    if (!found) return { status: "miss" };
    const { value, ageMs, freshMs } = found;
    return { status: freshMs > 0 ? "hit" : "stale", value, tier: "naive store", ageMs, remainingMs: freshMs };
  }

  async set(key: string, value: V, options: SetOptions = {}): Promise<boolean> {
    this.#checkOpen();
    checkOptions(options, SET_OPTIONS);
    const ttlMs = options.ttlMs === undefined ? this.#ttlMs : checkDurationMs("ttlMs", options.ttlMs);
    const tags = checkTags(options.tags);
    const json = this.#encode(checkKey(key), value);
    return this.#try("set", key, () => this.#replace(key, json, { ttlMs, staleMs: 0, tags }), false);
  }

  async has(key: string): Promise<boolean> {
    const found = await this.#look("has", key);
    return found !== undefined && found.freshMs > 0;
  }

  async delete(key: string): Promise<boolean> {
    this.#checkOpen();
    checkKey(key);
    const drop = (): boolean => {
      const isLive = (this.#find(key)?.freshMs ?? 0) > 0;
      this.#apply({ kind: "key", key });
      return isLive;
    };
    return this.#try("delete", key, drop, false);
  }

  async getMany(keys: readonly string[]): Promise<Array<V | undefined>> {
    this.#checkOpen();
    return Promise.all(checkList("keys", keys).map((key) => this.get(key)));
  }

  async setMany(entries: ReadonlyArray<readonly [key: string, value: V]>, options?: SetOptions): Promise<boolean[]> {
    this.#checkOpen();
    return Promise.all(checkEntries(entries).map(([key, value]) => this.set(key, value, options)));
  }

  async deleteMany(keys: readonly string[]): Promise<number> {
    this.#checkOpen();
    return (await Promise.all(checkList("keys", keys).map((key) => this.delete(key)))).filter(Boolean).length;
  }

  async clear(): Promise<void> {
    this.#checkOpen();
    const target: InvalidationTarget = { kind: "all" };
    await this.#try("clear", undefined, () => this.#tell(target, this.#apply(target)), undefined);
  }

  async size(): Promise<number> {
    this.#checkOpen();
    return [...this.#shared.records.keys()].filter((key) => (this.#find(key)?.freshMs ?? 0) > 0).length;
  }

  stats(): CacheStats {
    return snapshotStats(this.#counters);
  }

  close(): void {
    this.#isClosed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  attach(channel: InvalidationChannel): void {
    this.#channel = channel;
  }

  async read(key: string, _call: BackendCall): Promise<StoreEntry<V> | undefined> {
    const found = await this.#look("read", key);
    this.#countRead(found);
    return found;
  }

  async reserve(key: string, lease: boolean, _call: BackendCall): Promise<Reservation<V> | undefined> {
    this.#shared.reservations += 1;
    const fence = String(this.#shared.reservations);
    const reserve = (): Reservation<V> => {
      const isHeld = this.#shared.leases.has(key);
      if (lease && !isHeld) this.#shared.leases.set(key, { token: fence, waiters: [] });
      const state = !lease ? "none" : isHeld ? "held" : "owned";
      return { key, version: this.#version, fence, lease: state, entry: this.#find(key) };
    };
    const reservation = await this.#try<Reservation<V> | undefined>("reserve", key, reserve, undefined);
    if (!reservation) this.#endLease({ key, fence }, "failed");
    return reservation;
  }

  async fill(reservation: Reservation<V>, value: V, options: FillOptions): Promise<FillOutcome> {
    const { key, version } = reservation;
    const json = this.#encodeLoaded(key, value);
    if (json === undefined) {
      this.#endLease(reservation, "not-stored");
      return "failed";
    }
    const fill = (): FillOutcome => {
      const isOverdue = this.#shared.log.slice(version.seq).some((target) => covers(target, key, options.tags));
      if (isOverdue) this.#counters.rejectedFills += 1;
      const isStored = !isOverdue && this.#store(key, json, version, options);
      this.#endLease(reservation, isStored ? "stored" : "not-stored");
      return isOverdue ? "rejected" : isStored ? "stored" : "failed";
    };
    return this.#try<FillOutcome>("fill", key, fill, "failed").finally(() => this.#endLease(reservation, "failed"));
  }

  async release(reservation: Reservation<V>, outcome: "not-stored" | "failed"): Promise<void> {
    await this.#try("release", reservation.key, () => this.#endLease(reservation, outcome), undefined);
    this.#endLease(reservation, "failed");
  }

  async awaitFill(reservation: Reservation<V>, { signal }: BackendCall): Promise<LeaseOutcome> {
    const lease = this.#shared.leases.get(reservation.key);
    if (!lease) return this.#find(reservation.key) ? "stored" : "failed";
    return new Promise((resolve) => {
      lease.waiters.push(resolve);
      signal?.addEventListener("abort", () => resolve("failed"));
    });
  }

  async replace(key: string, value: V, options: FillOptions, _call: BackendCall): Promise<Replacement> {
    const json = this.#encode(key, value);
    return this.#mustReach("replace", key, async () => {
      const isStored = this.#replace(key, json, options);
      const version = this.#version;
      await this.#tell({ kind: "key", key }, version);
      return { version, isStored };
    });
  }

  async invalidate(target: InvalidationTarget, _call: BackendCall): Promise<Version> {
    const key = target.kind === "key" ? target.key : undefined;
    return this.#mustReach("invalidate", key, () => this.#tell(target, this.#apply(target)));
  }

  get #version(): Version {
    return { epoch: EPOCH, seq: this.#shared.log.length };
  }

  #apply(target: InvalidationTarget): Version {
    this.#counters.invalidations += 1;
    this.#shared.log.push(target);
    for (const [key, { tags }] of this.#shared.records) if (covers(target, key, tags)) this.#shared.records.delete(key);
    // Which loads a tag or a pattern is of, their holders know.
    if (target.kind === "key" || target.kind === "all") this.#voidLeases(target);
    return this.#version;
  }

  async #tell(target: InvalidationTarget, version: Version): Promise<Version> {
    await this.#channel?.invalidate(target, { budget: new Budget(Infinity, this.#options.clock) });
    return version;
  }

  #replace(key: string, json: string, options: FillOptions): boolean {
    return this.#store(key, json, this.#apply({ kind: "key", key }), options);
  }

  #store(key: string, json: string, version: Version, { ttlMs, staleMs, tags }: FillOptions): boolean {
    if (json.length > (this.#options.maxValueLength ?? Infinity)) {
      this.#counters.rejectedSets += 1;
      return false;
    }
    const now = this.#options.clock.now();
    this.#shared.records.set(key, { json, version, tags, storedAt: now, staleAt: now + ttlMs, expiresAt: now + ttlMs + staleMs });
    this.#counters.sets += 1;
    return true;
  }

  #find(key: string): StoreEntry<V> | undefined {
    const record = this.#shared.records.get(key);
    const now = this.#options.clock.now();
    if (!record || now >= record.expiresAt) return undefined;
    const { json, version, tags, storedAt, staleAt, expiresAt } = record;
    return { value: JSON.parse(json) as V, version, tags, ageMs: now - storedAt, freshMs: staleAt - now, remainingMs: expiresAt - now };
  }

  async #look(operation: string, key: string): Promise<StoreEntry<V> | undefined> {
    this.#checkOpen();
    checkKey(key);
    return this.#try(operation, key, () => this.#find(key), undefined);
  }

  #countRead(found: StoreEntry<V> | undefined): void {
    this.#counters[found && found.freshMs > 0 ? "hits" : "misses"] += 1;
  }

  #encode(key: string, value: V): string {
    if (value === undefined) throw new CacheError("ERR_CACHE_INVALID_OPTION", "value must not be undefined");
    const refuse = (): never => {
      throw new CacheError("ERR_CACHE_CODEC", `the value of a key of ${key.length} characters has no JSON`);
    };
    try {
      return (JSON.stringify(value) as string | undefined) ?? refuse();
    } catch {
      return refuse();
    }
  }

  /** A load's value: who loaded has it, and need not hear that the store cannot keep it. */
  #encodeLoaded(key: string, value: V): string | undefined {
    try {
      return this.#encode(key, value);
    } catch {
      this.#counters.errors += 1;
      return undefined;
    }
  }

  /** What is loaded under a lease from before an invalidation will not be stored: nobody need wait for it. */
  #voidLeases(target: InvalidationTarget): void {
    for (const [key, { token }] of [...this.#shared.leases])
      if (covers(target, key, [])) this.#endLease({ key, fence: token }, "not-stored");
  }

  /** Ends a lease that has not ended yet. The one whose end was lost on the way ends as well: that stands for its expiry. */
  #endLease({ key, fence }: Pick<Reservation<V>, "key" | "fence">, outcome: LeaseOutcome): void {
    const lease = this.#shared.leases.get(key);
    if (lease?.token !== fence) return;
    this.#shared.leases.delete(key);
    for (const wake of lease.waiters) wake(outcome);
  }

  async #reach<T>(operation: string, key: string | undefined, act: () => T | Promise<T>): Promise<T> {
    await this.#options.travel?.("request", operation, key);
    const answer = await act();
    await this.#options.travel?.("reply", operation, key);
    return answer;
  }

  async #try<T>(operation: string, key: string | undefined, act: () => T | Promise<T>, otherwise: T): Promise<T> {
    try {
      return await this.#reach(operation, key, act);
    } catch {
      this.#counters.errors += 1;
      return otherwise;
    }
  }

  async #mustReach<T>(operation: string, key: string | undefined, act: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    try {
      return await this.#reach(operation, key, act);
    } catch (cause) {
      this.#counters.errors += 1;
      throw new CacheError("ERR_CACHE_BACKEND", `${operation} did not get through`, { cause });
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new CacheError("ERR_CACHE_CLOSED", "the store has been closed");
  }
}

function covers(target: InvalidationTarget, key: string, tags: readonly string[]): boolean {
  if (target.kind === "key") return target.key === key;
  if (target.kind === "tag") return tags.includes(target.tag);
  return target.kind === "all" || matchesGlob(target.pattern, key);
}
