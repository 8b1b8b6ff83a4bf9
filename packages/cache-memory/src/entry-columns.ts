import type { Clock } from "@larder/cache-core";
import { CARE } from "./entry-state.ts";

/** Slots made at first where the bound is far away. Doubled as needed. */
const FIRST_SLOTS = 64;
/** Up to this many entries all columns are made at once: growing them later would be a long `set`. */
const PREALLOCATED_SLOTS = 2 ** 21;
/** Ages are kept in 16 bits, in a unit that starts at a millisecond and doubles when they do not fit: exact to a 32 768th of the cache's age. */
const LATEST_STAMP = 0xffff;

/**
 * The entries, a column per field and a slot per entry. An object per entry would cost 40 bytes more each and a pointer chase per hit;
 * columns also let the collector skip everything but keys and values. Columns that only some caches need (deadlines, bytes) are made on
 * first use.
 */
export class EntryColumns<V> {
  keys: Array<string | undefined>;
  values: Array<V | undefined>;
  states: Uint8Array;
  /** Monotonic milliseconds; `undefined` until an entry with a time to live comes in. */
  expiresAt: Float64Array | undefined;
  /** Bytes accounted per entry; `undefined` where bytes are not tracked. */
  bytes: Float64Array | undefined;
  #storedAt: Uint16Array;
  #unitMs = 1;
  /** The last stamp and its instant: many entries are stored at the same one. */
  #stamp = 0;
  #stampedAt = Number.NaN;
  #birthAt: number;
  #free: Uint32Array;
  #freeCount = 0;
  /** Slots below it have been used. */
  #used = 0;
  readonly #maxSlots: number;

  constructor(maxSlots: number, tracksBytes: boolean, now: number) {
    this.#maxSlots = maxSlots;
    const slots = maxSlots <= PREALLOCATED_SLOTS ? maxSlots : FIRST_SLOTS;
    // Filled at once: a hole, or a column of small integers that meets its first double, would make V8 change the kind of the whole array later.
    this.keys = new Array<string | undefined>(slots).fill(undefined);
    this.values = new Array<V | undefined>(slots).fill(undefined);
    this.states = new Uint8Array(slots);
    this.bytes = tracksBytes ? new Float64Array(slots) : undefined;
    this.#storedAt = new Uint16Array(slots);
    this.#free = new Uint32Array(0);
    this.#birthAt = now;
  }

  /** Slots in use are below this number, with gaps where entries were dropped. */
  get used(): number {
    return this.#used;
  }

  /** A slot that holds nothing. */
  take(): number {
    if (this.#freeCount > 0) {
      this.#freeCount -= 1;
      return this.#free[this.#freeCount]!;
    }
    if (this.#used >= this.keys.length) this.#grow();
    this.#used += 1;
    return this.#used - 1;
  }

  /** Empties a slot. It is not used again before it is given back. */
  empty(slot: number): void {
    this.keys[slot] = undefined;
    this.values[slot] = undefined;
    this.states[slot] = 0;
  }

  /** Keeps an emptied slot for the next `take`. */
  give(slot: number): void {
    if (this.#freeCount >= this.#free.length) this.#free = enlarge(this.#free, Math.max(FIRST_SLOTS, 2 * this.#freeCount));
    this.#free[this.#freeCount] = slot;
    this.#freeCount += 1;
  }

  /** Notes when the entry was stored. */
  stamp(slot: number, now: number): void {
    if (now !== this.#stampedAt) this.#takeStamp(now);
    this.#storedAt[slot] = this.#stamp;
  }

  /** When the entry was stored, in monotonic milliseconds: not later than it really was. */
  storedAt(slot: number): number {
    return this.#birthAt + this.#storedAt[slot]! * this.#unitMs;
  }

  /** Sets a deadline in monotonic milliseconds. */
  setDeadline(slot: number, expiresAt: number): void {
    // Entries that were there before may be marked for care without a deadline, since their values are copied.
    this.expiresAt ??= new Float64Array(this.keys.length).fill(Infinity, 0, this.#used);
    this.expiresAt[slot] = expiresAt;
  }

  /** When the entry's time is over, in monotonic milliseconds; `Infinity` = never. */
  deadlineOf(slot: number): number {
    return (this.states[slot]! & CARE) === 0 || this.expiresAt === undefined ? Infinity : this.expiresAt[slot]!;
  }

  /** Whether the entry's time is over. The clock is asked only for one that has a deadline. */
  isExpired(slot: number, clock: Clock): boolean {
    const { expiresAt } = this;
    return (this.states[slot]! & CARE) !== 0 && expiresAt !== undefined && expiresAt[slot]! <= clock.now();
  }

  /** Drops everything. */
  clear(): void {
    this.keys.fill(undefined, 0, this.#used);
    this.values.fill(undefined, 0, this.#used);
    this.states.fill(0, 0, this.#used);
    this.bytes?.fill(0, 0, this.#used);
    this.#used = 0;
    this.#freeCount = 0;
  }

  #takeStamp(now: number): void {
    // An entry restored from a dump may be older than these columns.
    if (now < this.#birthAt) this.#reachBack(now);
    while (now - this.#birthAt > LATEST_STAMP * this.#unitMs) this.#coarsen();
    this.#stampedAt = now;
    this.#stamp = ((now - this.#birthAt) / this.#unitMs) | 0;
  }

  /** Has stamps begin before an instant: twice as early as need be, so that a dump of ever older entries does not move all of them each time. */
  #reachBack(instant: number): void {
    const missingMs = 2 * (this.#birthAt - instant);
    // The last stamp is the latest: who restores an entry has just set it.
    while (missingMs / this.#unitMs + this.#stamp >= LATEST_STAMP) this.#coarsen();
    const units = Math.ceil(missingMs / this.#unitMs);
    this.#birthAt -= units * this.#unitMs;
    for (let slot = 0; slot < this.#used; slot += 1) this.#storedAt[slot]! += units;
  }

  #coarsen(): void {
    this.#unitMs *= 2;
    this.#stamp >>>= 1;
    for (let slot = 0; slot < this.#used; slot += 1) this.#storedAt[slot]! >>>= 1;
  }

  #grow(): void {
    // Slots that were emptied and not given back yet come on top of the bound.
    const slots =
      this.keys.length < this.#maxSlots
        ? Math.min(this.#maxSlots, 2 * this.keys.length)
        : Math.ceil(this.keys.length * 1.125) + FIRST_SLOTS;
    const added = slots - this.keys.length;
    for (let count = 0; count < added; count += 1) {
      this.keys.push(undefined);
      this.values.push(undefined);
    }
    this.states = enlarge(this.states, slots);
    this.#storedAt = enlarge(this.#storedAt, slots);
    if (this.expiresAt) this.expiresAt = enlarge(this.expiresAt, slots);
    if (this.bytes) this.bytes = enlarge(this.bytes, slots);
  }
}

/** A longer copy of a column. */
export function enlarge<Column extends Uint8Array | Uint16Array | Uint32Array | Float64Array>(column: Column, length: number): Column {
  const longer = new (column.constructor as new (length: number) => Column)(length);
  longer.set(column);
  return longer;
}
