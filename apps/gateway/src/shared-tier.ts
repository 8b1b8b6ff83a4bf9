import { createHash } from "node:crypto";
import type { FencedStore, InvalidationBus } from "@larder/cache-core";
import type { Mirror } from "@larder/provider-sync";
import type { StoredAnswer } from "./caching/stored-answer.ts";
import type { Settings } from "./config/schema.ts";
import type { SharedCounter } from "./security/rate-limiter.ts";
import type { Log } from "./telemetry/log.ts";

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

/** A key for one purpose, made from the master key: the same bytes never serve two algorithms. */
export function deriveKey(masterKey: Buffer, purpose: string): Buffer {
  return createHash("sha256").update(`larder ${purpose}\0`).update(masterKey).digest();
}

/** Connects to Redis where one is configured. Never fails for its absence: everything tries again by itself. */
export async function openSharedTier(settings: Settings, masterKey: Buffer | undefined, log: Log): Promise<SharedTier> {
  if (settings.redisUrl === undefined) return createLocalTier();
  const { openRedisTier } = await import("./redis-tier.ts");
  return openRedisTier(settings, settings.redisUrl, masterKey, log);
}
