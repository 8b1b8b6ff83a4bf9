import { listingId, type ModelEndpoint, type ModelListing, type ProviderRecord } from "./model-listing.ts";
import type { QuarantineReason } from "./quarantine.ts";
import type { ListedModel, SnapshotContent } from "./snapshot.ts";

/** A price that an upstream offers and the catalog does not show. */
export interface HeldPrice {
  readonly source: string;
  readonly path: string;
  readonly reason: QuarantineReason;
  /** `null` = unreadable or withdrawn. */
  readonly offered: number | null;
}

/** A model of the catalog: what the most trusted source says of it, filled up from the others. */
export interface CatalogModel extends ModelListing {
  /** Provider and model in lower case: unique in the catalog. */
  readonly id: string;
  /** Sources that list it, the most trusted first. */
  readonly sources: readonly string[];
  /** The source of all of its prices; absent when no source tells any. Prices of two sources are never mixed. */
  readonly priceSource?: string;
  /** `"vanished"`: no source lists it any more; served for a while longer. */
  readonly status: "live" | "vanished";
  /** Epoch milliseconds of the first run that missed it; absent while live. */
  readonly vanishedAt?: number;
  /** Prices held back by the guards; empty for most. */
  readonly heldPrices: readonly HeldPrice[];
  /** Hosts behind a router; empty where not told. */
  readonly endpoints: readonly ModelEndpoint[];
}

interface Claim extends ListedModel {
  readonly source: string;
}

function hasPrices(listing: ModelListing): boolean {
  for (const _price in listing.usdPerMillion) return true;
  for (const _price in listing.usdPerUnit ?? {}) return true;
  return false;
}

const noHeldPrices: readonly HeldPrice[] = [];
const noEndpoints: readonly ModelEndpoint[] = [];

function pricesOf(claim: Claim | undefined): Pick<CatalogModel, "usdPerMillion" | "usdPerUnit" | "priceTiers" | "priceSource"> {
  if (!claim) return { usdPerMillion: {} };
  const { usdPerMillion, usdPerUnit, priceTiers } = claim.listing;
  return { usdPerMillion, ...(usdPerUnit && { usdPerUnit }), ...(priceTiers && { priceTiers }), priceSource: claim.source };
}

/** The first non-empty list, the most trusted first. */
function firstList(claims: readonly Claim[], field: "inputModalities" | "outputModalities" | "supportedParameters"): readonly string[] {
  return claims.find((claim) => claim.listing[field].length > 0)?.listing[field] ?? [];
}

function mergeClaims(id: string, claims: readonly Claim[], held: readonly HeldPrice[], endpoints: readonly ModelEndpoint[]): CatalogModel {
  const live = claims.filter((claim) => claim.vanishedAt === undefined);
  const ranked = live.length > 0 ? [...live, ...claims.filter((claim) => claim.vanishedAt !== undefined)] : claims;
  const first = ranked[0] as Claim;
  // Later spreads win, so the most trusted comes last; absent fields are not there to overwrite anything.
  const filled: ModelListing = ranked.length === 1 ? first.listing : Object.assign({}, ...ranked.map((claim) => claim.listing).reverse());
  const { usdPerMillion: _tokens, usdPerUnit: _units, priceTiers: _tiers, aliases: _aliases, sourceId: _sourceId, ...rest } = filled;
  const aliases = [...new Set(ranked.flatMap((claim) => claim.listing.aliases ?? []))];
  const vanishedAt = live.length > 0 ? undefined : Math.max(...claims.map((claim) => claim.vanishedAt ?? 0));
  return {
    ...rest,
    id,
    inputModalities: firstList(ranked, "inputModalities"),
    outputModalities: firstList(ranked, "outputModalities"),
    supportedParameters: firstList(ranked, "supportedParameters"),
    ...pricesOf(ranked.find((claim) => hasPrices(claim.listing))),
    ...(aliases.length > 0 && { aliases }),
    sources: ranked.map((claim) => claim.source),
    status: vanishedAt === undefined ? "live" : "vanished",
    ...(vanishedAt !== undefined && { vanishedAt }),
    heldPrices: held,
    endpoints,
  };
}

function heldById(content: SnapshotContent): Map<string, HeldPrice[]> {
  const held = new Map<string, HeldPrice[]>();
  for (const { id, path, source, reason, offered } of content.quarantine) {
    if (id === undefined || path === undefined) continue;
    const prices = held.get(id) ?? [];
    prices.push({ source, path, reason, offered });
    held.set(id, prices);
  }
  return held;
}

/** The catalog that a content says, sorted by id. Pure: every reader of a version computes the same one. */
export function mergeModels(content: SnapshotContent): CatalogModel[] {
  const claims = new Map<string, Claim[]>();
  for (const layer of content.layers) {
    for (const model of layer.models) {
      const id = listingId(model.listing.provider, model.listing.model);
      const claim = { ...model, source: layer.source };
      const known = claims.get(id);
      if (known) known.push(claim);
      else claims.set(id, [claim]);
    }
  }
  const held = heldById(content);
  const endpoints = new Map(content.layers.flatMap((layer) => layer.endpoints));
  const ids = [...claims.keys()].sort();
  return ids.map((id) => mergeClaims(id, claims.get(id) as Claim[], held.get(id) ?? noHeldPrices, endpoints.get(id) ?? noEndpoints));
}

/** The providers that a content says, by id, filled up from less trusted sources. Providers known only by their models are named after their id. */
export function mergeProviders(content: SnapshotContent, models: readonly CatalogModel[]): ProviderRecord[] {
  const providers = new Map<string, ProviderRecord>();
  for (const layer of content.layers) {
    for (const provider of layer.providers) providers.set(provider.id, { ...provider, ...providers.get(provider.id) });
  }
  for (const { provider } of models) if (!providers.has(provider)) providers.set(provider, { id: provider, name: provider });
  return [...providers.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}
