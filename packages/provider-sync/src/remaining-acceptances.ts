import { flattenEndpointPrices } from "./guard-endpoints.ts";
import { listingId } from "./model-listing.ts";
import { flattenPrices, type PricePath } from "./prices.ts";
import { type Acceptance, groupKey, listKey, priceKey } from "./quarantine.ts";
import type { SourceLayer } from "./snapshot.ts";
import type { SourceReading } from "./source.ts";
import { fingerprintOf } from "./weigh-doubt.ts";

function isForList(key: string, source: string): boolean {
  return (
    key === listKey(source, "models") ||
    key === listKey(source, "providers") ||
    key === listKey(source, "endpoints") ||
    key.startsWith(groupKey(source, ""))
  );
}

/** Whether a list that is too short is the one that was accepted: what is below the floor stays so with every run. */
function isStillTooFew({ key, reason, fingerprint }: Acceptance, source: string, { models, providers }: SourceReading): boolean {
  if (reason !== "too-few") return false;
  const ids =
    key === listKey(source, "models")
      ? models?.map((listing) => listingId(listing.provider, listing.model))
      : providers?.map(({ id }) => id);
  return ids !== undefined && fingerprintOf([...new Set(ids)]) === fingerprint;
}

/** Prices that a reading offers, by quarantine key; those that nobody asks for left out. */
function offeredPrices(reading: SourceReading, source: string, wanted: ReadonlySet<string>): Map<string, number> {
  const offered = new Map<string, number>();
  const add = (id: string, prices: ReadonlyMap<PricePath, number>): void => {
    for (const [path, price] of prices) {
      const key = priceKey(source, id, path);
      if (wanted.has(key)) offered.set(key, price);
    }
  };
  for (const listing of reading.models ?? []) add(listingId(listing.provider, listing.model), flattenPrices(listing));
  for (const [id, endpoints] of reading.endpoints ?? []) add(id, flattenEndpointPrices(endpoints));
  return offered;
}

/** What the keys of prices begin with that this list says nothing of, although they are served: of models that it misses, and of models whose hosts it does not tell. */
function untoldKeys({ models, endpoints }: SourceReading, source: string, layer: SourceLayer | undefined): string[] {
  const told = new Set(models?.map(({ provider, model }) => listingId(provider, model)));
  const missed = (layer?.models ?? []).map(({ listing }) => listingId(listing.provider, listing.model)).filter((id) => !told.has(id));
  const unasked = (layer?.endpoints ?? []).flatMap(([id]) => (endpoints?.get(id)?.length ? [] : [id]));
  return [...missed.map((id) => priceKey(source, id, "")), ...unasked.map((id) => priceKey(source, id, "endpoint["))];
}

/**
 * What is left of the acceptances once a source's list was taken. Those of lists and groups are spent, but for a list below the floor.
 * Those of such a list and of prices hold for as long as just that is offered: what was right last year must not open the door to the same number when the price was another for months.
 * A model that a list misses for a while, or whose hosts could not be asked for, is offered at no other price. That a price is gone, once accepted, is so in
 * the layer and needs no acceptance.
 * @param layer what is served of the source from now on
 */
export function remainingAcceptances(
  acceptances: readonly Acceptance[],
  source: string,
  reading: SourceReading,
  layer: SourceLayer | undefined,
): Acceptance[] {
  const own = acceptances.filter((acceptance) => acceptance.key.startsWith(`${source}#`));
  if (own.length === 0) return [...acceptances];
  const offered = offeredPrices(reading, source, new Set(own.map(({ key }) => key)));
  const untold = untoldKeys(reading, source, layer);
  return acceptances.filter((acceptance) => {
    if (!own.includes(acceptance)) return true;
    if (isForList(acceptance.key, source)) return isStillTooFew(acceptance, source, reading);
    if (untold.some((start) => acceptance.key.startsWith(start))) return true;
    return acceptance.offered !== null && offered.get(acceptance.key) === acceptance.offered;
  });
}
