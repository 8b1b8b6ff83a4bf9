/** Places made at first. */
const FIRST_PLACES = 16;
/** The ring grows by this share when it is full and has no gap worth closing. */
const SLACK = 1 / 16;

/**
 * The queue of SIEVE [4] without links: slots in the order in which they came in, and a hand that walks from the oldest to the newest.
 * What the hand has passed and what lies ahead of it are two stretches of one ring, with the gap that evictions left between them:
 *
 *     start -> [ passed ][ gap ][ ahead ] -> newcomers
 *
 * A survivor moves from the front of `ahead` to the end of `passed`; when nothing lies ahead, `passed` becomes `ahead` and a new pass
 * begins. This is the same order as that of the linked list in the paper, in 4 to 5 bytes a slot instead of 8, and walked in sequence.
 */
export class SieveQueue {
  #ring: Uint32Array = new Uint32Array(FIRST_PLACES);
  #start = 0;
  #passed = 0;
  #gap = 0;
  #ahead = 0;

  get length(): number {
    return this.#passed + this.#ahead;
  }

  /** Adds the newest slot. */
  push(slot: number): void {
    const span = this.#passed + this.#gap + this.#ahead;
    if (span === this.#ring.length) this.#makeRoom();
    this.#ring[this.#place(this.#passed + this.#gap + this.#ahead)] = slot;
    this.#ahead += 1;
  }

  /** The slot at the hand. The queue is not empty. */
  peek(): number {
    if (this.#ahead === 0) {
      this.#ahead = this.#passed;
      this.#passed = 0;
      this.#gap = 0;
    }
    return this.#ring[this.#place(this.#passed + this.#gap)]!;
  }

  /** The slot at the hand stays, and the hand moves on. After `peek`. */
  pass(): void {
    if (this.#gap > 0) this.#ring[this.#place(this.#passed)] = this.#ring[this.#place(this.#passed + this.#gap)]!;
    this.#passed += 1;
    this.#ahead -= 1;
  }

  /** The slot at the hand goes. After `peek`. */
  drop(): void {
    this.#ahead -= 1;
    this.#gap += 1;
    if (this.#passed > 0) return;
    this.#start = this.#place(this.#gap);
    this.#gap = 0;
  }

  /** Keeps the slots that pass, in order. O(length). */
  filter(isKept: (slot: number) => boolean): void {
    const ring = new Uint32Array(Math.max(FIRST_PLACES, Math.ceil(this.length * (1 + SLACK))));
    let passed = 0;
    let kept = 0;
    for (let index = 0; index < this.#passed + this.#ahead; index += 1) {
      const slot = this.#ring[this.#place(index < this.#passed ? index : index + this.#gap)]!;
      if (!isKept(slot)) continue;
      ring[kept] = slot;
      kept += 1;
      if (index < this.#passed) passed += 1;
    }
    this.#ring = ring;
    this.#start = 0;
    this.#passed = passed;
    this.#gap = 0;
    this.#ahead = kept - passed;
  }

  clear(): void {
    this.#ring = new Uint32Array(FIRST_PLACES);
    this.#start = 0;
    this.#passed = 0;
    this.#gap = 0;
    this.#ahead = 0;
  }

  #place(offset: number): number {
    const place = this.#start + offset;
    return place < this.#ring.length ? place : place - this.#ring.length;
  }

  #makeRoom(): void {
    if (this.#gap > this.#ring.length * SLACK) this.#closeGap();
    else {
      const ring = new Uint32Array(Math.ceil(this.#ring.length * (1 + SLACK)));
      const span = this.#passed + this.#gap + this.#ahead;
      const first = this.#ring.subarray(this.#start, Math.min(this.#ring.length, this.#start + span));
      ring.set(first);
      ring.set(this.#ring.subarray(0, span - first.length), first.length);
      this.#ring = ring;
      this.#start = 0;
    }
  }

  /** Moves what was passed up to what lies ahead. */
  #closeGap(): void {
    for (let index = this.#passed - 1; index >= 0; index -= 1) {
      this.#ring[this.#place(index + this.#gap)] = this.#ring[this.#place(index)]!;
    }
    this.#start = this.#place(this.#gap);
    this.#gap = 0;
  }
}
