import { listingId } from "./model-listing.ts";
import { flattenPrices } from "./prices.ts";
import type { SnapshotContent } from "./snapshot.ts";

/** Sources that list one price differently. */
export interface PriceDisagreement {
  readonly id: string;
  readonly path: string;
  /** Every source's price, the most trusted first. */
  readonly prices: ReadonlyArray<{ readonly source: string; readonly price: number }>;
  /** The greatest price over the smallest; `Infinity` when one of them is 0. */
  readonly factor: number;
  /** The source that stands alone against at least two that agree; absent when nobody can tell. */
  readonly outlier?: string;
}

/** Two sources' agreement on the prices that both list. */
export interface SourceAgreement {
  readonly sources: readonly [string, string];
  /** Models whose input and output prices both list. */
  readonly models: number;
  readonly agreeing: number;
}

type Quote = { readonly source: string; readonly price: number };

/** Every live listing's prices by id and path. */
function quotesByPath(content: SnapshotContent): Map<string, Map<string, Quote[]>> {
  const byId = new Map<string, Map<string, Quote[]>>();
  for (const { source, models } of content.layers) {
    for (const { listing, vanishedAt } of models) {
      if (vanishedAt !== undefined) continue;
      const id = listingId(listing.provider, listing.model);
      const paths = byId.get(id) ?? new Map<string, Quote[]>();
      for (const [path, price] of flattenPrices(listing)) paths.set(path, [...(paths.get(path) ?? []), { source, price }]);
      byId.set(id, paths);
    }
  }
  return byId;
}

function agree(a: number, b: number, tolerance: number): boolean {
  return Math.abs(a - b) <= tolerance * Math.max(a, b);
}

function findOutlier(quotes: readonly Quote[], tolerance: number): string | undefined {
  // Of two that disagree both stand alone.
  const alone = quotes.filter((quote) => !quotes.some((other) => other !== quote && agree(other.price, quote.price, tolerance)));
  return alone.length === 1 ? alone[0]?.source : undefined;
}

/**
 * Prices on which sources that list the same model of the same provider disagree by more than `tolerance`, the greatest factor first.
 * It changes nothing: an older list disagrees for honest reasons, and the order of trust has decided already.
 */
export function comparePrices(content: SnapshotContent, tolerance = 0.02): PriceDisagreement[] {
  const found: PriceDisagreement[] = [];
  for (const [id, paths] of quotesByPath(content)) {
    for (const [path, quotes] of paths) {
      const values = quotes.map((quote) => quote.price);
      const [lowest, highest] = [Math.min(...values), Math.max(...values)];
      if (agree(lowest, highest, tolerance)) continue;
      const outlier = findOutlier(quotes, tolerance);
      found.push({ id, path, prices: quotes, factor: highest / lowest, ...(outlier !== undefined && { outlier }) });
    }
  }
  return found.sort((a, b) => b.factor - a.factor || (a.id < b.id ? -1 : 1));
}

/** How far each pair of sources agrees: input and output price of one model both within `tolerance`. */
export function compareSources(content: SnapshotContent, tolerance = 0.02): SourceAgreement[] {
  const pairs = new Map<string, { sources: readonly [string, string]; models: number; agreeing: number }>();
  for (const paths of quotesByPath(content).values()) {
    const [inputs, outputs] = [paths.get("input") ?? [], paths.get("output") ?? []];
    for (const [index, a] of inputs.entries()) {
      for (const b of inputs.slice(index + 1)) {
        const outA = outputs.find((quote) => quote.source === a.source);
        const outB = outputs.find((quote) => quote.source === b.source);
        if (!outA || !outB) continue;
        const key = JSON.stringify([a.source, b.source]);
        const pair = pairs.get(key) ?? { sources: [a.source, b.source] as const, models: 0, agreeing: 0 };
        pair.models += 1;
        if (agree(a.price, b.price, tolerance) && agree(outA.price, outB.price, tolerance)) pair.agreeing += 1;
        pairs.set(key, pair);
      }
    }
  }
  return [...pairs.values()];
}
