import { z } from "zod";
import { finishInTurns } from "../in-slices.ts";
import type { ModelKind, ModelListing, PriceTier, TokenPrices } from "../model-listing.ts";
import {
  compact,
  fromEpochSeconds,
  fromIsoDate,
  looseFlag,
  looseList,
  looseNumber,
  loosePrice,
  looseText,
  looseTexts,
  sortedUnique,
  text,
  tokenCount,
} from "../normalize.ts";
import { entriesById, parseItemsInSlices, parseShape, wholeList } from "../parse-items.ts";
import { definedPrices, toPriceTiers } from "../prices.ts";
import type { Source, SourceContext, SourceReading } from "../source.ts";
import { fromUsd, fromUsdPerToken } from "../usd-per-million.ts";
import { addressOf, authorization, UPSTREAM_OPTIONS, type UpstreamOptions } from "./upstream-options.ts";

/**
 * OpenRouter's `GET /api/v1/models`. Its OpenAPI calls many fields required that real bodies of 2025 and 2026 leave out, so that only
 * `id` is asked for. Prices are decimal strings in dollars per token; "-1" means that the price depends on where the request is routed.
 */

const priceFields = {
  prompt: loosePrice,
  completion: loosePrice,
  request: loosePrice,
  image: loosePrice,
  image_token: loosePrice,
  image_output: loosePrice,
  audio: loosePrice,
  audio_output: loosePrice,
  input_cache_read: loosePrice,
  input_cache_write: loosePrice,
  input_cache_write_1h: loosePrice,
  internal_reasoning: loosePrice,
  web_search: loosePrice,
};

/** Prices that hold instead under conditions, all of which must be met: a longer prompt, a time of the day. */
const overrides = looseList(
  z.looseObject({ ...priceFields, min_prompt_tokens: looseNumber, utc_start: z.unknown().optional(), utc_end: z.unknown().optional() }),
);

/** OpenRouter's pricing object, of a model or of one endpoint. */
export const openRouterPricing = z.looseObject({ ...priceFields, overrides }).nullish();

type Pricing = z.output<z.ZodObject<typeof priceFields, z.core.$loose>>;

const model = z.looseObject({
  id: z.string().min(1).max(300),
  canonical_slug: looseText,
  name: looseText,
  created: z.number().nullish().catch(undefined),
  context_length: looseNumber,
  architecture: z
    .looseObject({ modality: looseText, input_modalities: looseTexts, output_modalities: looseTexts })
    .nullish()
    .catch(undefined),
  pricing: openRouterPricing,
  top_provider: z.looseObject({ max_completion_tokens: looseNumber, is_moderated: looseFlag }).nullish().catch(undefined),
  supported_parameters: looseTexts,
  knowledge_cutoff: looseText,
  expiration_date: looseText,
});

/** "-1" tells that nobody knows. */
function known(price: string | number | null | undefined): string | number | null | undefined {
  return Number(price) === -1 ? undefined : price;
}

/** Tokens of text that no image is cheaper than; those of the stored bodies cost what 250 and more do. */
const TOKENS_OF_AN_IMAGE = 16;

/**
 * `image` is the price of an input image by the API's description, and was it in bodies of 2025; those of 2026 tell under the same name what one token of
 * it costs. Read as the former, an image would be all but free, and the change a jump by thousands.
 */
function inputImagePrices({ prompt, image, image_token: token }: Pricing): { readonly perToken?: number; readonly perImage?: number } {
  const text = fromUsdPerToken(known(prompt)) ?? 0;
  const asToken = fromUsdPerToken(known(image)) ?? 0;
  const isOfToken = asToken > 0 && asToken < text * TOKENS_OF_AN_IMAGE;
  const perToken = fromUsdPerToken(known(token)) ?? (isOfToken ? asToken : undefined);
  const perImage = isOfToken ? undefined : fromUsd(known(image));
  return { ...(perToken !== undefined && { perToken }), ...(perImage !== undefined && { perImage }) };
}

/**
 * Bodies of 2025 and early 2026 say "0" of nearly every model, those that reason among them: nothing is added, and the tokens are paid as output. They are free
 * where the output is.
 */
function reasoningPrice({ completion, internal_reasoning: reasoning }: Pricing): number | undefined {
  const price = fromUsdPerToken(known(reasoning));
  return price === 0 && fromUsdPerToken(known(completion)) !== 0 ? undefined : price;
}

