import type { GuardInput } from "./guard-input.ts";
import { judgePrices, type PriceGuardContext } from "./guard-prices.ts";
import { massMoveDoubt } from "./mass-move.ts";
import type { ModelEndpoint, TokenPriceField } from "./model-listing.ts";
import { definedPrices, type PricePath } from "./prices.ts";
import { listKey, type QuarantineEntry, type QuarantineReason } from "./quarantine.ts";
import type { SourceLayer } from "./snapshot.ts";
import { weighDoubt } from "./weigh-doubt.ts";

/**
 * Prices of a router's hosts are judged like those of models: one by one against the last good ones, and all together, since a wrong
 * unit is wrong for every host. A host is known by its tag and variant within its model.
 */

type Endpoints = SourceLayer["endpoints"];

/** What became of the hosts that a source told. */
export interface GuardedEndpoints {
  readonly endpoints: Endpoints;
  readonly refused?: QuarantineReason;
  readonly entries: readonly QuarantineEntry[];
}

function nameOf({ tag, variant }: ModelEndpoint): string {
  return variant === undefined ? tag : `${tag}:${variant}`;
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * A router tells its hosts in any order. In one of ours the same hosts are the same text, and no new version; those that share a name are told apart by
 * their price of input, so that one is not judged against the other's price.
 */
function inOrder(endpoints: readonly ModelEndpoint[]): ModelEndpoint[] {
  const inputOf = ({ usdPerMillion }: ModelEndpoint): number => usdPerMillion.input ?? -1;
  return [...endpoints].sort(
    (a, b) => compareTexts(nameOf(a), nameOf(b)) || inputOf(a) - inputOf(b) || compareTexts(JSON.stringify(a), JSON.stringify(b)),
  );
}

/** Endpoints with the place of each among a model's prices; one that is listed twice has a place of its own. */
export function placeEndpoints(endpoints: readonly ModelEndpoint[]): Map<string, ModelEndpoint> {
  const placed = new Map<string, ModelEndpoint>();
  for (const endpoint of endpoints) {
    const name = nameOf(endpoint);
    let place = `endpoint[${name}].`;
    for (let copy = 2; placed.has(place); copy += 1) place = `endpoint[${name}#${copy}].`;
    placed.set(place, endpoint);
  }
  return placed;
}

/** The prices of one of them by path. */
export function pathed(place: string, endpoint: ModelEndpoint): Map<PricePath, number> {
  return new Map(Object.entries(endpoint.usdPerMillion).map(([field, price]) => [place + field, price]));
}

function withPathed(endpoint: ModelEndpoint, place: string, prices: ReadonlyMap<PricePath, number>): ModelEndpoint {
  const fields: { [field in TokenPriceField]?: number } = {};
  for (const [path, price] of prices) if (path.startsWith(place)) fields[path.slice(place.length) as TokenPriceField] = price;
  return { ...endpoint, usdPerMillion: definedPrices(fields) };
}

/** The endpoints with one price set or, with `null`, taken away: what was accepted by hand. */
export function withEndpointPrice(endpoints: readonly ModelEndpoint[], path: PricePath, price: number | null): ModelEndpoint[] {
  return [...placeEndpoints(endpoints)].map(([place, endpoint]) => {
    if (!path.startsWith(place)) return endpoint;
    const prices = pathed(place, endpoint);
    if (price === null) prices.delete(path);
    else prices.set(path, price);
    return withPathed(endpoint, place, prices);
  });
}

/** The prices of endpoints by path, as a model's quarantine entries name them. */
export function flattenEndpointPrices(endpoints: readonly ModelEndpoint[]): Map<PricePath, number> {
  return new Map([...placeEndpoints(endpoints)].flatMap(([place, endpoint]) => [...pathed(place, endpoint)]));
}

/** Whether an entry is about endpoints, and of which model; `""` for all. */
function modelOfEntry(entry: QuarantineEntry): string | undefined {
  if (entry.key === listKey(entry.source, "endpoints")) return "";
  return entry.path?.startsWith("endpoint[") ? entry.id : undefined;
}

/** Whether an entry is about endpoints. */
export function isEndpointEntry(entry: QuarantineEntry): boolean {
  return modelOfEntry(entry) !== undefined;
}

interface JudgedEndpoints {
  readonly merged: Map<string, readonly ModelEndpoint[]>;
  readonly entries: QuarantineEntry[];
  readonly moves: string[];
  readonly moved: number;
  readonly judged: number;
}

/** Endpoints told in this run replace those of the same model; models not told keep what was known. */
function judgeEndpoints(
  believed: Endpoints,
  told: ReadonlyMap<string, readonly ModelEndpoint[]>,
  context: PriceGuardContext,
): JudgedEndpoints {
  const merged = new Map<string, readonly ModelEndpoint[]>(believed);
  const entries: QuarantineEntry[] = [];
  const moves: string[] = [];
  let [moved, judged] = [0, 0];
  for (const [id, offered] of told) {
    const known = merged.get(id) ?? [];
    // An empty list of hosts for a model that had some is a hiccup of the router, not a fact about the model.
    if (offered.length === 0 && known.length > 0) {
      entries.push(...[...context.held.values()].filter((entry) => modelOfEntry(entry) === id));
      continue;
    }
    const before = placeEndpoints(inOrder(known));
    const guarded = [...placeEndpoints(inOrder(offered))].map(([place, endpoint]) => {
      const former = before.get(place);
      const prices = judgePrices(id, pathed(place, endpoint), former ? pathed(place, former) : new Map(), new Map(), context);
      entries.push(...prices.entries);
      moves.push(...prices.moves);
      judged += 1;
      if (prices.moves.length > 0) moved += 1;
      return prices.entries.length === 0 ? endpoint : withPathed(endpoint, place, prices.prices);
    });
    merged.set(id, guarded);
  }
  return { merged, entries, moves, moved, judged };
}

/** Judges the hosts that a source told. `context` is that of its prices; entries held for models that were not told stay. */
export function guardEndpoints(input: GuardInput, context: PriceGuardContext): GuardedEndpoints {
  const believed = input.believed?.endpoints ?? [];
  const told = input.reading.endpoints;
  const held = input.quarantine.filter(isEndpointEntry);
  if (!told) return { endpoints: believed, entries: held };
  let judged = judgeEndpoints(believed, told, context);
  const doubt = massMoveDoubt(
    { kind: "endpoints", kept: believed.reduce((count, [, hosts]) => count + hosts.length, 0), ...judged },
    input.policy,
  );
  const weighed = doubt && weighDoubt(doubt, input);
  if (weighed?.belief === "refused") {
    const others = held.filter((entry) => entry.key !== weighed.entry.key);
    return { endpoints: believed, refused: weighed.reason, entries: [...others, weighed.entry] };
  }
  if (weighed) judged = judgeEndpoints(believed, told, { ...context, believesMoves: true });
  const untold = held.filter((entry) => entry.id !== undefined && !told.has(entry.id));
  const endpoints = [...judged.merged].sort(([a], [b]) => (a < b ? -1 : 1));
  return { endpoints, entries: [...untold, ...judged.entries] };
}
