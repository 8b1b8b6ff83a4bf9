/** Counters of 4 bits saturate here. */
export const MAX_FREQUENCY: number = 15;
/** Counters per entry of capacity: eight bytes an entry in a small cache; in a large one, where bytes matter, two. */
const COUNTERS_PER_ENTRY = 16;
const COUNTERS_PER_ENTRY_IN_LARGE = 4;
const LARGE = 2 ** 18;
/** Words of a block: 64 bytes, one cache line, so that a look at the sketch costs one miss of the processor's cache and not four. */
const WORDS_PER_BLOCK = 16;
const COUNTERS_PER_WORD = 8;
/** The low three bits of each counter after a shift to the right. */
const HALVED_MASK = 0x77777777;

/**
 * How often keys that are not held were asked for: a count-min sketch of 4-bit counters, four a key, all in one block of 64 bytes [3].
 * Two to eight bytes an entry, whatever the keys.
 */
export class FrequencySketch {
  readonly #words: Int32Array;
  readonly #blocks: number;

  constructor(capacity: number) {
    const perEntry = capacity < LARGE ? COUNTERS_PER_ENTRY : COUNTERS_PER_ENTRY_IN_LARGE;
    this.#blocks = Math.ceil((Math.max(32, capacity) * perEntry) / (WORDS_PER_BLOCK * COUNTERS_PER_WORD));
    this.#words = new Int32Array(this.#blocks * WORDS_PER_BLOCK);
  }

  /** The lowest of the key's four counters: its frequency, or a little more. One row has four words of the block for itself. */
  frequency(hash: number): number {
    const words = this.#words;
    const block = this.#blockOf(hash);
    const places = scatter(hash);
    const first = (words[block + (places & 3)]! >>> (places & 0x1c)) & MAX_FREQUENCY;
    const second = (words[block + 4 + ((places >>> 5) & 3)]! >>> ((places >>> 5) & 0x1c)) & MAX_FREQUENCY;
    const third = (words[block + 8 + ((places >>> 10) & 3)]! >>> ((places >>> 10) & 0x1c)) & MAX_FREQUENCY;
    const fourth = (words[block + 12 + ((places >>> 15) & 3)]! >>> ((places >>> 15) & 0x1c)) & MAX_FREQUENCY;
    return Math.min(first, second, third, fourth);
  }

  /** Counts one more access: raises the lowest of the key's counters, since only they tell. In one pass: a `set` waits for it. @returns the frequency with it */
  increment(hash: number): number {
    const words = this.#words;
    const places = scatter(hash);
    const first = this.#blockOf(hash) + (places & 3);
    const second = (first & -4) + 4 + ((places >>> 5) & 3);
    const third = (first & -4) + 8 + ((places >>> 10) & 3);
    const fourth = (first & -4) + 12 + ((places >>> 15) & 3);
    const firstCount = (words[first]! >>> (places & 0x1c)) & MAX_FREQUENCY;
    const secondCount = (words[second]! >>> ((places >>> 5) & 0x1c)) & MAX_FREQUENCY;
    const thirdCount = (words[third]! >>> ((places >>> 10) & 0x1c)) & MAX_FREQUENCY;
    const fourthCount = (words[fourth]! >>> ((places >>> 15) & 0x1c)) & MAX_FREQUENCY;
    const lowest = Math.min(firstCount, secondCount, thirdCount, fourthCount);
    if (lowest === MAX_FREQUENCY) return MAX_FREQUENCY;
    if (firstCount === lowest) words[first]! += 1 << (places & 0x1c);
    if (secondCount === lowest) words[second]! += 1 << ((places >>> 5) & 0x1c);
    if (thirdCount === lowest) words[third]! += 1 << ((places >>> 10) & 0x1c);
    if (fourthCount === lowest) words[fourth]! += 1 << ((places >>> 15) & 0x1c);
    return lowest + 1;
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
