import { KeyLists } from "./key-lists.ts";
import type { Policy } from "./policy.ts";

/** Evicts what came in longest ago, asked for or not. */
export class FifoPolicy implements Policy {
  readonly #lists: KeyLists;
  readonly #capacity: number;

  constructor(capacity: number, universe: number) {
    this.#capacity = capacity;
    this.#lists = new KeyLists(universe, 1);
  }

  access(key: number): boolean {
    if (this.#lists.listOf(key) === 0) return true;
    if (this.#lists.sizeOf(0) >= this.#capacity) this.#lists.popBack(0);
    this.#lists.pushFront(0, key);
    return false;
  }
}
