import {
  type CacheStats,
  type Clock,
  checkDurationMs,
  checkEntries,
  checkKey,
  checkList,
  checkOptions,
  checkTags,
  checkValue,
  createCounters,
  type Lookup,
  type MutableCounters,
  SET_OPTIONS,
  type SetOptions,
  type SyncCache,
  snapshotStats,
} from "@larder/cache-core";
import { type CacheDump, restorableEntries } from "./cache-dump.ts";
import { closedIndex } from "./closed-index.ts";
import type { EntryColumns } from "./entry-columns.ts";
import { afterHit, CARE, HOT, NEEDS_CARE, SAMPLED } from "./entry-state.ts";
import { EntryStore } from "./entry-store.ts";
import type { EvictionPolicy } from "./eviction-policy.ts";
import type { KeyIndex } from "./key-index.ts";
import { LiveEntries } from "./live-entries.ts";
import { invalid, type MemoryCacheOptions, type ResolvedOptions, resolveOptions } from "./options.ts";
import { RemovalNotifier } from "./removal.ts";
import { storeValue } from "./value-mode.ts";

/**
 * A cache in this process, answering at once: bounded by entries and bytes, with a time to live per entry and an eviction policy that
 * scans do not flush (the essay is in `eviction-policy.ts`). A read costs one lookup in a `Map` and at most one byte written.
 */
export class MemoryCache<V> implements SyncCache<V> {
  #index: KeyIndex;
  /** The index's own `Map`, where it is a single one: spares every read a call through the interface. */
  #map: Map<string, number> | undefined;
  readonly #columns: EntryColumns<V>;
  readonly #policy: EvictionPolicy;
  readonly #clock: Clock;
  readonly #isShared: boolean;
  /** Bits of a state that say more than that the entry has a deadline. */
  readonly #special: number;
  readonly #options: ResolvedOptions<V>;
  readonly #maxBytes: number;
  readonly #removals: RemovalNotifier<V>;
  readonly #entries: EntryStore<V>;
  readonly #live: LiveEntries<V>;
  readonly #counters: MutableCounters = createCounters();
  /** Reads that hit: apart from the other counters, since every read writes it. */
  #hits = 0;

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION when an option is out of range, or none bounds the cache */
  constructor(options: MemoryCacheOptions<V> = {}) {
    this.#options = resolveOptions(options);
    const { maxBytes, clock, name, onRemoved, values } = this.#options;
    this.#maxBytes = maxBytes;
    this.#clock = clock;
    this.#isShared = values === "shared";
    this.#special = this.#isShared ? SAMPLED : NEEDS_CARE;
    this.#removals = new RemovalNotifier(name, onRemoved);
    this.#entries = new EntryStore({ options: this.#options, counters: this.#counters, removals: this.#removals });
    this.#columns = this.#entries.columns;
    this.#policy = this.#entries.policy;
    this.#index = this.#entries.index;
    this.#map = this.#index.map;
    this.#live = new LiveEntries(this.#columns, clock, values);
  }