/** Prices of an OpenRouter pricing object in the catalog's units. */
export function openRouterPrices(pricing: Pricing | null | undefined): Pick<ModelListing, "usdPerMillion" | "usdPerUnit"> {
  const inputImage = pricing ? inputImagePrices(pricing) : {};
  const usdPerMillion = definedPrices({
    input: fromUsdPerToken(known(pricing?.prompt)),
    output: fromUsdPerToken(known(pricing?.completion)),
    cacheRead: fromUsdPerToken(known(pricing?.input_cache_read)),
    cacheWrite: fromUsdPerToken(known(pricing?.input_cache_write)),
    cacheWriteLong: fromUsdPerToken(known(pricing?.input_cache_write_1h)),
    reasoning: pricing ? reasoningPrice(pricing) : undefined,
    inputAudio: fromUsdPerToken(known(pricing?.audio)),
    outputAudio: fromUsdPerToken(known(pricing?.audio_output)),
    inputImage: inputImage.perToken,
    outputImage: fromUsdPerToken(known(pricing?.image_output)),
  });
  const usdPerUnit = definedPrices({
    request: fromUsd(known(pricing?.request)),
    inputImage: inputImage.perImage,
    webSearch: fromUsd(known(pricing?.web_search)),
  });
  return { usdPerMillion, ...(Object.keys(usdPerUnit).length > 0 && { usdPerUnit }) };
}

/** Conditional prices of one model that are looked at: each is compared with each. */
const MAX_OVERRIDES = 64;

/** Of the conditional prices those of long prompts; the record has no place for times of the day. Where several apply, the later one in the list wins. */
function tiersOf(raw: z.output<typeof openRouterPricing>): PriceTier[] {
  const entries = (raw?.overrides ?? [])
    .slice(0, MAX_OVERRIDES)
    .flatMap(({ min_prompt_tokens: least, utc_start: start, utc_end: end, ...prices }) => {
      const aboveTokens = tokenCount(least);
      const isOfTheDay = (start ?? end ?? undefined) !== undefined;
      return aboveTokens === undefined || isOfTheDay ? [] : [{ aboveTokens, usdPerMillion: openRouterPrices(prices).usdPerMillion }];
    });
  const holdingAbove = (tokens: number): TokenPrices =>
    Object.assign({}, ...entries.filter(({ aboveTokens }) => aboveTokens <= tokens).map(({ usdPerMillion }) => usdPerMillion));
  return toPriceTiers(new Map(entries.map(({ aboveTokens }) => [aboveTokens, holdingAbove(aboveTokens)])));
}

function kindOf(outputs: readonly string[]): ModelKind {
  if (outputs.length === 0 || outputs.includes("text")) return "chat";
  if (outputs.includes("embeddings")) return "embedding";
  if (outputs.includes("image")) return "image";
  return outputs.includes("audio") ? "audio" : outputs.includes("video") ? "video" : "other";
}

/** The slug as a name of this model alone: variants (`:free`, `:thinking`) share that of the one without, and not its price. */
function ownSlug({ id, canonical_slug: told }: z.output<typeof model>): string | undefined {
  const slug = text(told);
  const variant = /:[^:/]+$/.exec(id)?.[0] ?? "";
  return slug === undefined || slug.endsWith(variant) ? slug : slug + variant;
}

function toListing(raw: z.output<typeof model>): ModelListing {
  const outputModalities = raw.architecture?.output_modalities ?? [];
  const slug = ownSlug(raw);
  const priceTiers = tiersOf(raw.pricing);
  const author = raw.id.includes("/") ? raw.id.split("/")[0]?.replace(/^~/, "").toLowerCase() : undefined;
  return compact({
    provider: "openrouter",
    model: raw.id,
    name: text(raw.name) ?? raw.id,
    author,
    kind: kindOf(outputModalities),
    ...openRouterPrices(raw.pricing),
    priceTiers: priceTiers.length > 0 ? priceTiers : undefined,
    contextTokens: tokenCount(raw.context_length),
    outputTokens: tokenCount(raw.top_provider?.max_completion_tokens),
    inputModalities: sortedUnique(raw.architecture?.input_modalities ?? []),
    outputModalities: sortedUnique(outputModalities),
    supportedParameters: sortedUnique(raw.supported_parameters ?? []),
    aliases: slug !== undefined && slug !== raw.id ? [slug] : undefined,
    releasedAt: fromEpochSeconds(raw.created),
    retiresAt: fromIsoDate(raw.expiration_date),
    knowledgeCutoff: text(raw.knowledge_cutoff),
    isModerated: raw.top_provider?.is_moderated ?? undefined,
  }) as ModelListing;
}

/** OpenRouter's models and what OpenRouter charges for them. */
export function openRouterModels(options: UpstreamOptions = {}): Source {
  const url = addressOf(options, "https://openrouter.ai/api/v1/models", UPSTREAM_OPTIONS);
  const { apiKey } = options;
  return {
    name: "openrouter",
    role: "primary",
    read: async (context: SourceContext): Promise<SourceReading> => {
      const body = parseShape("openrouter", wholeList, await context.getJson(url, { headers: authorization(apiKey) }));
      const { items, rejected } = await finishInTurns(parseItemsInSlices(entriesById(body.data), model, toListing));
      return { models: items, rejected };
    },
  };
}
