import { finish, forEachInSlices, type Sliced, stopAfter } from "./in-slices.ts";
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

/** A source's word on one model. */
interface Claim {
  readonly listed: ListedModel;
  readonly source: string;
  /** The source's name as the list that most models have: shared, because there are thousands. */
  readonly alone: readonly string[];
}

function hasPrices(listing: ModelListing): boolean {
  for (const _price in listing.usdPerMillion) return true;
  for (const _price in listing.usdPerUnit ?? {}) return true;
  return false;
}

const noHeldPrices: readonly HeldPrice[] = [];
const noEndpoints: readonly ModelEndpoint[] = [];

/** The first non-empty list, the most trusted first. */
function firstList(claims: readonly Claim[], field: "inputModalities" | "outputModalities" | "supportedParameters"): readonly string[] {
  return claims.find((claim) => claim.listed.listing[field].length > 0)?.listed.listing[field] ?? [];
}

/** A model that one source lists: nearly all. */
function fromOne(
  id: string,
  { listed, source, alone }: Claim,
  heldPrices: readonly HeldPrice[],
  endpoints: readonly ModelEndpoint[],
): CatalogModel {
  const { listing, vanishedAt } = listed;
  const model: { -readonly [Field in keyof CatalogModel]: CatalogModel[Field] } = {
    ...listing,
    id,
    sources: alone,
    status: vanishedAt === undefined ? "live" : "vanished",
    heldPrices,
    endpoints,
  };
  if (hasPrices(listing)) model.priceSource = source;
  if (vanishedAt !== undefined) model.vanishedAt = vanishedAt;
  return model;
}

/** The name and the kind of the most trusted source that tells one: each listing has both, as `model` and `"other"` where its source tells none. */
function nameAndKind(ranked: readonly Claim[], { name, kind }: ModelListing): Pick<ModelListing, "name" | "kind"> {
  const listings = ranked.map((claim) => claim.listed.listing);
  const named = listings.find((listing) => listing.name !== listing.model);
  const known = listings.find((listing) => listing.kind !== "other");
  return { name: named?.name ?? name, kind: known?.kind ?? kind };
}

/** What the most trusted source says, filled up from the others; prices are one source's alone. Claims come in the order of trust. */
function unite(ranked: readonly Claim[]): ModelListing & Pick<CatalogModel, "priceSource"> {
  // Later ones win, so the most trusted comes last; absent fields are not there to overwrite anything.
  const filled: ModelListing = Object.assign({}, ...ranked.map((claim) => claim.listed.listing).reverse());
  const { usdPerMillion: _tokens, usdPerUnit: _units, priceTiers: _tiers, aliases: _aliases, ...rest } = filled;
  const aliases = [...new Set(ranked.flatMap((claim) => claim.listed.listing.aliases ?? []))];
  const priced = ranked.find((claim) => hasPrices(claim.listed.listing));
  const { usdPerMillion = {}, usdPerUnit, priceTiers } = priced?.listed.listing ?? {};
  return {
    ...rest,
    ...nameAndKind(ranked, filled),
    inputModalities: firstList(ranked, "inputModalities"),
    outputModalities: firstList(ranked, "outputModalities"),
    supportedParameters: firstList(ranked, "supportedParameters"),
    usdPerMillion,
    ...(usdPerUnit && { usdPerUnit }),
    ...(priceTiers && { priceTiers }),
    ...(priced && { priceSource: priced.source }),
    ...(aliases.length > 0 && { aliases }),
  };
}

function fromSeveral(
  id: string,
  claims: readonly Claim[],
  heldPrices: readonly HeldPrice[],
  endpoints: readonly ModelEndpoint[],
): CatalogModel {
  const isLive = claims.some((claim) => claim.listed.vanishedAt === undefined);
  const vanishedAt = isLive ? undefined : Math.max(...claims.map((claim) => claim.listed.vanishedAt ?? 0));
  return {
    // One that misses the model just now stays as trusted as it is: else the price would change its source with every list that flaps.
    ...unite(claims),
    id,
    sources: claims.map((claim) => claim.source),
    status: vanishedAt === undefined ? "live" : "vanished",
    ...(vanishedAt !== undefined && { vanishedAt }),
    heldPrices,
    endpoints,
  };
}

/** The hosts of each model as the most trusted source that knows any tells them. */
function hostsById({ layers }: SnapshotContent): Map<string, readonly ModelEndpoint[]> {
  const hosts = new Map<string, readonly ModelEndpoint[]>();
  for (const [id, endpoints] of layers.flatMap((layer) => layer.endpoints)) if (!hosts.get(id)?.length) hosts.set(id, endpoints);
  return hosts;
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
  return finish(mergeModelsInSlices(content));
}

/** `mergeModels` in slices. */
export function* mergeModelsInSlices(content: SnapshotContent): Sliced<CatalogModel[]> {
  const claims = new Map<string, Claim | Claim[]>();
  for (const { source, models } of content.layers) {
    const alone = [source];
    yield* forEachInSlices(models, (listed) => {
      const id = listingId(listed.listing.provider, listed.listing.model);
      const claim = { listed, source, alone };
      const known = claims.get(id);
      if (known === undefined) claims.set(id, claim);
      else if (Array.isArray(known)) known.push(claim);
      else claims.set(id, [known, claim]);
    });
  }
  const held = heldById(content);
  const endpoints = hostsById(content);
  const ids = [...claims.keys()].sort();
  yield* stopAfter(ids.length);
  const merged: CatalogModel[] = [];
  yield* forEachInSlices(ids, (id) => {
    const claim = claims.get(id) as Claim | Claim[];
    const [heldPrices, hosts] = [held.get(id) ?? noHeldPrices, endpoints.get(id) ?? noEndpoints];
    merged.push(Array.isArray(claim) ? fromSeveral(id, claim, heldPrices, hosts) : fromOne(id, claim, heldPrices, hosts));
  });
  return merged;
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
