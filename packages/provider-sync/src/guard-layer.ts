import { guardEndpoints, isEndpointEntry } from "./guard-endpoints.ts";
import type { GuardInput } from "./guard-input.ts";
import { type GuardedPrices, guardPrices, idsWithoutPrice, type PriceGuardContext } from "./guard-prices.ts";
import { guardProviders } from "./guard-providers.ts";
import { guardVanished } from "./guard-vanished.ts";
import { massMoveDoubt } from "./mass-move.ts";
import { listingId, type ModelListing } from "./model-listing.ts";
import { listKey, type QuarantineEntry, type QuarantineReason } from "./quarantine.ts";
import type { ListedModel, SourceLayer } from "./snapshot.ts";
import { withSteadyRelease } from "./steady-release.ts";
import { type ListDoubt, type WeighedDoubt, weighDoubt } from "./weigh-doubt.ts";

/**
 * The guard of one source: a reading and the last good layer in, the next layer out.
 *
 * 1. The list as a whole. Too short or too long, mostly invalid, missing too much, grown too much or moved in price as one: the last good
 *    list stays, untouched (weigh-doubt). What is missed is counted against all served models, the vanished ones among them, so that a
 *    list cannot be eroded in steps that are each small enough.
 * 2. Each price (guard-prices). 3. Each missed model (guard-vanished). 4. Provider and endpoint lists, by the same rules.
 *
 * A shorter list that time made believable is no sentence on what it misses: those models are marked, and served for as long as any
 * vanished ones, so that a great loss is not forgotten sooner than a small one. Its entry stays until they are gone.
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
  /** What the lists under doubt missed or added at every offer since its time began, by quarantine key. */
  readonly doubted: ReadonlyMap<string, readonly string[]>;
  /** Ids that are served no longer. */
  readonly removed: readonly string[];
  /** Ids listed twice; the one that is known counts, else the first. */
  readonly duplicates: readonly string[];
}

interface OfferedModels {
  readonly byId: Map<string, ModelListing>;
  readonly duplicates: string[];
}

/** How the source itself calls a listing: two of its items may lead to one id. */
function ownName({ sourceId, model }: ModelListing): string {
  return sourceId ?? model;
}