  get(key: string): V | undefined {
    const map = this.#map;
    const slot = map === undefined ? this.#find(key) : map.get(key);
    if (slot === undefined) {
      // Here and not before: what is no string is never found.
      if (typeof key !== "string") checkKey(key);
      this.#counters.misses += 1;
      return undefined;
    }
    const columns = this.#columns;
    const state = columns.states[slot]!;
    if ((state & NEEDS_CARE) !== 0 && !this.#isPlain(slot, state)) return this.#getWithCare(slot, state);
    if ((state & HOT) !== HOT) columns.states[slot] = afterHit[state]!;
    this.#hits += 1;
    return columns.values[slot];
  }

  lookup(key: string): Lookup<V> {
    const slot = this.#find(key);
    const value = this.get(key);
    if (slot === undefined || value === undefined) return { status: "miss" };
    const now = this.#clock.now();
    return {
      status: "hit",
      value,
      tier: this.#options.name,
      ageMs: Math.max(0, now - this.#columns.storedAt(slot)),
      remainingMs: this.#columns.deadlineOf(slot) - now,
    };
  }

  /**
   * As the contract has it. `tags` are ignored: a store by itself has no invalidation by tag, `TieredCache` has.
   * @throws {CacheError} also ERR_CACHE_CODEC when a value must be cloned and cannot be
   */
  set(key: string, value: V, options?: SetOptions): boolean {
    checkKey(key);
    if (this.#map === undefined) this.#index.check?.(key);
    checkValue(value);
    const ttlMs = options === undefined ? this.#options.ttlMs : this.#timeToLive(options);
    const isStored = this.#store(key, value, ttlMs);
    this.#removals.flush();
    return isStored;
  }

  has(key: string): boolean {
    const slot = this.#find(key);
    return slot !== undefined && !this.#columns.isExpired(slot, this.#clock);
  }

  delete(key: string): boolean {
    const slot = this.#find(key);
    if (slot === undefined) return false;
    const isLive = !this.#columns.isExpired(slot, this.#clock);
    this.#entries.remove(slot, isLive ? "explicit" : "expired");
    this.#removals.flush();
    return isLive;
  }

  getMany(keys: readonly string[]): Array<V | undefined> {
    this.#checkOpen();
    return checkList("keys", keys).map((key) => this.get(key));
  }

  setMany(entries: ReadonlyArray<readonly [key: string, value: V]>, options?: SetOptions): boolean[] {
    this.#checkOpen();
    return checkEntries(entries).map(([key, value]) => this.set(key, value, options));
  }

  deleteMany(keys: readonly string[]): number {
    this.#checkOpen();
    let deleted = 0;
    for (const key of checkList("keys", keys)) if (this.delete(key)) deleted += 1;
    return deleted;
  }

  /** Drops every entry. O(entries). */
  clear(): void {
    this.#checkOpen();
    this.#entries.clear();
    this.#removals.flush();
  }

  /**
   * Live entries: what is past its time is dropped first. O(1) while none has had a time to live, else O(entries); `stats().entries` is what is held,
   * swept or not, and always O(1).
   */
  size(): number {
    this.removeExpired();
    return this.#entries.size;
  }

  /** Also after `close()`. */
  stats(): CacheStats {
    const bytes = this.#options.sizeOf ? this.#entries.bytes : undefined;
    return snapshotStats({ ...this.#counters, hits: this.#hits }, { entries: this.#entries.size, bytes });
  }

  /** The keys of live entries, in no order that means anything. What is set or dropped meanwhile may or may not be seen. */
  *keys(): IterableIterator<string> {
    this.#checkOpen();
    yield* this.#live.keys();
  }

  /** Keys and values of live entries, as `keys()`. Moves no counter and no eviction order. */
  *entries(): IterableIterator<[key: string, value: V]> {
    this.#checkOpen();
    yield* this.#live.entries();
  }

  /** The live entries with their remaining times, to be restored here or in another process. Values as reads give them. */
  dump(): CacheDump<V> {
    this.#checkOpen();
    return this.#live.dump();
  }

  /**
   * Sets the entries of a dump whose time is not over, as `set` would, bounds included. A wall clock that was set back meanwhile
   * prolongs nothing beyond the time that was left.
   * @returns how many were restored
   * @throws {CacheError} ERR_CACHE_CODEC when it is not a dump
   */
  restore(dump: CacheDump<V>): number {
    let restored = 0;
    for (const { key, value, ttlMs, ageMs, uses } of restorableEntries(dump, this.#clock.wallNow())) {
      if (!this.set(key, value, { ttlMs })) continue;
      this.#entries.remember(key, ageMs, uses);
      restored += 1;
    }
    return restored;
  }

  /** Drops the entries whose time is over. Reads and sets do so little by little; an idle cache can be told to. O(entries). @returns how many */
  removeExpired(): number {
    this.#checkOpen();
    const removed = this.#entries.sweepAll();
    this.#removals.flush();
    return removed;
  }

  /** Drops everything; every method but `stats` throws afterwards. */
  close(): void {
    if (this.#index === closedIndex) return;
    this.clear();
    this.#entries.close();
    this.#index = closedIndex;
    this.#map = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The slot of what may be no string: the indexes other than a `Map` look into it. */
  #find(key: string): number | undefined {
    if (typeof key !== "string") checkKey(key);
    return this.#index.find(key);
  }

  #checkOpen(): void {
    this.#index.find("");
  }

  /** Whether an entry that has a deadline is before it, and that is all there is to see. */
  #isPlain(slot: number, state: number): boolean {
    const { expiresAt } = this.#columns;
    return (state & this.#special) === 0 && expiresAt !== undefined && expiresAt[slot]! > this.#clock.now();
  }

  /** The read of an entry whose hit is more than one byte. */
  #getWithCare(slot: number, state: number): V | undefined {
    const columns = this.#columns;
    const { expiresAt } = columns;
    if ((state & CARE) !== 0 && expiresAt !== undefined && expiresAt[slot]! <= this.#clock.now()) return this.#missExpired(slot);
    if ((state & HOT) !== HOT) columns.states[slot] = afterHit[state]!;
    this.#hits += 1;
    if ((state & SAMPLED) !== 0) this.#policy.sampled(slot);
    return this.#isShared ? columns.values[slot] : this.#live.valueOf(slot);
  }

  #missExpired(slot: number): undefined {
    this.#counters.misses += 1;
    this.#entries.remove(slot, "expired");
    this.#removals.flush();
  }

  #timeToLive(options: SetOptions): number {
    checkOptions(options, SET_OPTIONS);
    checkTags(options.tags);
    return options.ttlMs === undefined ? this.#options.ttlMs : checkDurationMs("ttlMs", options.ttlMs);
  }

  #store(key: string, value: V, ttlMs: number): boolean {
    const { values, sizeOf } = this.#options;
    let held = value;
    let care = ttlMs === Infinity ? 0 : CARE;
    if (!this.#isShared) {
      const stored = storeValue(value, values);
      held = stored.value;
      if (stored.isCopied) care = CARE;
    }
    const bytes = sizeOf === undefined ? 0 : this.#measure(sizeOf, held, key);
    if (bytes > this.#maxBytes || bytes === Infinity) return this.#refuse(key);
    this.#entries.put(key, held, bytes, ttlMs, care, this.#hits);
    return true;
  }

  /** A value that is too large also ends the one before it. */
  #refuse(key: string): false {
    const former = this.#index.find(key);
    if (former !== undefined) this.#entries.remove(former, "replaced");
    this.#counters.rejectedSets += 1;
    return false;
  }

  #measure(sizeOf: (value: V, key: string) => number, value: V, key: string): number {
    const bytes = sizeOf(value, key);
    if (typeof bytes !== "number" || !(bytes >= 0)) throw invalid("what sizeOf returns", "a number of bytes >= 0", bytes);
    return bytes;
  }
}
