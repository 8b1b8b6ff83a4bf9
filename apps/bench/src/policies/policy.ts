/**
 * A replacement policy as the hit-ratio simulators see it: a set of at most `capacity` keys, asked one key at a time. Keys are dense
 * integers from 0, so that all bookkeeping is in typed arrays indexed by key. The peers of `MemoryCache` are simulated this way;
 * `MemoryCache` itself is never simulated, the class that users get is measured.
 */
export interface Policy {
  /** Asks for a key and, when it is absent, brings it in. @returns whether it was there */
  access(key: number): boolean;
}

/** Makes a policy for `capacity` keys held at a time out of `universe` different keys. */
export type PolicyFactory = (capacity: number, universe: number) => Policy;
