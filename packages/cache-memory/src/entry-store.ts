import type { Clock, MutableCounters } from "@larder/cache-core";
import { closedIndex } from "./closed-index.ts";
import { createKeyIndex } from "./create-key-index.ts";
import { EntryColumns } from "./entry-columns.ts";
import { afterHit, CARE, COUNT_MASK } from "./entry-state.ts";
import { EvictionPolicy } from "./eviction-policy.ts";
import type { KeyIndex } from "./key-index.ts";
import type { ResolvedOptions } from "./options.ts";
import type { RemovalCause, RemovalNotifier } from "./removal.ts";

/** Slots looked at by each `put` for entries past their time, once any entry has one. Two a `put`: the sweep outruns the inserts. */
const SLOTS_PER_SWEEP = 2;

/** What a store shares with its `MemoryCache`. */
export interface EntryStoreOptions<V> {
  readonly options: ResolvedOptions<V>;
  readonly counters: MutableCounters;
  readonly removals: RemovalNotifier<V>;
}

/**
 * The entries under their keys, within the bounds: brings a value in, makes room for it, and drops what must go. Reads go past it, straight to
 * index and columns. What it drops it notes with the `RemovalNotifier`; the cache tells when its call is over.
 */
export class EntryStore<V> {
  readonly columns: EntryColumns<V>;
  readonly policy: EvictionPolicy;
  #index: KeyIndex;
  /** The index's own `Map`, where it is a single one: spares every write some calls through the interface. */
  #map: Map<string, number> | undefined;
  readonly #clock: Clock;
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #removals: RemovalNotifier<V>;
  readonly #counters: MutableCounters;
  /** New entries: with the hits, the policy's measure of time. */
  #insertions = 0;
  #size = 0;
  #bytes = 0;
  #sweepHand = 0;

