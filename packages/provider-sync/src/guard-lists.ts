import type { GuardInput } from "./guard-input.ts";
import type { GuardPolicy } from "./guard-policy.ts";
import type { ModelEndpoint, ProviderRecord } from "./model-listing.ts";
import { definedPrices } from "./prices.ts";
import type { QuarantineEntry, QuarantineReason } from "./quarantine.ts";

/** What became of a provider list. */
export interface GuardedProviders {
  readonly providers: readonly ProviderRecord[];
  readonly refused?: QuarantineReason;
  readonly entries: readonly QuarantineEntry[];
}

/** A list of providers passes whole or not at all; it has no prices to judge, and a provider that leaves takes its models' prices nowhere. */
export function guardProviders(input: GuardInput): GuardedProviders {
  const { source, policy, now, reading } = input;
  const believed = input.believed?.providers ?? [];
  if (!reading.providers) return { providers: believed, entries: [] };
  const offered = new Map(reading.providers.map((provider) => [provider.id, provider]));
  const missing = believed.filter((provider) => !offered.has(provider.id)).length;
  const key = `${source}#providers`;
  const doubt: QuarantineReason | undefined =
    offered.size < policy.minProviders
      ? "too-few"
      : missing > Math.max(policy.minDropCount, policy.maxDropShare * believed.length)
        ? "dropped-too-many"
        : undefined;
  const held = input.quarantine.find((entry) => entry.key === key && entry.reason === doubt);
  const isAccepted = input.acceptances.some((acceptance) => acceptance.key === key);
  const isExpired = doubt === "dropped-too-many" && held?.expiresAt !== undefined && now >= held.expiresAt;
  if (!doubt || isAccepted || isExpired) {
    const providers = [...offered.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    return { providers, entries: [] };
  }
  const since = held?.since ?? now;
  const expiresAt = since + (doubt === "dropped-too-many" ? policy.listConfirmMs : Number.POSITIVE_INFINITY);
  const entry: QuarantineEntry = {
    key,
    source,
    reason: doubt,
    kept: believed.length,
    offered: offered.size,
    since,
    ...(Number.isFinite(expiresAt) && { expiresAt }),
  };
  return { providers: believed, refused: doubt, entries: [entry] };
}

function withPlausiblePrices(endpoint: ModelEndpoint, policy: GuardPolicy): ModelEndpoint {
  const plausible = Object.entries(endpoint.usdPerMillion).filter(
    ([, price]) => Number.isFinite(price) && price >= 0 && price < policy.maxUsdPerMillion,
  );
  return { ...endpoint, usdPerMillion: definedPrices(Object.fromEntries(plausible)) };
}

/** Endpoints told in this run replace those of the same model; models not told keep what was known. */
export function guardEndpoints(input: GuardInput): ReadonlyArray<readonly [string, readonly ModelEndpoint[]]> {
  const believed = input.believed?.endpoints ?? [];
  if (!input.reading.endpoints) return believed;
  const merged = new Map<string, readonly ModelEndpoint[]>(believed);
  for (const [id, endpoints] of input.reading.endpoints) {
    // An empty list of hosts for a model that had some is a hiccup of the router, not a fact about the model.
    if (endpoints.length === 0 && merged.has(id)) continue;
    merged.set(
      id,
      endpoints.map((endpoint) => withPlausiblePrices(endpoint, input.policy)),
    );
  }
  return [...merged].sort(([a], [b]) => (a < b ? -1 : 1));
}
