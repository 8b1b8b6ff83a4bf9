import { pathed, placeEndpoints } from "./guard-endpoints.ts";
import type { CatalogModel } from "./merge-layers.ts";
import type { ModelListing } from "./model-listing.ts";
import { flattenPrices, type PricePath } from "./prices.ts";

/** What happened to a model from one version to the next. */
export type ModelChangeKind = "added" | "removed" | "vanished" | "returned" | "price" | "changed";

/** One change of one model. */
export interface ModelChange {
  readonly id: string;
  readonly kind: ModelChangeKind;
  /** The price path or the field (`endpoints`: names of hosts that came or went); absent for a model that came or went. */
  readonly field?: string;
  /** Before and after: prices as numbers, other fields as short JSON; absent = not there. */
  readonly before?: number | string;
  readonly after?: number | string;
}

type Told = Exclude<keyof ModelListing, "provider" | "model" | "sourceId" | "usdPerMillion" | "usdPerUnit" | "priceTiers"> | "priceSource";

/** All but what names a model, and its prices. */
const FIELDS = Object.keys({
  name: true,
  author: true,
  kind: true,
  contextTokens: true,
  outputTokens: true,
  inputModalities: true,
  outputModalities: true,
  supportedParameters: true,
  aliases: true,
  releasedAt: true,
  retiresAt: true,
  isDeprecated: true,
  knowledgeCutoff: true,
  hasOpenWeights: true,
  isModerated: true,
  priceSource: true,
} satisfies Record<Told, true>) as readonly Told[];

/** Longest text of a field that a change keeps. */
const MAX_TEXT = 500;

function show(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

function sides(before: number | string | undefined, after: number | string | undefined): Pick<ModelChange, "before" | "after"> {
  return { ...(before !== undefined && { before }), ...(after !== undefined && { after }) };
}

function isSame(before: unknown, after: unknown): boolean {
  if (before === after) return true;
  if (!Array.isArray(before) || !Array.isArray(after) || before.length !== after.length) return false;
  return before.every((value, index) => value === after[index]);
}

type Prices = ReadonlyMap<PricePath, number>;

function diffPrices(id: string, old: Prices, young: Prices): ModelChange[] {
  const changes: ModelChange[] = [];
  const compare = (field: string): void => {
    if (old.get(field) !== young.get(field)) changes.push({ id, kind: "price", field, ...sides(old.get(field), young.get(field)) });
  };
  for (const field of old.keys()) compare(field);
  for (const field of young.keys()) if (!old.has(field)) compare(field);
  return changes;
}

type Hosts = ReturnType<typeof placeEndpoints>;

/** Names in order; `undefined` for none. */
function showHosts(hosts: Hosts): string | undefined {
  const names = [...hosts.keys()].map((place) => place.slice("endpoint[".length, -"].".length));
  return names.length > 0 ? show(names.sort()) : undefined;
}

/** One line for all hosts that came or went, and the prices of those that were there before: a host that is new has no former price. */
function diffHosts(before: CatalogModel, after: CatalogModel): ModelChange[] {
  if (before.endpoints.length === 0 && after.endpoints.length === 0) return [];
  const [old, young] = [placeEndpoints(before.endpoints), placeEndpoints(after.endpoints)];
  const pricesOf = (hosts: Hosts, others: Hosts): Prices =>
    new Map([...hosts].flatMap(([place, host]) => (others.has(place) ? [...pathed(place, host)] : [])));
  const prices = diffPrices(after.id, pricesOf(old, young), pricesOf(young, old));
  if (old.size === young.size && [...old.keys()].every((place) => young.has(place))) return prices;
  return [...prices, { id: after.id, kind: "changed", field: "endpoints", ...sides(showHosts(old), showHosts(young)) }];
}

function diffModel(before: CatalogModel, after: CatalogModel): ModelChange[] {
  const changes = [...diffPrices(after.id, flattenPrices(before), flattenPrices(after)), ...diffHosts(before, after)];
  for (const field of FIELDS) {
    if (!isSame(before[field], after[field]))
      changes.push({ id: after.id, kind: "changed", field, ...sides(show(before[field]), show(after[field])) });
  }
  if (before.status !== after.status) changes.unshift({ id: after.id, kind: after.status === "vanished" ? "vanished" : "returned" });
  return changes;
}

/** What differs between two catalogs, sorted by id: what the history keeps and the command line shows. O(models). */
export function diffModels(before: readonly CatalogModel[], after: readonly CatalogModel[]): ModelChange[] {
  const old = new Map(before.map((model) => [model.id, model]));
  const changes: ModelChange[] = [];
  for (const model of after) {
    const former = old.get(model.id);
    if (former) changes.push(...diffModel(former, model));
    else changes.push({ id: model.id, kind: "added" });
    old.delete(model.id);
  }
  for (const id of old.keys()) changes.push({ id, kind: "removed" });
  return changes.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}