  constructor({ options, counters, removals }: EntryStoreOptions<V>) {
    const { maxEntries, maxBytes, sizeOf, clock } = options;
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
    this.#clock = clock;
    this.#counters = counters;
    this.#removals = removals;
    this.columns = new EntryColumns(maxEntries, sizeOf !== undefined, clock.now());
    this.#index = createKeyIndex(options, this.columns);
    this.#map = this.#index.map;
    this.policy = new EvictionPolicy(this.columns, this.#index);
  }

  /** Where the keys are found. Another one after `close`. */
  get index(): KeyIndex {
    return this.#index;
  }

  /** Entries held. */
  get size(): number {
    return this.#size;
  }

  /** Their bytes, where these are counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Stores a value, whose bytes are within the bound. The key is looked up here, after the caller's own code has run, which may have set or dropped it.
   * @param care the state's bit of that name, or 0 @param hits of the cache so far
   */
  put(key: string, value: V, bytes: number, ttlMs: number, care: number, hits: number): void {
    const map = this.#map;
    const former = map === undefined ? this.#index.find(key) : map.get(key);
    const slot = former === undefined ? this.#insert(key, bytes, hits) : this.#overwrite(former, key, bytes, hits);
    const { columns } = this;
    const now = this.#clock.now();
    columns.values[slot] = value;
    columns.stamp(slot, now);
    columns.states[slot] = (columns.states[slot]! & ~CARE) | care;
    this.#counters.sets += 1;
    if (columns.expiresAt === undefined && ttlMs === Infinity) return;
    columns.setDeadline(slot, now + ttlMs);
    this.#sweepSome();
  }

  /** Drops an entry for another reason than room. */
  remove(slot: number, cause: RemovalCause): void {
    if (cause === "expired") this.#counters.expirations += 1;
    this.#empty(slot, cause);
    this.policy.removed();
  }

  /** Drops what is past its time. O(entries), where any has had a time to live. @returns how many */
  sweepAll(): number {
    if (!this.columns.expiresAt) return 0;
    let removed = 0;
    for (let slot = 0; slot < this.columns.used; slot += 1) if (this.#sweep(slot)) removed += 1;
    return removed;
  }

  /** Gives the key's entry an age and uses of before it was stored here. */
  remember(key: string, ageMs: number, uses: number): void {
    const slot = this.#index.find(key);
    if (slot === undefined) return;
    this.columns.stamp(slot, this.#clock.now() - ageMs);
    this.columns.states[slot]! |= Math.max(0, Math.min(COUNT_MASK, Math.trunc(uses) || 0));
  }

  clear(): void {
    this.#index.clear();
    if (this.#removals.isHeard) this.#releaseAll();
    this.#drop();
  }

  /** After `clear`: who looks for a key from now on is told that the cache was closed. What a listener has brought in since is gone, too. */
  close(): void {
    this.#drop();
    this.#index = closedIndex;
    this.#map = undefined;
  }

  #drop(): void {
    this.columns.clear();
    this.policy.clear();
    this.#size = 0;
    this.#bytes = 0;
  }

  /** Finds the slot for a value of so many bytes: the key's former one, or another where the bytes do not fit. */
  #overwrite(former: number, key: string, bytes: number, hits: number): number {
    if (this.#fits(former, bytes)) return this.#replace(former, bytes);
    this.remove(former, this.columns.isExpired(former, this.#clock) ? "expired" : "replaced");
    return this.#insert(key, bytes, hits);
  }

  /** Brings a key in that is not there, after room was made. @returns its slot */
  #insert(key: string, bytes: number, hits: number): number {
    const state = this.policy.count(key);
    const { columns } = this;
    const slot = this.#isFull(bytes) ? this.#makeRoom(bytes, hits) : columns.take();
    columns.keys[slot] = key;
    const map = this.#map;
    if (map === undefined) this.#index.add(key, slot);
    else map.set(key, slot);
    this.#size += 1;
    this.#insertions += 1;
    if (bytes !== 0) this.#account(slot, bytes);
    columns.states[slot] = state;
    this.policy.added(slot);
    return slot;
  }

  #isFull(bytes: number): boolean {
    return this.#size >= this.#maxEntries || this.#bytes + bytes > this.#maxBytes;
  }

  /** Evicts until an entry of so many bytes fits. @returns a slot, empty and nobody's */
  #makeRoom(bytes: number, hits: number): number {
    let slot = this.#evict(hits);
    while (this.#isFull(bytes)) {
      this.columns.give(slot);
      slot = this.#evict(hits);
    }
    return slot;
  }

  /** Whether an entry can become so many bytes without another one going. */
  #fits(slot: number, bytes: number): boolean {
    const column = this.columns.bytes;
    return !column || this.#bytes - column[slot]! + bytes <= this.#maxBytes;
  }

  /** A new value in an old place counts as an access. */
  #replace(slot: number, bytes: number): number {
    const isExpired = this.columns.isExpired(slot, this.#clock);
    if (isExpired) this.#counters.expirations += 1;
    this.#release(slot, isExpired ? "expired" : "replaced");
    this.#account(slot, bytes);
    this.columns.states[slot] = afterHit[this.columns.states[slot]!]!;
    return slot;
  }

  /** Drops what the policy chooses. @returns the slot, empty and nobody's */
  #evict(hits: number): number {
    const slot = this.policy.evict(hits, this.#insertions);
    if (this.columns.isExpired(slot, this.#clock)) {
      this.#counters.expirations += 1;
      this.#empty(slot, "expired");
    } else {
      this.#counters.evictions += 1;
      this.#empty(slot, "size");
    }
    return slot;
  }

  #empty(slot: number, cause: RemovalCause): void {
    this.#release(slot, cause);
    this.#account(slot, 0);
    const { columns } = this;
    const key = columns.keys[slot]!;
    const map = this.#map;
    if (map === undefined) this.#index.remove(key);
    else map.delete(key);
    columns.empty(slot);
    this.#size -= 1;
    // Sums of fractions keep a rest, for which nothing could be evicted.
    if (this.#size === 0) this.#bytes = 0;
  }

  /** Tells that a value is gone, when somebody wants to know. */
  #release(slot: number, cause: RemovalCause): void {
    if (this.#removals.isHeard) this.#removals.add(this.columns.keys[slot]!, this.columns.values[slot]!, cause);
  }

  #releaseAll(): void {
    for (let slot = 0; slot < this.columns.used; slot += 1) if (this.columns.keys[slot] !== undefined) this.#release(slot, "explicit");
  }

  #account(slot: number, bytes: number): void {
    const column = this.columns.bytes;
    if (!column) return;
    this.#bytes += bytes - column[slot]!;
    column[slot] = bytes;
  }

  #sweepSome(): void {
    for (let count = 0; count < SLOTS_PER_SWEEP; count += 1) {
      this.#sweepHand = this.#sweepHand + 1 < this.columns.used ? this.#sweepHand + 1 : 0;
      this.#sweep(this.#sweepHand);
    }
  }

  /** @returns whether the slot's time was over */
  #sweep(slot: number): boolean {
    if (this.columns.keys[slot] === undefined || !this.columns.isExpired(slot, this.#clock)) return false;
    this.remove(slot, "expired");
    return true;
  }
}
