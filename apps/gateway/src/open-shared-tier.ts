import { CacheError } from "@larder/cache-core";
import { SettingsError } from "./config/read-settings.ts";
import type { Settings } from "./config/schema.ts";
import type { MasterKeys } from "./security/sealer.ts";
import { createLocalTier, type SharedTier } from "./shared-tier.ts";
import type { Log } from "./telemetry/log.ts";

/** Connects to Redis where one is configured. Never fails for its absence: everything tries again by itself. @throws {SettingsError} for an address that is none */
export async function openSharedTier(settings: Settings, masterKeys: MasterKeys | undefined, log: Log): Promise<SharedTier> {
  if (settings.redisUrl === undefined) return createLocalTier();
  const { openRedisTier } = await import("./redis-tier.ts");
  try {
    return openRedisTier(settings, settings.redisUrl, masterKeys, log);
  } catch (error) {
    if (!CacheError.is(error) || error.code !== "ERR_CACHE_INVALID_OPTION") throw error;
    throw new SettingsError([error.message.replace(/^\[\w+\] (url)?/, "REDIS_URL")]);
  }
}