/** Of two items with one id the one that is known counts, else the first: what is served must not change with the order of a list. */
function indexOffered(models: readonly ModelListing[], servedById: ReadonlyMap<string, ListedModel>): OfferedModels {
  const byId = new Map<string, ModelListing>();
  const duplicates: string[] = [];
  for (const listing of models) {
    const id = listingId(listing.provider, listing.model);
    const first = byId.get(id);
    if (first !== undefined) duplicates.push(id);
    const served = first && servedById.get(id)?.listing;
    const isKnown = served !== undefined && ownName(listing) === ownName(served) && ownName(first as ModelListing) !== ownName(served);
    if (first === undefined || isKnown) byId.set(id, listing);
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

/** What is offered, and how it differs from what is served. */
interface Offer {
  readonly byId: ReadonlyMap<string, ModelListing>;
  readonly duplicates: readonly string[];
  readonly served: readonly ListedModel[];
  readonly servedById: ReadonlyMap<string, ListedModel>;
  /** Served models that did not validate in this list. */
  readonly unread: ReadonlySet<string>;
  readonly missing: readonly ListedModel[];
}

function compareOffer(input: GuardInput, offered: readonly ModelListing[]): Offer {
  const served = input.believed?.models ?? [];
  const servedById = new Map(served.map((model) => [idOf(model), model]));
  const unread = unreadable(input, served);
  const { byId, duplicates } = indexOffered(offered, servedById);
  const missing = [...servedById].flatMap(([id, model]) => (byId.has(id) || unread.has(id) ? [] : [model]));
  return { byId, duplicates, served, servedById, unread, missing };
}

/** Whether too many of a list's items are of no use: they do not validate, or their input or output price is none. */
function isMostlyInvalid({ policy, reading }: GuardInput, offered: number, withoutPrice: number): boolean {
  const rejected = reading.rejected.length;
  return (rejected + withoutPrice) / Math.max(1, offered + rejected) > policy.maxInvalidShare;
}

function judgeList(input: GuardInput, { byId, served, servedById, missing }: Offer): ListDoubt | undefined {
  const { policy } = input;
  const offered = byId.size;
  const doubt = (reason: QuarantineReason, ids: readonly string[], evidence: readonly string[] = ids): ListDoubt => ({
    kind: "models",
    reason,
    kept: served.length,
    offered,
    ids,
    evidence,
  });
  if (offered < policy.minModels) return doubt("too-few", [], [...byId.keys()]);
  if (isMostlyInvalid(input, offered, 0)) return doubt("mostly-invalid", []);
  if (missing.length > Math.max(policy.minDropCount, policy.maxDropShare * served.length))
    return doubt("dropped-too-many", missing.map(idOf));
  if (served.length === 0 || offered - served.length <= policy.minGrowthCount) return undefined;
  const added = [...byId.keys()].filter((id) => !servedById.has(id));
  const allowed = Math.max(policy.minGrowthCount, policy.maxGrowthShare * served.length);
  return added.length > allowed ? doubt("grew-too-much", added) : undefined;
}

/** The list is not believed: everything of it stays as it is. */
function refuse(input: GuardInput, weighed: WeighedDoubt, duplicates: readonly string[]): GuardVerdict {
  const { entry, reason, doubted } = weighed;
  return {
    refused: reason,
    layer: input.believed ?? emptyLayer(input.source),
    missedRuns: input.missedRuns,
    quarantine: [...input.quarantine.filter((held) => held.key !== entry.key), entry],
    doubted: new Map([[entry.key, doubted]]),
    removed: [],
    duplicates,
  };
}

interface PricedModels {
  readonly models: Map<string, ListedModel>;
  readonly entries: QuarantineEntry[];
  readonly moves: string[];
  /** Models with a price that moved much. */
  readonly moved: number;
}

function toListed(guarded: GuardedPrices, firstSeenAt: number): ListedModel {
  const { listing, lapsedPrices } = guarded;
  return lapsedPrices.length === 0 ? { listing, firstSeenAt } : { listing, firstSeenAt, lapsedPrices };
}

function priceModels({ byId, servedById }: Offer, context: PriceGuardContext): PricedModels {
  const priced: PricedModels = { models: new Map(), entries: [], moves: [], moved: 0 };
  let moved = 0;
  for (const [id, offered] of byId) {
    const believed = servedById.get(id);
    const guarded = guardPrices(id, withSteadyRelease(offered, believed?.listing, context.now), believed, context);
    priced.models.set(id, toListed(guarded, believed?.firstSeenAt ?? context.now));
    priced.entries.push(...guarded.entries);
    priced.moves.push(...guarded.moves);
    if (guarded.moves.length > 0) moved += 1;
  }
  return { ...priced, moved };
}

function guardModels(input: GuardInput, offered: readonly ModelListing[], context: PriceGuardContext): GuardVerdict {
  const { source, policy } = input;
  if (offered.length > policy.maxModels) {
    const doubt = {
      kind: "models" as const,
      reason: "too-many" as const,
      kept: input.believed?.models.length ?? 0,
      offered: offered.length,
    };
    return refuse(input, weighDoubt({ ...doubt, ids: [], evidence: [] }, input), []);
  }
  const offer = compareOffer(input, offered);
  const { byId, duplicates, served, servedById, missing, unread } = offer;
  const doubt = judgeList(input, offer);
  const weighed = doubt && weighDoubt(doubt, input);
  if (weighed?.belief === "refused") return refuse(input, weighed, duplicates);

  let priced = priceModels(offer, context);
  const { moves, moved } = priced;
  const movesDoubt = massMoveDoubt({ kind: "models", kept: served.length, judged: byId.size, moved, moves }, policy);
  const weighedMoves = movesDoubt && weighDoubt(movesDoubt, input);
  if (weighedMoves?.belief === "refused") return refuse(input, weighedMoves, duplicates);
  // Accepted by hand with just these moves: only values are judged.
  if (weighedMoves) priced = priceModels(offer, { ...context, believesMoves: true });
  // Of a first list nothing could have moved.
  else if (isMostlyInvalid(input, byId.size, idsWithoutPrice(priced.entries).size)) {
    const invalid = { kind: "models" as const, reason: "mostly-invalid" as const, kept: served.length, offered: byId.size };
    return refuse(input, weighDoubt({ ...invalid, ids: [], evidence: [] }, input), duplicates);
  }

  const { models, entries } = priced;
  const isListAccepted = weighed?.belief === "by-hand";
  const vanished = guardVanished(served, missing, { ...context, missedRuns: input.missedRuns, isListAccepted });
  for (const model of vanished.kept) models.set(idOf(model), model);
  for (const id of unread) if (!models.has(id)) models.set(id, servedById.get(id) as ListedModel);
  const sorted = [...models.keys()].sort().map((id) => models.get(id) as ListedModel);
  const isStillMissed = weighed?.belief === "by-time" && weighed.reason === "dropped-too-many" && vanished.kept.length > 0;
  return {
    layer: { source, models: sorted, providers: [], endpoints: [] },
    missedRuns: vanished.missedRuns,
    quarantine: [...entries, ...vanished.entries, ...(isStillMissed ? [weighed.entry] : [])],
    doubted: new Map(isStillMissed ? [[weighed.entry.key, weighed.doubted]] : []),
    removed: vanished.removed,
    duplicates,
  };
}

function emptyLayer(source: string): SourceLayer {
  return { source, models: [], providers: [], endpoints: [] };
}

/** The models of a source that did not tell any. */
function untouched(input: GuardInput): GuardVerdict {
  const key = listKey(input.source, "models");
  const known = input.doubted?.get(key);
  return {
    layer: input.believed ?? emptyLayer(input.source),
    missedRuns: input.missedRuns,
    quarantine: input.quarantine,
    doubted: new Map(known ? [[key, known]] : []),
    removed: [],
    duplicates: [],
  };
}

/** Judges what a source told against what it was believed to tell. */
export function guardLayer(input: GuardInput): GuardVerdict {
  const { source, reading, policy, now } = input;
  const own = input.quarantine.filter((entry) => entry.source === source);
  const context: PriceGuardContext = {
    source,
    policy,
    now,
    held: new Map(own.map((entry) => [entry.key, entry])),
    accepted: new Map(input.acceptances.map((acceptance) => [acceptance.key, acceptance])),
    believesMoves: false,
    otherPrices: input.otherPrices,
  };
  const ofModels = {
    ...input,
    quarantine: own.filter((entry) => entry.key !== listKey(source, "providers") && !isEndpointEntry(entry)),
  };
  const models = reading.models ? guardModels(ofModels, reading.models, context) : untouched(ofModels);
  const providers = guardProviders({ ...input, quarantine: own });
  const endpoints = guardEndpoints({ ...input, quarantine: own }, context);
  const refused = models.refused ?? (reading.models ? undefined : (providers.refused ?? endpoints.refused));
  return {
    ...models,
    ...(refused && { refused }),
    layer: { source, models: models.layer.models, providers: providers.providers, endpoints: endpoints.endpoints },
    quarantine: [...models.quarantine, ...providers.entries, ...endpoints.entries],
    doubted: new Map([...models.doubted, ...providers.doubted]),
  };
}
