import { KeyLists } from "./key-lists.ts";
import type { Policy } from "./policy.ts";

/** SIEVE: one queue, nothing moves; a hand walks from the oldest to the newest and evicts the first unvisited key (Zhang et al., NSDI '24). */
export class SievePolicy implements Policy {
  readonly #lists: KeyLists;
  readonly #isVisited: Uint8Array;
  readonly #capacity: number;
  #hand = -1;

  constructor(capacity: number, universe: number) {
    this.#capacity = capacity;
    this.#lists = new KeyLists(universe, 1);
    this.#isVisited = new Uint8Array(universe);
  }

  access(key: number): boolean {
    if (this.#lists.listOf(key) === 0) {
      this.#isVisited[key] = 1;
      return true;
    }
    if (this.#lists.sizeOf(0) >= this.#capacity) this.#evict();
    this.#lists.pushFront(0, key);
    this.#isVisited[key] = 0;
    return false;
  }

  #evict(): void {
    let key = this.#hand < 0 ? this.#lists.back(0) : this.#hand;
    while (this.#isVisited[key] === 1) {
      this.#isVisited[key] = 0;
      const next = this.#lists.towardsFront(key);
      key = next < 0 ? this.#lists.back(0) : next;
    }
    this.#hand = this.#lists.towardsFront(key);
    this.#lists.remove(key);
  }
}
