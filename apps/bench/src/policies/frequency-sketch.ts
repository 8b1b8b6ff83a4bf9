/** Counters saturate here: 4 bits. */
const MAX_COUNT = 15;
/** Counters per key of capacity and row. */
const WIDTH_FACTOR = 8;
const ROWS = 4;
/** Additions per key of capacity after which all counts are halved. */
const SAMPLE_FACTOR = 10;

/** A count-min sketch of 4-bit counters with conservative ageing, as TinyLFU has it (Einziger, Friedman, Manes, ACM ToS 2017). */
export class FrequencySketch {
  readonly #counters: Uint8Array;
  readonly #mask: number;
  readonly #sampleSize: number;
  #additions = 0;

  constructor(capacity: number) {
    const width = 2 ** Math.ceil(Math.log2(Math.max(8, capacity * WIDTH_FACTOR)));
    this.#counters = new Uint8Array(width * ROWS);
    this.#mask = width - 1;
    this.#sampleSize = Math.max(16, capacity * SAMPLE_FACTOR);
  }

  /** How often the key was seen lately, or a little more. */
  frequency(key: number): number {
    let lowest = MAX_COUNT;
    for (let row = 0; row < ROWS; row += 1) lowest = Math.min(lowest, this.#counters[this.#indexOf(key, row)]!);
    return lowest;
  }

  increment(key: number): void {
    let isAdded = false;
    for (let row = 0; row < ROWS; row += 1) {
      const index = this.#indexOf(key, row);
      if (this.#counters[index]! >= MAX_COUNT) continue;
      this.#counters[index]! += 1;
      isAdded = true;
    }
    if (!isAdded) return;
    this.#additions += 1;
    if (this.#additions >= this.#sampleSize) this.#halve();
  }

  #indexOf(key: number, row: number): number {
    let hash = Math.imul(key + 1, 0x9e3779b1) ^ Math.imul(row + 1, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
    return row * (this.#mask + 1) + ((hash ^ (hash >>> 15)) & this.#mask);
  }

  #halve(): void {
    for (let index = 0; index < this.#counters.length; index += 1) this.#counters[index]! >>>= 1;
    this.#additions >>>= 1;
  }
}
