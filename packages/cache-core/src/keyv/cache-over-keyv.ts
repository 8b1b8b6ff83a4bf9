import type { Cache, Lookup, SetOptions } from "../cache.ts";
import {
  checkDurationMs,
  checkEntries,
  checkFunction,
  checkKey,
  checkList,
  checkOptions,
  checkTags,
  describeValue,
  type OptionNames,
  SET_OPTIONS,
} from "../check-option.ts";
import { type Clock, systemClock } from "../clock.ts";
import { CacheError } from "../errors.ts";
import { type CacheStats, createCounters, type MutableCounters, snapshotStats } from "../stats.ts";

/** The part of a Keyv instance that is used; version 5 or later. */
export interface KeyvLike {
  get(key: string): Promise<unknown>;
  set(key: string, value: unknown, ttl?: number): Promise<unknown>;
  delete(key: string): Promise<boolean>;
  clear(): Promise<void>;
  disconnect?(): Promise<void>;
}

/** How a Keyv stands below larder. */
export interface CacheOverKeyvOptions {
  /** Time to live in milliseconds, > 0; `Infinity` = never expires. A `ttlMs` given to `set` wins. @default Infinity */
  readonly ttlMs?: number;
  /** Names the store in `lookup`. @default "keyv" */
  readonly name?: string;
  /** Where time comes from. @default the machine's */
  readonly clock?: Clock;
}

/** What is stored: so that a null is told from a miss, and age and deadline are known. Times are of the wall clock, since other processes read them. */
interface Envelope {
  readonly value: unknown;
  readonly storedAt: number;
  readonly expiresAt: number | null;
}

const OPTIONS: OptionNames<CacheOverKeyvOptions> = { ttlMs: true, name: true, clock: true };

/** A larder `Cache` over any Keyv store: PostgreSQL, MongoDB, SQLite, etcd. Keyv's errors become misses and are counted. */
export class CacheOverKeyv<V> implements Cache<V> {
  readonly #keyv: KeyvLike;
  readonly #ttlMs: number;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #counters: MutableCounters = createCounters();
  #isClosed = false;

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION for a bad `ttlMs` */
  constructor(keyv: KeyvLike, options: CacheOverKeyvOptions = {}) {
    checkOptions(options, OPTIONS);
    checkFunction("keyv.get", (keyv as KeyvLike | undefined)?.get, " of a Keyv");
    const { ttlMs = Number.POSITIVE_INFINITY, name = "keyv", clock = systemClock } = options;
    this.#keyv = keyv;
    this.#ttlMs = checkDurationMs("ttlMs", ttlMs);
    checkFunction("clock.wallNow", clock?.wallNow, " of a Clock");
    this.#name = name;
    this.#clock = clock;
  }

  async get(key: string): Promise<V | undefined> {
    const found = await this.lookup(key);
    return found.status === "miss" ? undefined : found.value;
  }

  async lookup(key: string): Promise<Lookup<V>> {
    const envelope = await this.#read(key);
    if (!envelope) {
      this.#counters.misses += 1;
      return { status: "miss" };
    }
    this.#counters.hits += 1;
    const now = this.#clock.wallNow();
    return {
      status: "hit",
      value: envelope.value as V,
      tier: this.#name,
      ageMs: Math.max(0, now - envelope.storedAt),
      remainingMs: envelope.expiresAt === null ? Number.POSITIVE_INFINITY : envelope.expiresAt - now,
    };
  }

  async set(key: string, value: V, options: SetOptions = {}): Promise<boolean> {
    this.#checkOpen();
    checkKey(key);
    checkOptions(options, SET_OPTIONS);
    checkTags(options.tags);
    const ttlMs = options.ttlMs === undefined ? this.#ttlMs : checkDurationMs("ttlMs", options.ttlMs);
    if (value === undefined)
      throw new CacheError("ERR_CACHE_INVALID_OPTION", `value must be anything but the miss, got ${describeValue(value)}`);
    const storedAt = this.#clock.wallNow();
    const expires = ttlMs !== Number.POSITIVE_INFINITY;
    const envelope: Envelope = { value, storedAt, expiresAt: expires ? storedAt + ttlMs : null };
    const isStored = await this.#guard<boolean | undefined>(
      async () => (await this.#keyv.set(key, envelope, expires ? Math.ceil(ttlMs) : undefined)) !== false,
      undefined,
    );
    if (isStored) {
      this.#counters.sets += 1;
      return true;
    }
    // Refused: Keyv says so, and says the same where its store has failed. What has thrown is counted as an error already.
    if (isStored === false) this.#counters.rejectedSets += 1;
    // A value that could not be replaced is not the key's any more.
    await this.#guard(() => this.#keyv.delete(key), false);
    return false;
  }

  async has(key: string): Promise<boolean> {
    return (await this.#read(key)) !== undefined;
  }

  async delete(key: string): Promise<boolean> {
    const isLive = (await this.#read(key)) !== undefined;
    const isDeleted = await this.#guard(() => this.#keyv.delete(key), false);
    return isLive && isDeleted;
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
    const deleted = await Promise.all(checkList("keys", keys).map((key) => this.delete(key)));
    return deleted.filter(Boolean).length;
  }

  async clear(): Promise<void> {
    this.#checkOpen();
    await this.#guard(() => this.#keyv.clear(), undefined);
  }

  /** Keyv cannot count. @throws {CacheError} ERR_CACHE_BACKEND always */
  async size(): Promise<number> {
    this.#checkOpen();
    throw new CacheError("ERR_CACHE_BACKEND", "Keyv has no count of its entries: ask the database below it", { retryable: false });
  }

  stats(): CacheStats {
    return snapshotStats(this.#counters);
  }

  /** Leaves the Keyv open: it is the caller's. */
  async close(): Promise<void> {
    this.#isClosed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #read(key: string): Promise<Envelope | undefined> {
    this.#checkOpen();
    checkKey(key);
    const found = await this.#guard(() => this.#keyv.get(key), undefined);
    if (!isEnvelope(found)) return undefined;
    return found.expiresAt !== null && found.expiresAt <= this.#clock.wallNow() ? undefined : found;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new CacheError("ERR_CACHE_CLOSED", "this CacheOverKeyv was closed: make a new one");
  }

  async #guard<T>(call: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await call();
    } catch {
      this.#counters.errors += 1;
      return otherwise;
    }
  }
}

/** Anything else under the key was written by somebody else: a miss. */
function isEnvelope(found: unknown): found is Envelope {
  if (typeof found !== "object" || found === null) return false;
  const { value, storedAt, expiresAt } = found as Partial<Envelope>;
  return value !== undefined && typeof storedAt === "number" && (expiresAt === null || typeof expiresAt === "number");
}
