import type { GuardInput } from "./guard-input.ts";
import { guardEndpoints, guardProviders } from "./guard-lists.ts";
import { guardPrices } from "./guard-prices.ts";
import { guardVanished } from "./guard-vanished.ts";
import { listingId, type ModelListing } from "./model-listing.ts";
import type { QuarantineEntry, QuarantineReason } from "./quarantine.ts";
import type { ListedModel, SourceLayer } from "./snapshot.ts";

/**
 * The guard of one source: a reading and the last good layer in, the next layer out.
 *
 * 1. The list as a whole. Too short, mostly invalid, missing too much or moved in price as one: the last good list stays, untouched.
 *    What is missed is counted against all served models, the vanished ones among them, so that a list cannot be eroded in steps that
 *    are each small enough.
 * 2. Each price (guard-prices). 3. Each missed model (guard-vanished). 4. Provider and endpoint lists, by the same rules.
 *
 * Nothing here asks a clock or a store: the same reading, layer and instant give the same answer, so histories can be replayed.
 */

/** What the guard made of a reading. */
export interface GuardVerdict {
  /** The list as a whole was not believed, for this reason; its layer is the last good one. */
  readonly refused?: QuarantineReason;
  readonly layer: SourceLayer;
  readonly missedRuns: ReadonlyMap<string, number>;
  readonly quarantine: readonly QuarantineEntry[];
  /** Ids that are served no longer. */
  readonly removed: readonly string[];
  /** Ids listed twice; the first one counts. */
  readonly duplicates: readonly string[];
}

interface OfferedModels {
  readonly byId: Map<string, ModelListing>;
  readonly duplicates: string[];
}

function indexOffered(models: readonly ModelListing[]): OfferedModels {
  const byId = new Map<string, ModelListing>();
  const duplicates: string[] = [];
  for (const listing of models) {
    const id = listingId(listing.provider, listing.model);
    if (byId.has(id)) duplicates.push(id);
    else byId.set(id, listing);
  }
  return { byId, duplicates };
}

function idOf(model: ListedModel): string {
  return listingId(model.listing.provider, model.listing.model);
}

/** Models whose item is in the list but did not validate are not missed: the last good form of them stays. */
function unreadable(input: GuardInput, served: readonly ListedModel[]): Set<string> {
  const rejected = new Set(input.reading.rejected.map((item) => item.id.toLowerCase()));
  if (rejected.size === 0) return rejected;
  const ids = served.filter((model) => {
    const { sourceId, model: name } = model.listing;
    return (
      rejected.has(idOf(model)) || rejected.has(name.toLowerCase()) || (sourceId !== undefined && rejected.has(sourceId.toLowerCase()))
    );
  });
  return new Set(ids.map(idOf));
}

function judgeList(input: GuardInput, offered: number, missing: number, served: number): QuarantineReason | undefined {
  const { policy, reading } = input;
  if (offered < policy.minModels) return "too-few";
  if (reading.rejected.length / Math.max(1, offered + reading.rejected.length) > policy.maxInvalidShare) return "mostly-invalid";
  return missing > Math.max(policy.minDropCount, policy.maxDropShare * served) ? "dropped-too-many" : undefined;
}

/** Only a valid but shorter list may be believed after all; an empty or broken one never. */
function isBelievedAfterAll(input: GuardInput, key: string, reason: QuarantineReason, offered: number): boolean {
  if (offered === 0 || reason === "mostly-invalid") return false;
  if (input.acceptances.some((acceptance) => acceptance.key === key)) return true;
  const held = input.quarantine.find((entry) => entry.key === key);
  return reason === "dropped-too-many" && held?.expiresAt !== undefined && input.now >= held.expiresAt;
}

