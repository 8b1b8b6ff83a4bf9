/** What the first tier holds under a key: the value and what decides whether it may be served. Made by `TieredCache`; never changed. */
export interface StoredEntry<V> {
  readonly value: V;
  /** Monotonic milliseconds when its load or read began: the data is not younger than this. */
  readonly capturedAt: number;
  /** Monotonic milliseconds when it was stored, as far back as the second tier tells. */
  readonly storedAt: number;
  /** Monotonic milliseconds when its time to live is over; `Infinity` = never. */
  readonly staleAt: number;
  /** Monotonic milliseconds when it is gone, stale windows included. */
  readonly expiresAt: number;
  /** The process-wide invalidation epoch captured before its load. */
  readonly epoch: number;
  /** Milliseconds that its load took: what early refresh weighs. 0 where not known. */
  readonly loadMs: number;
  readonly tags: readonly string[];
}
