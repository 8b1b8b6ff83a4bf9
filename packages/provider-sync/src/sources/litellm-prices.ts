import { z } from "zod";
import { finishInTurns } from "../in-slices.ts";
import type { ModelKind, ModelListing, PriceTier, TokenPriceField, TokenPrices } from "../model-listing.ts";
import { compact, fromIsoDate, looseFlag, looseList, looseNumber, loosePrice, looseText, sortedUnique, tokenCount } from "../normalize.ts";
import { parseItemsInSlices, parseShape } from "../parse-items.ts";
import { definedPrices, toPriceTiers } from "../prices.ts";
import type { Source } from "../source.ts";
import { fromUsd, fromUsdPerToken } from "../usd-per-million.ts";
import { litellmProvider } from "./litellm-provider.ts";
import { addressOf, authorization, UPSTREAM_OPTIONS, type UpstreamOptions } from "./upstream-options.ts";

/**
 * LiteLLM's price map: one flat object of models by key, prices as numbers in dollars per token, kept by hand by many. It is the widest
 * list of who charges what and the one with the most errors: 11-fold prices for days, prices per thousand or million written as per
 * token. Not every key is a model: `sample_spec` is documentation with text where numbers belong, and mirrors add a time stamp.
 */

const file = z.record(z.string(), z.unknown());

const model = z
  .looseObject({
    litellm_provider: looseText,
    mode: looseText,
    max_tokens: looseNumber,
    max_input_tokens: looseNumber,
    max_output_tokens: looseNumber,
    deprecation_date: looseText,
    supports_function_calling: looseFlag,
    supports_tool_choice: looseFlag,
    supports_reasoning: looseFlag,
    supports_response_schema: looseFlag,
    supports_vision: looseFlag,
    supports_audio_input: looseFlag,
    supports_audio_output: looseFlag,
    supports_pdf_input: looseFlag,
    tiered_pricing: looseList(z.looseObject({ range: z.array(z.number()).min(1) })),
  })
  .refine((raw) => raw.litellm_provider !== undefined, { path: ["litellm_provider"] });

type Raw = z.output<typeof model>;

/**
 * LiteLLM's cost fields and what they are here; of two for one price the later counts. Others (per second, per character, batch, priority) have no place in
 * the record.
 */
const TOKEN_FIELDS: ReadonlyMap<string, TokenPriceField> = new Map(
  Object.entries({
    input_cost_per_token: "input",
    output_cost_per_token: "output",
    // What cached input costs with DeepSeek, whose word for it is a hit.
    input_cost_per_token_cache_hit: "cacheRead",
    cache_read_input_token_cost: "cacheRead",
    cache_creation_input_token_cost: "cacheWrite",
    cache_creation_input_token_cost_above_1hr: "cacheWriteLong",
    output_cost_per_reasoning_token: "reasoning",
    input_cost_per_audio_token: "inputAudio",
    output_cost_per_audio_token: "outputAudio",
    input_cost_per_image_token: "inputImage",
    output_cost_per_image_token: "outputImage",
  } as const),
);

const KINDS: ReadonlyMap<string, ModelKind> = new Map(
  Object.entries({
    chat: "chat",
    completion: "chat",
    responses: "chat",
    embedding: "embedding",
    image_generation: "image",
    image_edit: "image",
    audio_transcription: "audio",
    audio_speech: "audio",
    video_generation: "video",
    rerank: "rerank",
    moderation: "moderation",
  } as const),
);

function priceOf(value: unknown): number | undefined {
  const parsed = loosePrice.safeParse(value);
  return parsed.success ? fromUsdPerToken(parsed.data) : Number.NaN;
}

function tokenPrices(raw: Readonly<Record<string, unknown>>): { [field in TokenPriceField]?: number } {
  const prices: { [field in TokenPriceField]?: number } = {};
  for (const [name, field] of TOKEN_FIELDS) {
    const price = priceOf(raw[name]);
    if (price !== undefined) prices[field] = price;
  }
  return definedPrices(prices);
}

/** Prices by ranges of the input's length, as some sellers have them: those from the first token, and those of longer inputs. */
function rangesOf({ tiered_pricing: ranges = [] }: Raw): ReadonlyArray<readonly [fromTokens: number, prices: TokenPrices]> {
  return ranges.map((told) => [told.range[0] ?? 0, tokenPrices(told)]);
}

