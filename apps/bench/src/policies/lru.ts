import { KeyLists } from "./key-lists.ts";
import type { Policy } from "./policy.ts";

/** Evicts what was asked for longest ago. */
export class LruPolicy implements Policy {
  readonly #lists: KeyLists;
  readonly #capacity: number;

  constructor(capacity: number, universe: number) {
    this.#capacity = capacity;
    this.#lists = new KeyLists(universe, 1);
  }

  access(key: number): boolean {
    const lists = this.#lists;
    if (lists.listOf(key) === 0) {
      lists.moveToFront(0, key);
      return true;
    }
    if (lists.sizeOf(0) >= this.#capacity) lists.popBack(0);
    lists.pushFront(0, key);
    return false;
  }
}
