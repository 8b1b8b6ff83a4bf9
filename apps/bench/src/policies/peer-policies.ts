import { ArcPolicy } from "./arc.ts";
import { ClockPolicy } from "./clock.ts";
import { FifoPolicy } from "./fifo.ts";
import { LfuPolicy } from "./lfu.ts";
import { LruPolicy } from "./lru.ts";
import type { PolicyFactory } from "./policy.ts";
import { S3FifoPolicy } from "./s3-fifo.ts";
import { SievePolicy } from "./sieve.ts";
import { WTinyLfuPolicy } from "./w-tinylfu.ts";

/** The peers of `MemoryCache` in hit ratio, by the name that rows show. */
export const peerPolicies: Readonly<Record<string, PolicyFactory>> = {
  LRU: (capacity, universe) => new LruPolicy(capacity, universe),
  FIFO: (capacity, universe) => new FifoPolicy(capacity, universe),
  CLOCK: (capacity, universe) => new ClockPolicy(capacity, universe),
  LFU: (capacity, universe) => new LfuPolicy(capacity, universe),
  SIEVE: (capacity, universe) => new SievePolicy(capacity, universe),
  "S3-FIFO": (capacity, universe) => new S3FifoPolicy(capacity, universe),
  "S3-FIFO, promoting at one": (capacity, universe) => new S3FifoPolicy(capacity, universe, 1),
  ARC: (capacity, universe) => new ArcPolicy(capacity, universe),
  "W-TinyLFU, 1 % window": (capacity, universe) => new WTinyLfuPolicy(capacity, universe, false),
  "W-TinyLFU, adaptive": (capacity, universe) => new WTinyLfuPolicy(capacity, universe, true),
};
