/**
 * Doubly linked lists over dense integer keys, each key in one list at most. All lists of one policy share two link columns, so moving
 * a key from one list to another costs O(1) and no memory. The end called `front` is where policies insert.
 */
export class KeyLists {
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #listOf: Int8Array;
  readonly #sizes: Int32Array;
  readonly #universe: number;

  constructor(universe: number, lists: number) {
    this.#universe = universe;
    this.#next = new Int32Array(universe + lists);
    this.#previous = new Int32Array(universe + lists);
    this.#listOf = new Int8Array(universe).fill(-1);
    this.#sizes = new Int32Array(lists);
    for (let list = 0; list < lists; list += 1) {
      this.#next[universe + list] = universe + list;
      this.#previous[universe + list] = universe + list;
    }
  }

  /** The list that holds the key, or -1. */
  listOf(key: number): number {
    return this.#listOf[key]!;
  }

  sizeOf(list: number): number {
    return this.#sizes[list]!;
  }

  /** The key at the far end, or -1 when the list is empty. */
  back(list: number): number {
    const key = this.#previous[this.#universe + list]!;
    return key < this.#universe ? key : -1;
  }

  /** The neighbour on the way to the front, or -1 at the front. */
  towardsFront(key: number): number {
    const neighbour = this.#previous[key]!;
    return neighbour < this.#universe ? neighbour : -1;
  }

  pushFront(list: number, key: number): void {
    const anchor = this.#universe + list;
    const first = this.#next[anchor]!;
    this.#next[anchor] = key;
    this.#previous[key] = anchor;
    this.#next[key] = first;
    this.#previous[first] = key;
    this.#listOf[key] = list;
    this.#sizes[list]! += 1;
  }

  remove(key: number): void {
    const next = this.#next[key]!;
    const previous = this.#previous[key]!;
    this.#next[previous] = next;
    this.#previous[next] = previous;
    this.#sizes[this.#listOf[key]!]! -= 1;
    this.#listOf[key] = -1;
  }

  /** Takes the key at the far end out and gives it; -1 when the list is empty. */
  popBack(list: number): number {
    const key = this.back(list);
    if (key >= 0) this.remove(key);
    return key;
  }

  moveToFront(list: number, key: number): void {
    this.remove(key);
    this.pushFront(list, key);
  }
}
