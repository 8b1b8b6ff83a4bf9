import type { FencedStore, InvalidationBus } from "@larder/cache-core";
import type { Mirror } from "@larder/provider-sync";
import type { StoredAnswer } from "./caching/stored-answer.ts";
import type { SharedCounter } from "./security/rate-limiter.ts";

/** What processes share: values, invalidations, counters. All of it may be away at any time. */
export interface SharedTier {
  readonly l2: FencedStore<StoredAnswer> | undefined;
  readonly bus: InvalidationBus | undefined;
  readonly counter: SharedCounter | undefined;
  /** Opens the catalog's mirror; absent where there is no Redis. */
  readonly openMirror?: () => Promise<Mirror>;
  /** Whether Redis answers; `undefined` where there is none. */
  isUp(): boolean | undefined;
  close(): Promise<void>;
}

/** What a process has to itself: no values nor counters beside its own. */
export function createLocalTier(bus?: InvalidationBus): SharedTier {
  return { l2: undefined, bus, counter: undefined, isUp: () => undefined, close: async () => void (await bus?.close()) };
}
