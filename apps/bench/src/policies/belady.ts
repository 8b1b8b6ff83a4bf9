/**
 * Belady's optimum: evicts the key that is asked for again latest, which only someone who knows the whole trace can do. The bound that
 * no policy passes. @returns how many accesses hit
 */
export function countBeladyHits(trace: Int32Array, capacity: number, universe: number): number {
  const nextUse = findNextUses(trace, universe);
  const heldUntil = new Int32Array(universe).fill(-1);
  const heap = new LatestUseHeap(trace.length);
  let held = 0;
  let hits = 0;
  for (let at = 0; at < trace.length; at += 1) {
    const key = trace[at]!;
    if (heldUntil[key]! >= 0) hits += 1;
    else {
      if (held >= capacity) {
        // Stale heap entries are those whose key has been asked for since, or is gone.
        let use = heap.pop();
        while (heldUntil[trace[use.from]!] !== use.next) use = heap.pop();
        heldUntil[trace[use.from]!] = -1;
        held -= 1;
      }
      held += 1;
    }
    heldUntil[key] = nextUse[at]!;
    heap.push({ next: nextUse[at]!, from: at });
  }
  return hits;
}

/** For each access the position of the next one of the same key, past the end for the last. */
function findNextUses(trace: Int32Array, universe: number): Int32Array {
  const nextUse = new Int32Array(trace.length);
  const later = new Int32Array(universe).fill(-1);
  for (let at = trace.length - 1; at >= 0; at -= 1) {
    const key = trace[at]!;
    // Keys never asked for again get different positions past the end, so that a heap entry names one state of one key.
    nextUse[at] = later[key]! >= 0 ? later[key]! : trace.length + key;
    later[key] = at;
  }
  return nextUse;
}

interface Use {
  readonly next: number;
  readonly from: number;
}

/** A binary heap with the latest next use on top. */
class LatestUseHeap {
  readonly #next: Int32Array;
  readonly #from: Int32Array;
  #size = 0;

  constructor(capacity: number) {
    this.#next = new Int32Array(capacity + 1);
    this.#from = new Int32Array(capacity + 1);
  }

  push(use: Use): void {
    let at = this.#size;
    this.#size += 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#next[parent]! >= use.next) break;
      this.#next[at] = this.#next[parent]!;
      this.#from[at] = this.#from[parent]!;
      at = parent;
    }
    this.#next[at] = use.next;
    this.#from[at] = use.from;
  }

  pop(): Use {
    const top = { next: this.#next[0]!, from: this.#from[0]! };
    this.#size -= 1;
    const last = { next: this.#next[this.#size]!, from: this.#from[this.#size]! };
    let at = 0;
    for (let child = 1; child < this.#size; child = 2 * at + 1) {
      if (child + 1 < this.#size && this.#next[child + 1]! > this.#next[child]!) child += 1;
      if (this.#next[child]! <= last.next) break;
      this.#next[at] = this.#next[child]!;
      this.#from[at] = this.#from[child]!;
      at = child;
    }
    this.#next[at] = last.next;
    this.#from[at] = last.from;
    return top;
  }
}
