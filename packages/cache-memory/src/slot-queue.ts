/** Places made at first. */
const FIRST_PLACES = 16;
/** A ring that is full, or that far from it, is made anew with this share of free places. */
const SLACK = 1 / 16;
const LEAST_FULL = 7 / 8;

/** A first-in, first-out queue of slots in a ring: 4 bytes a slot, and no links to follow. */
export class SlotQueue {
  #ring: Uint32Array = new Uint32Array(FIRST_PLACES);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(slot: number): void {
    if (this.#length === this.#ring.length) this.#resize();
    let place = this.#head + this.#length;
    if (place >= this.#ring.length) place -= this.#ring.length;
    this.#ring[place] = slot;
    this.#length += 1;
  }

  /** The oldest slot. The queue is not empty. */
  get oldest(): number {
    return this.#ring[this.#head]!;
  }

  /** Takes the oldest slot out, for another one to be pushed: the ring keeps its length. */
  drop(): void {
    const next = this.#head + 1;
    this.#head = next === this.#ring.length ? 0 : next;
    this.#length -= 1;
  }

  /** The oldest slot, taken out. The queue is not empty. */
  shift(): number {
    const slot = this.oldest;
    this.drop();
    // A window that held everything before the first eviction, and a tenth of it from then on, would keep its ring for ever.
    if (this.#length < this.#ring.length * LEAST_FULL && this.#length >= FIRST_PLACES) this.#resize();
    return slot;
  }

  /** Keeps the slots that pass, in order. O(length). */
  filter(isKept: (slot: number) => boolean): void {
    let kept = 0;
    const ring = new Uint32Array(Math.max(FIRST_PLACES, this.#length));
    while (this.#length > 0) {
      const slot = this.oldest;
      this.drop();
      if (isKept(slot)) {
        ring[kept] = slot;
        kept += 1;
      }
    }
    this.#ring = ring;
    this.#head = 0;
    this.#length = kept;
  }

  clear(): void {
    this.#ring = new Uint32Array(FIRST_PLACES);
    this.#head = 0;
    this.#length = 0;
  }

  #resize(): void {
    const ring = new Uint32Array(Math.ceil(this.#length * (1 + SLACK)));
    const first = this.#ring.subarray(this.#head, Math.min(this.#ring.length, this.#head + this.#length));
    ring.set(first);
    ring.set(this.#ring.subarray(0, this.#length - first.length), first.length);
    this.#ring = ring;
    this.#head = 0;
  }
}
