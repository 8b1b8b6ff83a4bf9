import type { Settings } from "./config/schema.ts";
import type { MasterKeys } from "./security/sealer.ts";
import { createLocalTier, type SharedTier } from "./shared-tier.ts";
import type { Log } from "./telemetry/log.ts";

/** Connects to Redis where one is configured. Never fails for its absence: everything tries again by itself. */
export async function openSharedTier(settings: Settings, masterKeys: MasterKeys | undefined, log: Log): Promise<SharedTier> {
  if (settings.redisUrl === undefined) return createLocalTier();
  const { openRedisTier } = await import("./redis-tier.ts");
  return openRedisTier(settings, settings.redisUrl, masterKeys, log);
}
