import type { Settings } from "../config/schema.ts";

/** What a provider sync needs to know of the settings. */
type SyncSettings = Pick<Settings, "syncSources" | "providers" | "openaiBaseUrl" | "openaiApiKey" | "anthropicBaseUrl" | "anthropicApiKey">;

/**
 * Whether provider sync runs: as the settings say, else unless the sandbox is all there is, so that a first try makes no request to anyone. Whoever has any
 * provider, and be it no default upstream, wants to know what its models cost.
 */
export function isSyncOn(settings: SyncSettings): boolean {
  const { syncSources, providers, openaiBaseUrl, openaiApiKey, anthropicBaseUrl, anthropicApiKey } = settings;
  if (syncSources !== undefined) return syncSources.length !== 1 || syncSources[0] !== "none";
  const upstreams = [openaiBaseUrl, openaiApiKey, anthropicBaseUrl, anthropicApiKey];
  return upstreams.some((told) => told !== undefined) || Object.keys(providers).length > 0;
}
