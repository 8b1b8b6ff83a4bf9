/** Counters of 4 bits saturate here. */
export const MAX_FREQUENCY: number = 15;
/** Counters per entry of capacity. */
const COUNTERS_PER_ENTRY = 16;
/** Words of a block: 64 bytes, one cache line, so that a look at the sketch costs one miss of the processor's cache and not four. */
const WORDS_PER_BLOCK = 16;
const COUNTERS_PER_WORD = 8;
/** The low three bits of each counter after a shift to the right. */
const HALVED_MASK = 0x77777777;

/**
 * How often keys that are not held were asked for: a count-min sketch of 4-bit counters, four a key, all in one block of 64 bytes [3].
 * Two bytes an entry, whatever the keys.
 */
export class FrequencySketch {
  readonly #words: Int32Array;
  readonly #blocks: number;

  constructor(capacity: number) {
    this.#blocks = Math.ceil((Math.max(32, capacity) * COUNTERS_PER_ENTRY) / (WORDS_PER_BLOCK * COUNTERS_PER_WORD));
    this.#words = new Int32Array(this.#blocks * WORDS_PER_BLOCK);
  }

  /** The lowest of the key's four counters: its frequency, or a little more. */
  frequency(hash: number): number {
    const block = this.#blockOf(hash);
    let places = scatter(hash);
    let lowest = MAX_FREQUENCY;
    for (let row = 0; row < 4; row += 1) {
      const count = (this.#words[block + row * 4 + (places & 3)]! >>> (places & 0x1c)) & MAX_FREQUENCY;
      if (count < lowest) lowest = count;
      places >>>= 5;
    }
    return lowest;
  }

  /** Raises the key's counters to a frequency, those that are lower. */
  raise(hash: number, frequency: number): void {
    const block = this.#blockOf(hash);
    let places = scatter(hash);
    for (let row = 0; row < 4; row += 1) {
      const at = block + row * 4 + (places & 3);
      const shift = places & 0x1c;
      const word = this.#words[at]!;
      const count = (word >>> shift) & MAX_FREQUENCY;
      if (count < frequency) this.#words[at] = word + ((frequency - count) << shift);
      places >>>= 5;
    }
  }

  /** Ages everything: what was hot once does not stay so for ever. O(capacity), a word at a time. */
  halve(): void {
    const words = this.#words;
    for (let at = 0; at < words.length; at += 1) words[at] = (words[at]! >>> 1) & HALVED_MASK;
  }

  clear(): void {
    this.#words.fill(0);
  }

  /** Spreads 32 bits of hash evenly over any number of blocks, without a division. */
  #blockOf(hash: number): number {
    return Math.floor(((hash >>> 0) * this.#blocks) / 4_294_967_296) * WORDS_PER_BLOCK;
  }
}

/** Twenty other bits of the hash, five for each row: two choose the word, three the counter in it. */
function scatter(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