function refuse(input: GuardInput, reason: QuarantineReason, offered: number, served: number, duplicates: readonly string[]): GuardVerdict {
  const key = `${input.source}#models`;
  const since = input.quarantine.find((entry) => entry.key === key && entry.reason === reason)?.since ?? input.now;
  const expiresAt = since + (reason === "dropped-too-many" ? input.policy.listConfirmMs : Number.POSITIVE_INFINITY);
  const entry: QuarantineEntry = {
    key,
    source: input.source,
    reason,
    kept: served,
    offered,
    since,
    ...(Number.isFinite(expiresAt) && { expiresAt }),
  };
  return {
    refused: reason,
    layer: input.believed ?? { source: input.source, models: [], providers: [], endpoints: [] },
    missedRuns: input.missedRuns,
    quarantine: [...input.quarantine.filter((held) => held.key !== key), entry],
    removed: [],
    duplicates,
  };
}

function guardModels(input: GuardInput, offeredModels: readonly ModelListing[]): GuardVerdict {
  const { source, policy, now, quarantine, acceptances } = input;
  const served = input.believed?.models ?? [];
  const believedById = new Map(served.map((model) => [idOf(model), model]));
  const { byId, duplicates } = indexOffered(offeredModels);
  const unread = unreadable(input, served);
  const missing = [...believedById].flatMap(([id, model]) => (byId.has(id) || unread.has(id) ? [] : [model]));
  const listKey = `${source}#models`;

  const doubt = judgeList(input, byId.size, missing.length, served.length);
  const isListAccepted = doubt !== undefined && isBelievedAfterAll(input, listKey, doubt, byId.size);
  if (doubt && !isListAccepted) return refuse(input, doubt, byId.size, served.length, duplicates);

  const held = new Map(quarantine.map((entry) => [entry.key, entry]));
  const accepted = new Map(acceptances.map((acceptance) => [acceptance.key, acceptance]));
  const context = { source, policy, now, held, accepted };
  const isMassAccepted = accepted.has(listKey) && held.get(listKey)?.reason === "mass-jump";
  const prices = { ...context, otherPrices: input.otherPrices, believesMoves: isMassAccepted };
  const models = new Map<string, ListedModel>();
  const entries: QuarantineEntry[] = [];
  let jumped = 0;
  for (const [id, offered] of byId) {
    const believed = believedById.get(id);
    const guarded = guardPrices(id, offered, believed?.listing, prices);
    models.set(id, { listing: guarded.listing, firstSeenAt: believed?.firstSeenAt ?? now });
    entries.push(...guarded.entries);
    if (guarded.hasJumped) jumped += 1;
  }
  if (jumped > Math.max(20, policy.maxJumpShare * byId.size) && !isMassAccepted)
    return refuse(input, "mass-jump", byId.size, served.length, duplicates);

  const vanished = guardVanished(served, missing, { ...context, missedRuns: input.missedRuns, isListAccepted });
  for (const model of vanished.kept) models.set(idOf(model), model);
  for (const id of unread) if (!models.has(id)) models.set(id, believedById.get(id) as ListedModel);
  const sorted = [...models.keys()].sort().map((id) => models.get(id) as ListedModel);
  return {
    layer: { source, models: sorted, providers: [], endpoints: [] },
    missedRuns: vanished.missedRuns,
    quarantine: [...entries, ...vanished.entries],
    removed: vanished.removed,
    duplicates,
  };
}

/** Judges what a source told against what it was believed to tell. */
export function guardLayer(input: GuardInput): GuardVerdict {
  const { source, reading, believed } = input;
  const own = input.quarantine.filter((entry) => entry.source === source);
  const scoped = { ...input, quarantine: own };
  const untouched: GuardVerdict = {
    layer: believed ?? { source, models: [], providers: [], endpoints: [] },
    missedRuns: input.missedRuns,
    quarantine: own.filter((entry) => !entry.key.endsWith("#providers")),
    removed: [],
    duplicates: [],
  };
  const models = reading.models ? guardModels(scoped, reading.models) : untouched;
  const providers = guardProviders(scoped);
  const layer: SourceLayer = {
    source,
    models: models.layer.models,
    providers: providers.providers,
    endpoints: guardEndpoints(scoped),
  };
  const refused = models.refused ?? (reading.models ? undefined : providers.refused);
  return {
    ...models,
    ...(refused && { refused }),
    layer,
    quarantine: [...models.quarantine.filter((entry) => !entry.key.endsWith("#providers")), ...providers.entries],
  };
}
