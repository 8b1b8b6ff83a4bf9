import type { Settings } from "../config/schema.ts";
import { authModeOf } from "../security/authenticator.ts";
import type { Log } from "../telemetry/log.ts";

/** Where callers bring their own keys, a provider that does not say what it is then called with looks as if it were configured, and is never called. */
export function warnOfUncalledProviders(settings: Settings, log: Log): void {
  if (authModeOf(settings) !== "passthrough") return;
  for (const [providerId, { passthrough }] of Object.entries(settings.providers))
    if (!passthrough) log.warn({ providerId }, "a provider is not called for callers with keys of their own: set its `passthrough`");
}

/** A provider that a route names may be saved later; until then the route's requests go elsewhere, and a mistake in its name would look just so. */
export function warnOfUnknownTargets({ routes }: Settings, providers: ReadonlyMap<string, unknown>, log: Log): void {
  for (const { model, targets, fallbacks } of routes)
    for (const { provider } of [...targets, ...fallbacks])
      if (!providers.has(provider))
        log.warn({ route: model, provider }, "a route names a provider that there is not: its requests go past it");
}
