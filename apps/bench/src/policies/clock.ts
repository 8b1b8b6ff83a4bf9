import { KeyLists } from "./key-lists.ts";
import type { Policy } from "./policy.ts";

/** FIFO with a second chance: a key asked for since the hand last passed goes back to the front instead of out (Corbató 1968). */
export class ClockPolicy implements Policy {
  readonly #lists: KeyLists;
  readonly #isVisited: Uint8Array;
  readonly #capacity: number;

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
    for (let key = this.#lists.back(0); this.#isVisited[key] === 1; key = this.#lists.back(0)) {
      this.#isVisited[key] = 0;
      this.#lists.moveToFront(0, key);
    }
    this.#lists.popBack(0);
  }
}
