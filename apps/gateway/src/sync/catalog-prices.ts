import type { Catalog, CatalogView } from "@larder/provider-sync";
import type { PriceBook } from "../gateway-parts.ts";

interface Price {
  readonly inputUsd: number;
  readonly outputUsd: number;
}

/** Model names whose price is remembered; the names are the callers'. */
const MAX_NAMES = 2_000;

/** Prices from the synced catalog. Looked up once per model name and version: a hit pays for two multiplications. */
export function createCatalogPrices(catalog: Pick<Catalog, "view" | "price">): PriceBook {
  let view: CatalogView | undefined;
  let known = new Map<string, Price | undefined>();
  const priceOf = (model: string): Price | undefined => {
    if (view !== catalog.view || known.size >= MAX_NAMES) {
      view = catalog.view;
      known = new Map();
    }
    if (known.has(model)) return known.get(model);
    const found = catalog.price(model)?.usdPerMillion;
    const price = found && { inputUsd: (found.input ?? 0) / 1e6, outputUsd: (found.output ?? 0) / 1e6 };
    known.set(model, price);
    return price;
  };
  return {
    costOf: ({ meta }) => {
      // What the provider calls it is what it is paid for; a name of its own, as deployments have, is in no catalog.
      const price = meta.usage && (priceOf(meta.upstreamModel ?? meta.model) ?? priceOf(meta.model));
      return price && meta.usage ? price.inputUsd * meta.usage.inputTokens + price.outputUsd * meta.usage.outputTokens : 0;
    },
  };
}
