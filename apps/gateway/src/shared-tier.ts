import type { FencedStore, InvalidationBus } from "@larder/cache-core";
import type { Mirror } from "@larder/provider-sync";
import type { WatcherPort } from "@larder/pubsub-invalidation/watcher";
import type { SharedNotes } from "./caching/response-book.ts";
import type { StoredAnswer } from "./caching/stored-answer.ts";
import type { SharedCounter } from "./security/rate-limiter.ts";

/** What processes share: values, invalidations, counters. All of it may be away at any time. */
export interface SharedTier {
  /** Absent without Redis: workers of one machine share invalidations alone. */
  readonly l2: FencedStore<StoredAnswer> | undefined;
  readonly bus: InvalidationBus | undefined;
  /** What is known of responses; absent where there is no other process. */
  readonly notes?: SharedNotes;
  /** Absent without Redis: limits are each process's own, or each machine's where its workers' primary counts. */
  readonly counter: SharedCounter | undefined;
  /** Opens the catalog's mirror; absent where there is no Redis. */
  readonly openMirror?: () => Promise<Mirror>;
  /** Opens the way on which processes ask each other what they hold; absent where there is no other process. */
  readonly openWatcherPort?: () => Promise<WatcherPort>;
  /** Whether Redis answers; `undefined` where there is none. */
  isUp(): boolean | undefined;
  close(): Promise<void>;
}

/** What a process has to itself: no values nor counters beside its own. @param more what it shares all the same */
export function createLocalTier(more: Partial<Pick<SharedTier, "bus" | "notes" | "openWatcherPort">> = {}): SharedTier {
  const close = async (): Promise<void> => void (await more.bus?.close());
  return { l2: undefined, bus: undefined, counter: undefined, isUp: () => undefined, close, ...more };
}
