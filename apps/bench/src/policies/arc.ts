import { KeyLists } from "./key-lists.ts";
import type { Policy } from "./policy.ts";

/** Keys held: seen once lately, seen more than once; and the ghosts of both. */
const RECENT = 0;
const FREQUENT = 1;
const RECENT_GHOSTS = 2;
const FREQUENT_GHOSTS = 3;

/** Adaptive Replacement Cache, as figure 4 of Megiddo and Modha (FAST '03) has it: a hit on a ghost moves the target size of its list. */
export class ArcPolicy implements Policy {
  readonly #lists: KeyLists;
  readonly #capacity: number;
  /** How many keys seen once are wanted. */
  #target = 0;

  constructor(capacity: number, universe: number) {
    this.#capacity = capacity;
    this.#lists = new KeyLists(universe, 4);
  }

  access(key: number): boolean {
    const lists = this.#lists;
    const list = lists.listOf(key);
    if (list === RECENT || list === FREQUENT) {
      lists.remove(key);
      lists.pushFront(FREQUENT, key);
      return true;
    }
    if (list === RECENT_GHOSTS || list === FREQUENT_GHOSTS) this.#returnGhost(key, list);
    else this.#bringIn(key);
    return false;
  }

  #returnGhost(key: number, list: number): void {
    const recent = this.#lists.sizeOf(RECENT_GHOSTS);
    const frequent = this.#lists.sizeOf(FREQUENT_GHOSTS);
    if (list === RECENT_GHOSTS) this.#target = Math.min(this.#capacity, this.#target + Math.max(1, frequent / recent));
    else this.#target = Math.max(0, this.#target - Math.max(1, recent / frequent));
    this.#replace(list === FREQUENT_GHOSTS);
    this.#lists.remove(key);
    this.#lists.pushFront(FREQUENT, key);
  }

  #bringIn(key: number): void {
    const lists = this.#lists;
    const seenOnce = lists.sizeOf(RECENT) + lists.sizeOf(RECENT_GHOSTS);
    const known = seenOnce + lists.sizeOf(FREQUENT) + lists.sizeOf(FREQUENT_GHOSTS);
    if (seenOnce === this.#capacity) {
      if (lists.sizeOf(RECENT) < this.#capacity) {
        lists.popBack(RECENT_GHOSTS);
        this.#replace(false);
      } else lists.popBack(RECENT);
    } else if (known >= this.#capacity) {
      if (known === 2 * this.#capacity) lists.popBack(FREQUENT_GHOSTS);
      this.#replace(false);
    }
    lists.pushFront(RECENT, key);
  }

  #replace(isFrequentGhost: boolean): void {
    const recent = this.#lists.sizeOf(RECENT);
    const isRecentOver = recent > this.#target || (isFrequentGhost && recent === this.#target);
    const from = recent > 0 && isRecentOver ? RECENT : FREQUENT;
    const key = this.#lists.popBack(from);
    if (key >= 0) this.#lists.pushFront(from === RECENT ? RECENT_GHOSTS : FREQUENT_GHOSTS, key);
  }
}
