import {
  CacheError,
  type CacheStats,
  type Clock,
  checkDurationMs,
  checkKey,
  checkTags,
  createCounters,
  describeValue,
  type Lookup,
  type MutableCounters,
  type SetOptions,
  type SyncCache,
  snapshotStats,
} from "@larder/cache-core";
import { type CacheDump, checkDump, isDumpedEntry } from "./cache-dump.ts";
import { closedIndex } from "./closed-index.ts";
import { createKeyIndex } from "./create-key-index.ts";
import { EntryColumns } from "./entry-columns.ts";
import { afterHit, CARE, COUNT_MASK, HOT, NEEDS_CARE, SAMPLED } from "./entry-state.ts";
import { EvictionPolicy } from "./eviction-policy.ts";
import type { KeyIndex } from "./key-index.ts";
import { type MemoryCacheOptions, type ResolvedOptions, resolveOptions } from "./options.ts";
import { type RemovalCause, RemovalNotifier } from "./removal.ts";
import { readValue, storeValue } from "./value-mode.ts";

/** Slots looked at by each `set` for entries past their time, once any entry has one. Two a set: the sweep outruns the inserts. */
const SLOTS_PER_SWEEP = 2;

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
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #removals: RemovalNotifier<V>;
  readonly #counters: MutableCounters = createCounters();
  /** Reads that hit: apart from the other counters, since every read writes it. */
  #hits = 0;
  /** New entries: with the hits, the policy's measure of time. */
  #insertions = 0;
  #size = 0;
  #bytes = 0;
  #sweepHand = 0;

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION when an option is out of range, or none bounds the cache */
  constructor(options: MemoryCacheOptions<V> = {}) {
    this.#options = resolveOptions(options);
    const { maxEntries, maxBytes, sizeOf, clock, name, onRemoved } = this.#options;
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
    this.#clock = clock;
    this.#columns = new EntryColumns(maxEntries, sizeOf !== undefined, clock.now());
    const index = createKeyIndex(this.#options, this.#columns);
    this.#index = index;
    this.#map = index.map;
    this.#isShared = this.#options.values === "shared";
    this.#special = this.#isShared ? SAMPLED : NEEDS_CARE;
    this.#policy = new EvictionPolicy(this.#columns, index);
    this.#removals = new RemovalNotifier(name, onRemoved);
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
      remainingMs: this.#deadlineOf(slot) - now,
    };
  }

  /**
   * As the contract has it. `tags` are ignored: a store by itself has no invalidation by tag, `TieredCache` has.
   * @throws {CacheError} also ERR_CACHE_CODEC when a value must be cloned and cannot be
   */
  set(key: string, value: V, options?: SetOptions): boolean {
    checkKey(key);
    if (options?.tags !== undefined) checkTags(options.tags);
    if (this.#map === undefined) this.#index.check?.(key);
    if (value === undefined) throw invalid("value", "anything but undefined, which is the miss", value);
    const ttlMs = options?.ttlMs === undefined ? this.#options.ttlMs : checkDurationMs("ttlMs", options.ttlMs);
    const isStored = this.#store(key, value, ttlMs);
    this.#removals.flush();
    return isStored;
  }

  has(key: string): boolean {
    const slot = this.#find(key);
    return slot !== undefined && !this.#isExpired(slot);
  }

  delete(key: string): boolean {
    const slot = this.#find(key);
    if (slot === undefined) return false;
    const isLive = !this.#isExpired(slot);
    this.#remove(slot, isLive ? "explicit" : "expired");
    this.#removals.flush();
    return isLive;
  }

  getMany(keys: readonly string[]): Array<V | undefined> {
    this.#checkOpen();
    return keys.map((key) => this.get(key));
  }

  setMany(entries: ReadonlyArray<readonly [key: string, value: V]>, options?: SetOptions): boolean[] {
    this.#checkOpen();
    return entries.map(([key, value]) => this.set(key, value, options));
  }

  deleteMany(keys: readonly string[]): number {
    this.#checkOpen();
    let deleted = 0;
    for (const key of keys) if (this.delete(key)) deleted += 1;
    return deleted;
  }

  /** Drops every entry. O(entries). */
  clear(): void {
    this.#index.clear();
    if (this.#removals.isHeard) this.#tellAll();
    this.#columns.clear();
    this.#policy.clear();
    this.#size = 0;
    this.#bytes = 0;
    this.#removals.flush();
  }

  /** Entries held now, those included whose time is over and that no read or sweep has met yet. O(1). */
  size(): number {
    this.#checkOpen();
    return this.#size;
  }

  /** Also after `close()`. */
  stats(): CacheStats {
    const bytes = this.#options.sizeOf ? this.#bytes : undefined;
    return snapshotStats({ ...this.#counters, hits: this.#hits }, { entries: this.#size, bytes });
  }

  /** The keys of live entries, in no order that means anything. What is set or dropped meanwhile may or may not be seen. */
  *keys(): IterableIterator<string> {
    for (const slot of this.#liveSlots()) yield this.#columns.keys[slot]!;
  }

  /** Keys and values of live entries, as `keys()`. Moves no counter and no eviction order. */
  *entries(): IterableIterator<[key: string, value: V]> {
    for (const slot of this.#liveSlots()) yield [this.#columns.keys[slot]!, this.#valueOf(slot)];
  }

  /** The live entries with their remaining times, to be restored here or in another process. Values as reads give them. */
  dump(): CacheDump<V> {
    const now = this.#clock.now();
    const entries = Array.from(this.#liveSlots(), (slot) => {
      const remainingMs = this.#deadlineOf(slot) - now;
      return {
        key: this.#columns.keys[slot]!,
        value: this.#valueOf(slot),
        ageMs: Math.max(0, now - this.#columns.storedAt(slot)),
        uses: this.#columns.states[slot]! & COUNT_MASK,
        ...(remainingMs === Number.POSITIVE_INFINITY ? {} : { remainingMs }),
      };
    });
    return { format: 1, dumpedAt: this.#clock.wallNow(), entries };
  }

  /**
   * Sets the entries of a dump whose time is not over, as `set` would, bounds included. A wall clock that was set back meanwhile
   * prolongs nothing beyond the time that was left.
   * @returns how many were restored
   * @throws {CacheError} ERR_CACHE_CODEC when it is not a dump
   */
  restore(dump: CacheDump<V>): number {
    const { dumpedAt, entries } = checkDump(dump);
    const elapsedMs = Math.max(0, this.#clock.wallNow() - dumpedAt);
    let restored = 0;
    // The most used last: where not all fit, they are the ones that stay.
    for (const entry of entries.filter(isDumpedEntry).toSorted((one, other) => one.uses - other.uses)) {
      const remainingMs = entry.remainingMs === undefined ? Number.POSITIVE_INFINITY : entry.remainingMs - elapsedMs;
      if (!(remainingMs > 0) || !this.set(entry.key, entry.value, { ttlMs: remainingMs })) continue;
      this.#remember(entry.key, entry.ageMs + elapsedMs, entry.uses);
      restored += 1;
    }
    return restored;
  }

  /** Drops the entries whose time is over. Reads and sets do so little by little; an idle cache can be told to. O(entries). @returns how many */
  removeExpired(): number {
    this.#checkOpen();
    let removed = 0;
    for (let slot = 0; slot < this.#columns.used; slot += 1) if (this.#sweep(slot)) removed += 1;
    this.#removals.flush();
    return removed;
  }

  /** Drops everything; every method but `stats` throws afterwards. */
  close(): void {
    if (this.#index === closedIndex) return;
    this.clear();
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
    return this.#isShared ? columns.values[slot] : this.#valueOf(slot);
  }

  #missExpired(slot: number): undefined {
    this.#counters.misses += 1;
    this.#remove(slot, "expired");
    this.#removals.flush();
  }

  #store(key: string, value: V, ttlMs: number): boolean {
    const { values, sizeOf } = this.#options;
    let held = value;
    let care = ttlMs === Number.POSITIVE_INFINITY ? 0 : CARE;
    if (!this.#isShared) {
      const stored = storeValue(value, values);
      held = stored.value;
      if (stored.isCopied) care = CARE;
    }
    const bytes = sizeOf === undefined ? 0 : this.#measure(sizeOf, held, key);
    if (bytes > this.#maxBytes || bytes === Number.POSITIVE_INFINITY) return this.#refuse(key);
    this.#put(key, held, bytes, ttlMs, care);
    return true;
  }

  /** A value that is too large also ends the one before it. */
  #refuse(key: string): false {
    const former = this.#index.find(key);
    if (former !== undefined) this.#remove(former, "replaced");
    this.#counters.rejectedSets += 1;
    return false;
  }

  /**
   * The key is looked up here, after the caller's own code has run, which may have set or dropped it.
   * @param care the state's bit of that name, or 0
   */
  #put(key: string, value: V, bytes: number, ttlMs: number, care: number): void {
    const map = this.#map;
    const former = map === undefined ? this.#index.find(key) : map.get(key);
    const slot = former === undefined ? this.#insert(key, bytes) : this.#overwrite(former, key, bytes);
    const columns = this.#columns;
    const now = this.#clock.now();
    columns.values[slot] = value;
    columns.stamp(slot, now);
    columns.states[slot] = (columns.states[slot]! & ~CARE) | care;
    this.#counters.sets += 1;
    if (columns.expiresAt === undefined && ttlMs === Number.POSITIVE_INFINITY) return;
    columns.setDeadline(slot, now + ttlMs);
    this.#sweepSome();
  }

  /** Finds the slot for a value of so many bytes: the key's former one, or another where the bytes do not fit. */
  #overwrite(former: number, key: string, bytes: number): number {
    if (this.#fits(former, bytes)) return this.#replace(former, bytes);
    this.#remove(former, this.#isExpired(former) ? "expired" : "replaced");
    return this.#insert(key, bytes);
  }

  /** Brings a key in that is not there, after room was made. @returns its slot */
  #insert(key: string, bytes: number): number {
    const state = this.#policy.count(key);
    const columns = this.#columns;
    const slot = this.#isFull(bytes) ? this.#makeRoom(bytes) : columns.take();
    columns.keys[slot] = key;
    const map = this.#map;
    if (map === undefined) this.#index.add(key, slot);
    else map.set(key, slot);
    this.#size += 1;
    this.#insertions += 1;
    if (bytes !== 0) this.#account(slot, bytes);
    columns.states[slot] = state;
    this.#policy.added(slot);
    return slot;
  }

  #isFull(bytes: number): boolean {
    return this.#size >= this.#maxEntries || this.#bytes + bytes > this.#maxBytes;
  }

  /** Evicts until an entry of so many bytes fits. @returns a slot, empty and nobody's */
  #makeRoom(bytes: number): number {
    let slot = this.#evict();
    while (this.#isFull(bytes)) {
      this.#columns.give(slot);
      slot = this.#evict();
    }
    return slot;
  }

  /** Whether an entry can become so many bytes without another one going. */
  #fits(slot: number, bytes: number): boolean {
    const column = this.#columns.bytes;
    return !column || this.#bytes - column[slot]! + bytes <= this.#options.maxBytes;
  }

  /** A new value in an old place counts as an access. */
  #replace(slot: number, bytes: number): number {
    const isExpired = this.#isExpired(slot);
    if (isExpired) this.#counters.expirations += 1;
    this.#release(slot, isExpired ? "expired" : "replaced");
    this.#account(slot, bytes);
    this.#columns.states[slot] = afterHit[this.#columns.states[slot]!]!;
    return slot;
  }

  /** Drops what the policy chooses. @returns the slot, empty and nobody's */
  #evict(): number {
    const slot = this.#policy.evict(this.#hits, this.#insertions);
    if (this.#isExpired(slot)) {
      this.#counters.expirations += 1;
      this.#empty(slot, "expired");
    } else {
      this.#counters.evictions += 1;
      this.#empty(slot, "size");
    }
    return slot;
  }

  /** Drops an entry for another reason than room. */
  #remove(slot: number, cause: RemovalCause): void {
    if (cause === "expired") this.#counters.expirations += 1;
    this.#empty(slot, cause);
    this.#policy.removed();
  }

  #empty(slot: number, cause: RemovalCause): void {
    this.#release(slot, cause);
    this.#account(slot, 0);
    const columns = this.#columns;
    const key = columns.keys[slot]!;
    const map = this.#map;
    if (map === undefined) this.#index.remove(key);
    else map.delete(key);
    columns.empty(slot);
    this.#size -= 1;
  }

  /** Tells that a value is gone, when somebody wants to know. */
  #release(slot: number, cause: RemovalCause): void {
    if (this.#removals.isHeard) this.#removals.add(this.#columns.keys[slot]!, this.#columns.values[slot]!, cause);
  }

  #tellAll(): void {
    for (let slot = 0; slot < this.#columns.used; slot += 1) if (this.#columns.keys[slot] !== undefined) this.#release(slot, "explicit");
  }

  #measure(sizeOf: (value: V, key: string) => number, value: V, key: string): number {
    const bytes = sizeOf(value, key);
    if (typeof bytes !== "number" || !(bytes >= 0)) throw invalid("what sizeOf returns", "a number of bytes >= 0", bytes);
    return bytes;
  }

  #account(slot: number, bytes: number): void {
    const column = this.#columns.bytes;
    if (!column) return;
    this.#bytes += bytes - column[slot]!;
    column[slot] = bytes;
  }

  #isExpired(slot: number): boolean {
    const { states, expiresAt } = this.#columns;
    return (states[slot]! & CARE) !== 0 && expiresAt !== undefined && expiresAt[slot]! <= this.#clock.now();
  }

  #deadlineOf(slot: number): number {
    const { states, expiresAt } = this.#columns;
    return (states[slot]! & CARE) === 0 || !expiresAt ? Number.POSITIVE_INFINITY : expiresAt[slot]!;
  }

  #valueOf(slot: number): V {
    const value = this.#columns.values[slot]!;
    return (this.#columns.states[slot]! & CARE) === 0 || this.#isShared ? value : readValue(value, this.#options.values);
  }

  *#liveSlots(): IterableIterator<number> {
    this.#checkOpen();
    for (let slot = 0; slot < this.#columns.used; slot += 1) {
      if (this.#columns.keys[slot] !== undefined && !this.#isExpired(slot)) yield slot;
    }
  }

  #sweepSome(): void {
    for (let count = 0; count < SLOTS_PER_SWEEP; count += 1) {
      this.#sweepHand = this.#sweepHand + 1 < this.#columns.used ? this.#sweepHand + 1 : 0;
      this.#sweep(this.#sweepHand);
    }
  }

  /** @returns whether the slot's time was over */
  #sweep(slot: number): boolean {
    if (this.#columns.keys[slot] === undefined || !this.#isExpired(slot)) return false;
    this.#remove(slot, "expired");
    return true;
  }

  #remember(key: string, ageMs: number, uses: number): void {
    const slot = this.#index.find(key);
    if (slot === undefined) return;
    this.#columns.stamp(slot, this.#clock.now() - ageMs);
    this.#columns.states[slot]! |= Math.max(0, Math.min(COUNT_MASK, Math.trunc(uses) || 0));
  }
}

function invalid(name: string, expected: string, value: unknown): CacheError {
  return new CacheError("ERR_CACHE_INVALID_OPTION", `${name} must be ${expected}, got ${describeValue(value)}`);
}
