import { listingId } from "./model-listing.ts";
import { flattenPrices, type PricePath } from "./prices.ts";
import type { ReadOutcome } from "./read-sources.ts";
import { layerOf, type SnapshotContent } from "./snapshot.ts";

/** What a source told in this run, and whether the guards took its list. */
export interface ToldList {
  readonly outcome: ReadOutcome;
  readonly isBelieved: boolean;
}

type PriceIndex = ReadonlyMap<string, ReadonlyMap<PricePath, number>>;

/**
 * What the other sources say that a price is. Only what a source says itself counts, and only a list that is believed: its list of this run
 * where that was taken, else its last good one. One that is refused as a whole has its prices in another unit, or is not the list that
 * it should be; it must not confirm what it would not be believed itself.
 */
export function createCorroboration(
  told: readonly ToldList[],
  content: SnapshotContent,
): (source: string, id: string, path: PricePath) => readonly number[] {
  const indexes = new Map<string, PriceIndex>();
  const indexOf = ({ outcome, isBelieved }: ToldList): PriceIndex => {
    const { name } = outcome.source;
    const known = indexes.get(name);
    if (known) return known;
    const own = isBelieved && outcome.outcome === "read" ? outcome.reading.models : undefined;
    const listings = own ?? layerOf(content, name)?.models.map((model) => model.listing) ?? [];
    const index = new Map(listings.map((listing) => [listingId(listing.provider, listing.model), flattenPrices(listing)]));
    indexes.set(name, index);
    return index;
  };
  return (source, id, path) =>
    told.flatMap((list) => {
      const price = list.outcome.source.name === source ? undefined : indexOf(list).get(id)?.get(path);
      return price === undefined ? [] : [price];
    });
}
