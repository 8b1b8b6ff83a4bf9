import { KeyLists } from "./key-lists.ts";
import type { Policy } from "./policy.ts";

/** Highest count told apart. Far above what a trace of a few million accesses needs to order its hot keys at the eviction end. */
const MAX_COUNT = 100;

/** In-cache LFU: evicts the key with the fewest accesses since it came in, the least recently used one of them. */
export class LfuPolicy implements Policy {
  readonly #lists: KeyLists;
  readonly #capacity: number;
  #size = 0;
  /** No list below this count holds a key. */
  #lowest = 0;

  constructor(capacity: number, universe: number) {
    this.#capacity = capacity;
    this.#lists = new KeyLists(universe, MAX_COUNT + 1);
  }

  access(key: number): boolean {
    const count = this.#lists.listOf(key);
    if (count >= 0) {
      this.#lists.remove(key);
      this.#lists.pushFront(Math.min(count + 1, MAX_COUNT), key);
      return true;
    }
    if (this.#size >= this.#capacity) this.#evict();
    this.#lists.pushFront(1, key);
    this.#lowest = 1;
    this.#size += 1;
    return false;
  }

  #evict(): void {
    while (this.#lists.sizeOf(this.#lowest) === 0) this.#lowest += 1;
    this.#lists.popBack(this.#lowest);
    this.#size -= 1;
  }
}
