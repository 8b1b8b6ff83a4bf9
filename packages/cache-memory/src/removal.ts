import { type Channel, channel } from "node:diagnostics_channel";

/** Why an entry is gone. */
export type RemovalCause =
  | "size" // evicted: the bound on entries or bytes
  | "expired" // its time to live is over
  | "replaced" // another value was set under its key
  | "explicit"; // `delete` or `clear`, also by a `TieredCache` that was told of an invalidation

/** What subscribers of the channel `larder:entry-removed` on `node:diagnostics_channel` are told. Never the value. */
export interface EntryRemoved {
  /** The cache's `name`. */
  readonly cache: string;
  /** The entry's key. */
  readonly key: string;
  /** Why it is gone. */
  readonly cause: RemovalCause;
}

/**
 * Told of each removal, after it happened. What it throws surfaces as an uncaught exception and leaves the cache intact.
 */
export type RemovalListener<V> = (key: string, value: V, cause: RemovalCause) => void;

const removals: Channel = channel("larder:entry-removed");

interface Removal<V> {
  readonly key: string;
  readonly value: V;
  readonly cause: RemovalCause;
}

/**
 * Tells listener and subscribers. Free when there are none. What happens within one call of the cache is told at its end, so that a
 * listener may call the cache: it never sees it half changed.
 */
export class RemovalNotifier<V> {
  readonly #cache: string;
  readonly #listener: RemovalListener<V> | undefined;
  #waiting: Array<Removal<V>> = [];

  constructor(cache: string, listener: RemovalListener<V> | undefined) {
    this.#cache = cache;
    this.#listener = listener;
  }

  /** Whether anybody would be told. */
  get isHeard(): boolean {
    return this.#listener !== undefined || removals.hasSubscribers;
  }

  /** Notes a removal, to be told by `flush`. */
  add(key: string, value: V, cause: RemovalCause): void {
    this.#waiting.push({ key, value, cause });
  }

  flush(): void {
    if (this.#waiting.length > 0) this.#tell();
  }

  #tell(): void {
    const told = this.#waiting;
    this.#waiting = [];
    for (const { key, value, cause } of told) {
      if (removals.hasSubscribers) removals.publish({ cache: this.#cache, key, cause } satisfies EntryRemoved);
      if (this.#listener) this.#call(this.#listener, key, value, cause);
    }
  }

  #call(listener: RemovalListener<V>, key: string, value: V, cause: RemovalCause): void {
    try {
      listener(key, value, cause);
    } catch (error) {
      // As node:diagnostics_channel does with its subscribers: the cache's own work is not cut short by a listener.
      process.nextTick(() => {
        throw error;
      });
    }
  }
}
