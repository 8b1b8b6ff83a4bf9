/** Finds the slot of a key. Several kinds, chosen by the constructor; a cache uses one of them for life. */
export interface KeyIndex {
  /** The slot, or `undefined`. */
  find(key: string): number | undefined;
  /** Adds a key that is not there. */
  add(key: string, slot: number): void;
  /** Takes a key out that is there. */
  remove(key: string): void;
  clear(): void;
}

/** One `Map`: the fastest for free-form keys while it is small. V8 hashes the key and keeps the hash in the string. */
export class MapIndex implements KeyIndex {
  readonly #slots: Map<string, number> = new Map();

  find(key: string): number | undefined {
    return this.#slots.get(key);
  }

  add(key: string, slot: number): void {
    this.#slots.set(key, slot);
  }

  remove(key: string): void {
    this.#slots.delete(key);
  }

  clear(): void {
    this.#slots.clear();
  }
}
