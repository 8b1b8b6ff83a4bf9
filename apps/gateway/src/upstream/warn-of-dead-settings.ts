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

/** How embedding models are mostly called: nothing else in a route tells what it is for. */
const MAKES_VECTORS = /embed|voyage-|\b(bge|gte|e5)-/i;

/** Vectors of different models cannot be compared, and equal dimensions hide it: searches would find by chance. One model may have its maker's name before it. */
export function warnOfMixedVectors({ routes }: Settings, log: Log): void {
  for (const { model, targets, fallbacks } of routes) {
    const bySelf = targets.length === 0 && fallbacks.length > 0 ? [model] : [];
    const models = [...bySelf, ...[...targets, ...fallbacks].map((target) => target.model ?? model)];
    const names = new Set(models.map((name) => name.slice(name.lastIndexOf("/") + 1).toLowerCase()));
    if (names.size > 1 && models.some((name) => MAKES_VECTORS.test(name)))
      log.warn(
        { route: model, models: [...new Set(models)] },
        "a route mixes the vectors of several models, unless these are names of one",
      );
  }
}
