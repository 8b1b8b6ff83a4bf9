import { CacheError } from "@larder/cache-core";
import type { EntryColumns } from "./entry-columns.ts";
import { mixHash } from "./hash-key.ts";
import type { KeyIndex } from "./key-index.ts";

/** Hexadecimal digits that a key must end in: enough that nobody meets the same ones by chance. */
const LEAST_DIGITS = 16;
/** Digits that make the hash: 32 bits. */
const HASHED_DIGITS = 8;
const FIRST_PLACES = 64;

/**
 * An open-addressing table for keys that end in a digest. Such a key is a hash already: its last eight digits are taken for one, where a
 * `Map` reads all 75 characters of a freshly built key. Keys that agree in them cost a comparison each, so a stranger must not choose them; a
 * cryptographic digest is not theirs to choose.
 */
export class DigestIndex implements KeyIndex {
  readonly #columns: EntryColumns<unknown>;
  /** Slots plus one; 0 = free. At most half full. */
  #table: Int32Array;
  #mask: number;
  /** What is left of the hash after it are the bits of a place in the table. */
  #shift: number;
  #size = 0;

  constructor(columns: EntryColumns<unknown>) {
    this.#columns = columns;
    this.#table = new Int32Array(tableLength(columns.keys.length));
    this.#mask = this.#table.length - 1;
    this.#shift = Math.clz32(this.#mask);
  }

  find(key: string): number | undefined {
    const { keys } = this.#columns;
    const table = this.#table;
    const mask = this.#mask;
    let at = hashDigest(key) >>> this.#shift;
    for (let entry = table[at]!; entry !== 0; entry = table[at]!) {
      if (keys[entry - 1] === key) return entry - 1;
      at = (at + 1) & mask;
    }
    return undefined;
  }

  /** @throws {CacheError} ERR_CACHE_INVALID_OPTION for a key that does not end in a digest */
  check(key: string): void {
    if (endsInDigits(key)) return;
    const message = `key must end in at least ${LEAST_DIGITS} hexadecimal digits of a digest where keys: "digest" is set, got ${key.length} characters that do not`;
    throw new CacheError("ERR_CACHE_INVALID_OPTION", message);
  }

  add(key: string, slot: number): void {
    this.#size += 1;
    if (2 * this.#size > this.#table.length) this.#grow();
    this.#place(hashDigest(key), slot);
  }

  /** Closes the gap by moving later entries up, so that no marks of deleted ones pile up. */
  remove(key: string): void {
    const { keys } = this.#columns;
    let gap = hashDigest(key) >>> this.#shift;
    while (keys[this.#table[gap]! - 1] !== key) gap = (gap + 1) & this.#mask;
    this.#size -= 1;
    for (let at = (gap + 1) & this.#mask; this.#table[at] !== 0; at = (at + 1) & this.#mask) {
      const home = hashDigest(keys[this.#table[at]! - 1]!) >>> this.#shift;
      // Stays when its home lies behind the gap: a search for it never crosses the gap.
      if (((at - home) & this.#mask) < ((at - gap) & this.#mask)) continue;
      this.#table[gap] = this.#table[at]!;
      gap = at;
    }
    this.#table[gap] = 0;
  }

  hash(key: string): number {
    return mixHash(hashDigest(key));
  }

  clear(): void {
    this.#table.fill(0);
    this.#size = 0;
  }

  #place(hash: number, slot: number): void {
    let at = hash >>> this.#shift;
    while (this.#table[at] !== 0) at = (at + 1) & this.#mask;
    this.#table[at] = slot + 1;
  }

  #grow(): void {
    const former = this.#table;
    this.#table = new Int32Array(former.length * 2);
    this.#mask = this.#table.length - 1;
    this.#shift = Math.clz32(this.#mask);
    for (const entry of former) if (entry !== 0) this.#place(hashDigest(this.#columns.keys[entry - 1]!), entry - 1);
  }
}

function tableLength(entries: number): number {
  return Math.max(FIRST_PLACES, 2 ** Math.ceil(Math.log2(2 * entries)));
}

/** The last eight hexadecimal digits as 32 bits, four a character for either case of the letters, and spread over all of them. */
function hashDigest(key: string): number {
  let hash = 0;
  for (let at = key.length - HASHED_DIGITS; at < key.length; at += 1) {
    const code = key.charCodeAt(at);
    hash = (hash << 4) | ((code + 9 * (code >>> 6)) & 0x0f);
  }
  // Counters as keys would fill the table without gaps: Knuth's multiplier spreads them.
  return Math.imul(hash, 0x9e3779b1);
}

/** A loop, since a regular expression without an anchor at its start tries every place of the key. */
function endsInDigits(key: string): boolean {
  if (key.length < LEAST_DIGITS) return false;
  for (let at = key.length - LEAST_DIGITS; at < key.length; at += 1) {
    const code = key.charCodeAt(at);
    const isDigit = code >= 0x30 && code <= 0x39;
    const letter = code | 0x20;
    if (!isDigit && !(letter >= 0x61 && letter <= 0x66)) return false;
  }
  return true;
}
