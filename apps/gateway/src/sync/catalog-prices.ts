import type { Catalog, CatalogView, ModelPrice } from "@larder/provider-sync";
import type { TokenUsage } from "../answers/family.ts";
import type { PriceBook } from "../gateway-parts.ts";

type Prices = ModelPrice["usdPerMillion"];

/** Dollars for a million tokens of each kind: what is not told costs what it is a kind of. */
type Rates = Required<Prices>;

/** What a model's answers cost. */
interface Tariff {
  /** By the input from which they hold, the longest first; the last one holds from the first token. */
  readonly tiers: ReadonlyArray<{ readonly aboveTokens: number; readonly rates: Rates }>;
  /** Dollars for each answer, whatever its length. */
  readonly usdPerRequest: number;
}

/** Model names whose price is remembered; the names are the callers'. */
const MAX_NAMES = 2_000;

/** Prices from the synced catalog. Looked up once per provider, model name and version: a hit pays for a few multiplications. */
export function createCatalogPrices(catalog: Pick<Catalog, "view" | "price">): PriceBook {
  let view: CatalogView | undefined;
  let size = 0;
  let known = new Map<string, Map<string, Tariff | undefined>>();
  const tariffOf = (model: string, provider: string): Tariff | undefined => {
    if (view !== catalog.view || size >= MAX_NAMES) {
      view = catalog.view;
      size = 0;
      known = new Map();
    }
    const ofProvider = known.get(provider) ?? new Map<string, Tariff | undefined>();
    if (ofProvider.has(model)) return ofProvider.get(model);
    // A provider that is called as in the catalog is paid its own price, whatever others take for a model of that name.
    const found = catalog.price(model, provider) ?? catalog.price(model);
    const tariff = found && toTariff(found);
    known.set(provider, ofProvider.set(model, tariff));
    size += 1;
    return tariff;
  };
  return {
    costOf: ({ meta }) => {
      const { usage, provider } = meta;
      // What the provider calls it is what it is paid for; a name of its own, as deployments have, is in no catalog.
      const tariff = usage && (tariffOf(meta.upstreamModel ?? meta.model, provider) ?? tariffOf(meta.model, provider));
      if (!tariff) return 0;
      // Embeddings are kept item by item, of which a request had many.
      const usdPerRequest = meta.format === "json" ? tariff.usdPerRequest : 0;
      return usdPerRequest + costOfTokens(ratesFor(tariff, usage), usage) / 1e6;
    },
  };
}

/** A model that makes nothing but images or sound has no other price of its output. */
function toRates({ input = 0, ...told }: Prices): Rates {
  const { output = told.outputImage ?? told.outputAudio ?? 0, cacheRead = input, cacheWrite = input } = told;
  const { reasoning = output, outputAudio = output, outputImage = output } = told;
  const { cacheWriteLong = cacheWrite, inputAudio = input, inputImage = input } = told;
  return { input, output, cacheRead, cacheWrite, cacheWriteLong, reasoning, inputAudio, outputAudio, inputImage, outputImage };
}

/** What each kind of tokens is a kind of. */
const KIND_OF: ReadonlyArray<readonly [kind: keyof Prices, of: keyof Prices]> = [
  ["cacheRead", "input"],
  ["cacheWrite", "input"],
  ["cacheWriteLong", "cacheWrite"],
  ["inputAudio", "input"],
  ["inputImage", "input"],
  ["reasoning", "output"],
  ["outputAudio", "output"],
  ["outputImage", "output"],
];

/**
 * What a tier does not tell keeps its price, unless that only says that the kind costs what it is a kind of: then it still does. Of Gemini's models reasoning
 * is told so, and not again with the higher price of what a longer request is answered.
 */
function pricesOfTier(normal: Prices, told: Prices): Prices {
  const isTheSame = ([kind, of]: (typeof KIND_OF)[number]): boolean => told[of] !== undefined && normal[kind] === normal[of];
  const same = KIND_OF.filter(isTheSame).map(([kind]) => [kind, undefined]);
  return { ...normal, ...(Object.fromEntries(same) as Prices), ...told };
}

function toTariff({ usdPerMillion, usdPerUnit, priceTiers = [] }: ModelPrice): Tariff {
  const longer = priceTiers.map(({ aboveTokens, usdPerMillion: told }) => ({
    aboveTokens,
    rates: toRates(pricesOfTier(usdPerMillion, told)),
  }));
  return { tiers: [...longer.reverse(), { aboveTokens: -1, rates: toRates(usdPerMillion) }], usdPerRequest: usdPerUnit?.request ?? 0 };
}

function ratesFor({ tiers }: Tariff, { inputTokens }: TokenUsage): Rates {
  const { rates } = tiers.find(({ aboveTokens }) => inputTokens > aboveTokens) as Tariff["tiers"][number];
  return rates;
}

/** Millionths of dollars. */
function costOfTokens(rates: Rates, usage: TokenUsage): number {
  return costOfInput(rates, usage) + costOfOutput(rates, usage);
}

function costOfInput(rates: Rates, usage: TokenUsage): number {
  const { cacheReadTokens, cacheWriteTokens = 0, cacheWriteLongTokens = 0, inputAudioTokens, inputImageTokens } = usage;
  let rest = usage.inputTokens;
  const read = partOf(rest, cacheReadTokens);
  rest -= read;
  const kept = partOf(rest, cacheWriteLongTokens);
  rest -= kept;
  const written = partOf(rest, cacheWriteTokens - cacheWriteLongTokens);
  rest -= written;
  const sound = partOf(rest, inputAudioTokens);
  rest -= sound;
  const images = partOf(rest, inputImageTokens);
  rest -= images;
  const cached = read * rates.cacheRead + kept * rates.cacheWriteLong + written * rates.cacheWrite;
  return cached + sound * rates.inputAudio + images * rates.inputImage + rest * rates.input;
}

function costOfOutput(rates: Rates, { outputTokens, outputAudioTokens, outputImageTokens, reasoningTokens }: TokenUsage): number {
  let rest = outputTokens;
  const sound = partOf(rest, outputAudioTokens);
  rest -= sound;
  const images = partOf(rest, outputImageTokens);
  rest -= images;
  const thought = partOf(rest, reasoningTokens);
  rest -= thought;
  return sound * rates.outputAudio + images * rates.outputImage + thought * rates.reasoning + rest * rates.output;
}

/** Parts are told beside their sum, and not always of the same request: together they are never more than it. */
function partOf(rest: number, told = 0): number {
  return Math.min(Math.max(0, told), rest);
}
