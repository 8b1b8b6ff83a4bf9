import { z } from "zod";
import { finishInTurns } from "../in-slices.ts";
import type { ModelKind, ModelListing, PriceTier, TokenPriceField } from "../model-listing.ts";
import {
  compact,
  fromEpochSeconds,
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
import type { Source } from "../source.ts";
import { fromUsd, fromUsdPerToken } from "../usd-per-million.ts";
import { addressOf, authorization, UPSTREAM_OPTIONS, type UpstreamOptions } from "./upstream-options.ts";

/** Vercel AI Gateway's `GET /v1/models`. Prices are decimal strings in dollars per token, with tiers by input length beside them. */

const tiers = looseList(z.looseObject({ cost: loosePrice, min: looseNumber }));

const pricing = z.looseObject({
  input: loosePrice,
  output: loosePrice,
  input_cache_read: loosePrice,
  input_cache_write: loosePrice,
  image: loosePrice,
  input_tiers: tiers,
  output_tiers: tiers,
  input_cache_read_tiers: tiers,
  input_cache_write_tiers: tiers,
});

const model = z.looseObject({
  id: z.string().min(1).max(300),
  created: z.number().nullish().catch(undefined),
  released: z.number().nullish().catch(undefined),
  owned_by: looseText,
  name: looseText,
  context_window: looseNumber,
  max_tokens: looseNumber,
  type: looseText,
  tags: looseTexts,
  pricing: pricing.nullish(),
});

const KINDS: ReadonlyMap<string, ModelKind> = new Map(
  Object.entries({
    language: "chat",
    embedding: "embedding",
    image: "image",
    video: "video",
    reranking: "rerank",
    transcription: "audio",
    speech: "audio",
    realtime: "chat",
  } as const),
);

/** Tags are not parameters, but they tell which parameters make sense. */
const PARAMETERS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({ "tool-use": ["tools", "tool_choice"], reasoning: ["reasoning"] }),
);
/** Tags that tell what goes in. */
const INPUTS: ReadonlyMap<string, string> = new Map(Object.entries({ vision: "image", "file-input": "file" }));

function tiersOf(raw: z.output<typeof pricing>): PriceTier[] {
  const groups: ReadonlyArray<readonly [TokenPriceField, z.output<typeof tiers>]> = [
    ["input", raw.input_tiers],
    ["output", raw.output_tiers],
    ["cacheRead", raw.input_cache_read_tiers],
    ["cacheWrite", raw.input_cache_write_tiers],
  ];
  const byLength = new Map<number, { [field in TokenPriceField]?: number }>();
  for (const [field, entries] of groups) {
    for (const { cost, min } of entries ?? []) {
      const price = fromUsdPerToken(cost);
      const aboveTokens = tokenCount(min);
      // The tier from 0 repeats the base price.
      if (aboveTokens !== undefined && price !== undefined) byLength.set(aboveTokens, { ...byLength.get(aboveTokens), [field]: price });
    }
  }
  return toPriceTiers(byLength);
}

function pricesOf(raw: z.output<typeof pricing> | null | undefined): Pick<ModelListing, "usdPerMillion" | "usdPerUnit" | "priceTiers"> {
  if (!raw) return { usdPerMillion: {} };
  const priceTiers = tiersOf(raw);
  const image = fromUsd(raw.image);
  return {
    usdPerMillion: definedPrices({
      input: fromUsdPerToken(raw.input),
      output: fromUsdPerToken(raw.output),
      cacheRead: fromUsdPerToken(raw.input_cache_read),
      cacheWrite: fromUsdPerToken(raw.input_cache_write),
    }),
    ...(image !== undefined && { usdPerUnit: { outputImage: image } }),
    ...(priceTiers.length > 0 && { priceTiers }),
  };
}

function toListing(raw: z.output<typeof model>): ModelListing {
  const tags = raw.tags ?? [];
  const kind = KINDS.get(raw.type ?? "language") ?? "other";
  return compact({
    provider: "vercel",
    model: raw.id,
    name: text(raw.name) ?? raw.id,
    author: (text(raw.owned_by) ?? raw.id.split("/")[0])?.toLowerCase(),
    kind,
    ...pricesOf(raw.pricing),
    contextTokens: tokenCount(raw.context_window),
    outputTokens: tokenCount(raw.max_tokens),
    inputModalities: kind === "chat" ? sortedUnique(["text", ...tags.flatMap((tag) => INPUTS.get(tag) ?? [])]) : [],
    outputModalities: kind === "chat" ? ["text"] : [],
    supportedParameters: sortedUnique(tags.flatMap((tag) => PARAMETERS.get(tag) ?? [])),
    releasedAt: fromEpochSeconds(raw.released ?? raw.created),
  }) as ModelListing;
}

/** The models of Vercel's AI Gateway and what it charges for them. */
export function vercelGateway(options: UpstreamOptions = {}): Source {
  const url = addressOf(options, "https://ai-gateway.vercel.sh/v1/models", UPSTREAM_OPTIONS);
  const { apiKey } = options;
  return {
    name: "vercel",
    role: "primary",
    minModels: 20,
    read: async (context) => {
      const body = parseShape("vercel", wholeList, await context.getJson(url, { headers: authorization(apiKey) }));
      const { items, rejected } = await finishInTurns(parseItemsInSlices(entriesById(body.data), model, toListing));
      return { models: items, rejected };
    },
  };
}
