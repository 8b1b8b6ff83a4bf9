import type { RandomSource } from "@larder/cache-core";

/**
 * Three digits each: tokens are drawn by the hundred in every schedule. Tables of four digits take a concatenation less and are slower by
 * half a microsecond: they do not stay in the processor's cache beside the rest of a schedule.
 */
const HEXADECIMAL: readonly string[] = Array.from({ length: 4_096 }, (_, value) => value.toString(16).padStart(3, "0"));

/** The digits that end a token, with what follows them. */
const ENDING: readonly string[] = HEXADECIMAL.map((digits) => `${digits}00000000000000000000`);

/**
 * A random source that gives the same sequence for the same seed: xoshiro128** (Blackman and Vigna, 2018), its state spread from the seed
 * by splitmix32. Not for secrets.
 */
export class SeededRandom implements RandomSource {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @param seed any integer; nearby seeds give unrelated sequences */
  constructor(seed: number) {
    let state = seed | 0;
    const spread = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let mixed = state ^ (state >>> 16);
      mixed = Math.imul(mixed, 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      return (mixed ^ (mixed >>> 15)) | 0;
    };
    this.#a = spread();
    this.#b = spread();
    this.#c = spread();
    this.#d = spread();
  }

  /** A stream of its own for each list of integers. */
  static of(...parts: readonly number[]): SeededRandom {
    let seed = 0x811c9dc5;
    for (const part of parts) {
      seed = Math.imul(seed ^ part, 0x01000193);
      seed = Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d);
    }
    return new SeededRandom(seed);
  }

  /** 32 random bits. */
  bits(): number {
    const scrambled = Math.imul(this.#b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const carried = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= carried;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  next(): number {
    return this.bits() / 0x1_0000_0000;
  }

  /** 32 hexadecimal digits, of which the first 12 are drawn: 48 bits tell apart the hundred that a schedule draws, in half the time. */
  token(): string {
    const high = this.bits();
    const low = this.bits() >>> 16;
    const across = ((high & 0xff) << 4) | (low >>> 12);
    return (HEXADECIMAL[high >>> 20] as string) + HEXADECIMAL[(high >>> 8) & 0xfff] + HEXADECIMAL[across] + ENDING[low & 0xfff];
  }

  /** An integer from 0 to `below` - 1. */
  integer(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of the choices. */
  pick<T>(choices: readonly T[]): T {
    return choices[this.integer(choices.length)] as T;
  }
}
