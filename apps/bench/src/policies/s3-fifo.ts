import { KeyLists } from "./key-lists.ts";
import type { Policy } from "./policy.ts";

const SMALL = 0;
const MAIN = 1;
const GHOSTS = 2;
/** Share of the capacity that newcomers get. */
const SMALL_SHARE = 0.1;
/** Counts go up to this; each pass of the main queue's hand takes one off. */
const MAX_COUNT = 3;

/** S3-FIFO (Yang et al., SOSP '23): a small FIFO filters what is asked for once, a main FIFO reinserts what is asked for, ghosts go to main. */
export class S3FifoPolicy implements Policy {
  readonly #lists: KeyLists;
  readonly #counts: Uint8Array;
  readonly #capacity: number;
  readonly #smallCapacity: number;
  readonly #mainCapacity: number;
  readonly #promotionCount: number;

  /** @param promotionCount accesses in the small queue that let a key into the main one: 2 in the authors' simulator, 1 in the paper's text */
  constructor(capacity: number, universe: number, promotionCount = 2) {
    this.#capacity = capacity;
    this.#smallCapacity = Math.max(1, Math.floor(capacity * SMALL_SHARE));
    this.#mainCapacity = capacity - this.#smallCapacity;
    this.#promotionCount = promotionCount;
    this.#lists = new KeyLists(universe, 3);
    this.#counts = new Uint8Array(universe);
  }

  access(key: number): boolean {
    const lists = this.#lists;
    const list = lists.listOf(key);
    if (list === SMALL || list === MAIN) {
      this.#counts[key] = Math.min(MAX_COUNT, this.#counts[key]! + 1);
      return true;
    }
    if (list === GHOSTS) lists.remove(key);
    while (lists.sizeOf(SMALL) + lists.sizeOf(MAIN) >= this.#capacity) this.#evict();
    lists.pushFront(list === GHOSTS ? MAIN : SMALL, key);
    this.#counts[key] = 0;
    return false;
  }

  #evict(): void {
    const isMainFull = this.#lists.sizeOf(MAIN) > this.#mainCapacity;
    if (this.#lists.sizeOf(MAIN) === 0 || (!isMainFull && this.#lists.sizeOf(SMALL) >= this.#smallCapacity)) this.#evictSmall();
    else this.#evictMain();
  }

  #evictSmall(): void {
    const lists = this.#lists;
    const key = lists.popBack(SMALL);
    if (this.#counts[key]! >= this.#promotionCount) {
      lists.pushFront(MAIN, key);
      this.#counts[key] = 0;
      return;
    }
    if (lists.sizeOf(GHOSTS) >= Math.max(1, this.#mainCapacity)) lists.popBack(GHOSTS);
    lists.pushFront(GHOSTS, key);
  }

  #evictMain(): void {
    for (let key = this.#lists.back(MAIN); this.#counts[key]! > 0; key = this.#lists.back(MAIN)) {
      this.#counts[key]! -= 1;
      this.#lists.moveToFront(MAIN, key);
    }
    this.#lists.popBack(MAIN);
  }
}
