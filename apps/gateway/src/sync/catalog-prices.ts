import type { Catalog, CatalogView } from "@larder/provider-sync";
import type { TokenUsage } from "../answers/family.ts";
import type { PriceBook } from "../gateway-parts.ts";

/** Dollars for a million tokens, as far as the catalog knows them. */
type Prices = NonNullable<ReturnType<Catalog["price"]>>["usdPerMillion"];

/** Dollars for a token. */
interface Price {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

/** Model names whose price is remembered; the names are the callers'. */
const MAX_NAMES = 2_000;

/** Prices from the synced catalog. Looked up once per model name and version: a hit pays for a few multiplications. */
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
    const price = found && toPrice(found);
    known.set(model, price);
    return price;
  };
  return {
    costOf: ({ meta }) => {
      // What the provider calls it is what it is paid for; a name of its own, as deployments have, is in no catalog.
      const price = meta.usage && (priceOf(meta.upstreamModel ?? meta.model) ?? priceOf(meta.model));
      return price && meta.usage ? costOf(price, meta.usage) : 0;
    },
  };
}

/** What went through the provider's prompt cache has a price of its own; where that is not known, it cost what any input costs. */
function toPrice({ input = 0, output = 0, cacheRead = input, cacheWrite = input }: Prices): Price {
  return { input: input / 1e6, output: output / 1e6, cacheRead: cacheRead / 1e6, cacheWrite: cacheWrite / 1e6 };
}

function costOf(price: Price, { inputTokens, outputTokens, cacheReadTokens = 0, cacheWriteTokens = 0 }: TokenUsage): number {
  const read = Math.min(cacheReadTokens, inputTokens);
  const written = Math.min(cacheWriteTokens, inputTokens - read);
  const plain = inputTokens - read - written;
  return price.input * plain + price.cacheRead * read + price.cacheWrite * written + price.output * outputTokens;
}
