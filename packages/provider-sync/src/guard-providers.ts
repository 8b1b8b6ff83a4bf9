import type { GuardInput } from "./guard-input.ts";
import type { ProviderRecord } from "./model-listing.ts";
import { listKey, type QuarantineEntry, type QuarantineReason } from "./quarantine.ts";
import { type ListDoubt, weighDoubt } from "./weigh-doubt.ts";

/** What became of a provider list. */
export interface GuardedProviders {
  readonly providers: readonly ProviderRecord[];
  readonly refused?: QuarantineReason;
  readonly entries: readonly QuarantineEntry[];
  /** What every refused list missed since its time began, by quarantine key. */
  readonly doubted: ReadonlyMap<string, readonly string[]>;
}

function doubtOf(
  believed: readonly ProviderRecord[],
  offered: ReadonlyMap<string, ProviderRecord>,
  { policy }: GuardInput,
): ListDoubt | undefined {
  const ids = believed.flatMap(({ id }) => (offered.has(id) ? [] : [id]));
  const doubt = { kind: "providers" as const, kept: believed.length, offered: offered.size, ids };
  if (offered.size < policy.minProviders) return { ...doubt, reason: "too-few", evidence: [...offered.keys()] };
  const isShorter = ids.length > Math.max(policy.minDropCount, policy.maxDropShare * believed.length);
  return isShorter ? { ...doubt, reason: "dropped-too-many", evidence: ids } : undefined;
}

/** A list of providers passes whole or not at all; it has no prices to judge, and a provider that leaves takes its models' prices nowhere. */
export function guardProviders(input: GuardInput): GuardedProviders {
  const { source, reading, doubted = new Map() } = input;
  const key = listKey(source, "providers");
  const believed = input.believed?.providers ?? [];
  if (!reading.providers) {
    const known = doubted.get(key);
    return {
      providers: believed,
      entries: input.quarantine.filter((entry) => entry.key === key),
      doubted: new Map(known ? [[key, known]] : []),
    };
  }
  const offered = new Map(reading.providers.map((provider) => [provider.id, provider]));
  const doubt = doubtOf(believed, offered, input);
  const weighed = doubt && weighDoubt(doubt, input);
  if (weighed?.belief === "refused")
    return { providers: believed, refused: weighed.reason, entries: [weighed.entry], doubted: new Map([[key, weighed.doubted]]) };
  const providers = [...offered.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  return { providers, entries: [], doubted: new Map() };
}
