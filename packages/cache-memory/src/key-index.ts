import { hashKey } from "./hash-key.ts";

/** Finds the slot of a key. Several kinds, chosen by the constructor; a cache uses one of them for life. */
export interface KeyIndex {
  /** The `Map` behind the index, where it is nothing else. */
  readonly map?: Map<string, number>;
  /** The slot, or `undefined`. */
  find(key: string): number | undefined;
  /** Adds a key that is not there. */
  add(key: string, slot: number): void;
  /** Takes a key out that is there. Its slot still holds it. */
  remove(key: string): void;
  /** 32 well mixed bits for the policy. */
  hash(key: string): number;
  /** Refuses keys that this index cannot take. */
  check?(key: string): void;
  clear(): void;
}

/** One `Map`: the fastest for free-form keys while it is small. V8 hashes the key and keeps the hash in the string. */
export class MapIndex implements KeyIndex {
  readonly map: Map<string, number> = new Map();

  find(key: string): number | undefined {
    return this.map.get(key);
  }

  add(key: string, slot: number): void {
    this.map.set(key, slot);
  }

  remove(key: string): void {
    this.map.delete(key);
  }

  hash(key: string): number {
    return hashKey(key);
  }

  clear(): void {
    this.map.clear();
  }
}
