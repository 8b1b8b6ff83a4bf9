import type { KeyScope } from "@larder/cache-core/keys";

/**
 * Which bodies were seen lately, by 32 bits of their digests in a table that every body writes to. Most requests come once, and what is kept for each of
 * them is never looked at; so something is kept of a body when it comes a second time. (100,000 chat requests that each come once, five times over, those remembered for
 * near misses bounded as well: a plan takes 7 to 11 us of processor time, 14 to 22 with every one kept, and the planner holds 1.2 MB, not 11.) Two
 * bodies that share their bits cost a place, and no wrong answer.
 */
export class Sightings {
  readonly #marks: Int32Array;

  /** @param places integer >= 1, rounded up to a power of two; four bytes each */
  constructor(places: number) {
    this.#marks = new Int32Array(2 ** Math.ceil(Math.log2(places)));
  }

  /** Notes a body. @param digest characters that stand for a byte each @returns whether it was noted before, and no other in its place since */
  note({ aliasSalt }: KeyScope, digest: string): boolean {
    const at = (bitsOf(digest, 0) ^ aliasSalt) & (this.#marks.length - 1);
    const mark = bitsOf(digest, 4) ^ aliasSalt;
    if (this.#marks[at] === mark) return true;
    this.#marks[at] = mark;
    return false;
  }
}

function bitsOf(digest: string, from: number): number {
  return (
    digest.charCodeAt(from) | (digest.charCodeAt(from + 1) << 8) | (digest.charCodeAt(from + 2) << 16) | (digest.charCodeAt(from + 3) << 24)
  );
}
