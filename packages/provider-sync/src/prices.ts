import type { ModelListing, PriceTier, TokenPriceField, TokenPrices, UnitPriceField, UnitPrices } from "./model-listing.ts";

/**
 * The place of one price in a listing: a token price (`input`), a tier's (`above200000.input`), one by the piece (`unit.request`), or one
 * of a router's hosts (`endpoint[google-vertex/europe].input`).
 * Guards, diffs and comparisons walk prices by path, so that a new kind of price is guarded the day it is mapped.
 */
export type PricePath = string;

/** All prices of a listing by path, unknown ones left out. */
export function flattenPrices(listing: Pick<ModelListing, "usdPerMillion" | "usdPerUnit" | "priceTiers">): Map<PricePath, number> {
  const prices = new Map<PricePath, number>();
  const add = (prefix: string, group: TokenPrices | UnitPrices): void => {
    for (const [field, price] of Object.entries(group)) if (price !== undefined) prices.set(prefix + field, price);
  };
  add("", listing.usdPerMillion);
  for (const tier of listing.priceTiers ?? []) add(`above${tier.aboveTokens}.`, tier.usdPerMillion);
  add("unit.", listing.usdPerUnit ?? {});
  return prices;
}

/** The tier and field of a tier's price; `undefined` for another path. */
export function parseTierPath(path: PricePath): { readonly aboveTokens: number; readonly field: TokenPriceField } | undefined {
  const parts = path.startsWith("above") ? /^above(\d+)\.(.+)$/.exec(path) : null;
  return parts ? { aboveTokens: Number(parts[1]), field: parts[2] as TokenPriceField } : undefined;
}

/** The listing with these prices in place of its own. */
export function withPrices(listing: ModelListing, prices: ReadonlyMap<PricePath, number>): ModelListing {
  const tokens: { [field in TokenPriceField]?: number } = {};
  const units: { [field in UnitPriceField]?: number } = {};
  const tiers = new Map<number, { [field in TokenPriceField]?: number }>();
  for (const [path, price] of prices) {
    const tier = parseTierPath(path);
    if (tier) {
      const group = tiers.get(tier.aboveTokens) ?? {};
      group[tier.field] = price;
      tiers.set(tier.aboveTokens, group);
    } else if (path.startsWith("unit.")) {
      units[path.slice(5) as UnitPriceField] = price;
    } else {
      tokens[path as TokenPriceField] = price;
    }
  }
  const { usdPerUnit: _units, priceTiers: _tiers, ...rest } = listing;
  const groups = priceGroups(definedPrices(tokens), units, tiers);
  // Fields keep their places: a listing that says the same must be the same text, or it would make a new version.
  const kept = Object.keys(listing).filter((key) => key in groups || key in rest);
  const placed = Object.fromEntries(
    kept.map((key) => [key, key in groups ? groups[key as keyof typeof groups] : listing[key as keyof ModelListing]]),
  );
  return { ...placed, ...groups } as ModelListing;
}

function priceGroups(
  tokens: TokenPrices,
  units: UnitPrices,
  tiers: ReadonlyMap<number, TokenPrices>,
): Pick<ModelListing, "usdPerMillion" | "usdPerUnit" | "priceTiers"> {
  const priceTiers = toPriceTiers(tiers);
  return {
    usdPerMillion: tokens,
    ...(Object.keys(units).length > 0 && { usdPerUnit: definedPrices(units) }),
    ...(priceTiers.length > 0 && { priceTiers }),
  };
}

/** Tiers that one model may have: real ones have up to three, and each of them is guarded and kept. */
const MAX_TIERS = 16;

/** Tiers in ascending order; of more than anybody has, the lowest. */
export function toPriceTiers(byLength: ReadonlyMap<number, TokenPrices>): PriceTier[] {
  return [...byLength]
    .sort(([a], [b]) => a - b)
    .slice(0, MAX_TIERS)
    .map(([aboveTokens, usdPerMillion]) => ({ aboveTokens, usdPerMillion: definedPrices(usdPerMillion) }));
}

const ORDER = new Map<string, number>(
  [
    "input",
    "output",
    "cacheRead",
    "cacheWrite",
    "cacheWriteLong",
    "reasoning",
    "inputAudio",
    "outputAudio",
    "inputImage",
    "outputImage",
    "request",
    "webSearch",
  ].map((field, index) => [field, index]),
);

/** Drops what is `undefined` and puts the fields in one order, so that the same prices are the same text wherever they come from. */
export function definedPrices<Field extends string>(
  prices: { readonly [field in Field]?: number | undefined },
): { [field in Field]?: number } {
  const fields = (Object.keys(prices) as Field[]).sort((a, b) => (ORDER.get(a) ?? 99) - (ORDER.get(b) ?? 99));
  const defined: { [field in Field]?: number } = {};
  for (const field of fields) {
    const price = prices[field];
    if (price !== undefined) defined[field] = price;
  }
  return defined;
}