/** `input_cost_per_token_above_200k_tokens` and its like, and ranges. */
function tiersOf(raw: Raw): PriceTier[] {
  const byLength = new Map<number, { [field in TokenPriceField]?: number }>();
  for (const [fromTokens, prices] of rangesOf(raw)) {
    const aboveTokens = tokenCount(fromTokens);
    if (aboveTokens !== undefined) byLength.set(aboveTokens, prices);
  }
  for (const name of Object.keys(raw)) {
    const tier = /^(.+)_above_(\d+)k_tokens$/.exec(name);
    const field = tier && TOKEN_FIELDS.get(tier[1] ?? "");
    const aboveTokens = tier ? tokenCount(Number(tier[2]) * 1000) : undefined;
    const price = field ? priceOf(raw[name]) : undefined;
    if (aboveTokens === undefined || !field || price === undefined) continue;
    byLength.set(aboveTokens, { ...byLength.get(aboveTokens), [field]: price });
  }
  return toPriceTiers(byLength);
}

function unitPrice(value: unknown): number | undefined {
  const parsed = loosePrice.safeParse(value);
  return parsed.success ? fromUsd(parsed.data) : Number.NaN;
}

function pricesOf(raw: Raw): Pick<ModelListing, "usdPerMillion" | "usdPerUnit" | "priceTiers"> {
  const priceTiers = tiersOf(raw);
  const usdPerUnit = definedPrices({
    request: unitPrice(raw.input_cost_per_request ?? raw.input_cost_per_query),
    inputImage: unitPrice(raw.input_cost_per_image),
    outputImage: unitPrice(raw.output_cost_per_image),
  });
  const first = rangesOf(raw).find(([fromTokens]) => fromTokens === 0)?.[1];
  return {
    usdPerMillion: definedPrices({ ...first, ...tokenPrices(raw) }),
    ...(Object.keys(usdPerUnit).length > 0 && { usdPerUnit }),
    ...(priceTiers.length > 0 && { priceTiers }),
  };
}

function modalitiesOf(raw: Raw, kind: ModelKind): Pick<ModelListing, "inputModalities" | "outputModalities"> {
  const inputs = kind === "chat" ? ["text"] : [];
  if (raw.supports_vision) inputs.push("image");
  if (raw.supports_audio_input) inputs.push("audio");
  if (raw.supports_pdf_input) inputs.push("file");
  const outputs = kind === "chat" ? ["text"] : [];
  if (raw.supports_audio_output) outputs.push("audio");
  return { inputModalities: sortedUnique(inputs), outputModalities: sortedUnique(outputs) };
}

function toListing(raw: Raw, key: string): ModelListing {
  const kind = KINDS.get(raw.mode ?? "") ?? "other";
  const { provider, model: name } = litellmProvider(raw.litellm_provider ?? "", key);
  return compact({
    provider,
    model: name,
    name,
    sourceId: key === name ? undefined : key,
    kind,
    ...pricesOf(raw),
    contextTokens: tokenCount(raw.max_input_tokens ?? raw.max_tokens),
    outputTokens: tokenCount(raw.max_output_tokens ?? raw.max_tokens),
    ...modalitiesOf(raw, kind),
    supportedParameters: sortedUnique([
      ...(raw.supports_function_calling ? ["tools"] : []),
      ...(raw.supports_tool_choice ? ["tool_choice"] : []),
      ...(raw.supports_reasoning ? ["reasoning"] : []),
      ...(raw.supports_response_schema ? ["response_format", "structured_outputs"] : []),
    ]),
    retiresAt: fromIsoDate(raw.deprecation_date),
  }) as ModelListing;
}

/** Keys that are no models: documentation, and what mirrors add. */
function* modelEntries(body: Record<string, unknown>): Generator<readonly [string, unknown]> {
  for (const [key, value] of Object.entries(body)) {
    if (key !== "sample_spec" && typeof value === "object" && value !== null) yield [key, value];
  }
}

/** LiteLLM's map of models and prices. */
export function litellmPrices(options: UpstreamOptions = {}): Source {
  const url = addressOf(
    options,
    "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json",
    UPSTREAM_OPTIONS,
  );
  const { apiKey } = options;
  return {
    name: "litellm",
    role: "primary",
    read: async (context) => {
      const body = parseShape("litellm", file, await context.getJson(url, { headers: authorization(apiKey) }));
      const { items, rejected } = await finishInTurns(parseItemsInSlices(modelEntries(body), model, toListing));
      return { models: items, rejected };
    },
  };
}
