import { z } from "zod";
import { finishInTurns, type Sliced } from "../in-slices.ts";
import type { ModelKind, ModelListing, ProviderRecord } from "../model-listing.ts";
import {
  compact,
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
import { parseItems, parseShape } from "../parse-items.ts";
import { definedPrices, toPriceTiers } from "../prices.ts";
import type { Source, SourceReading } from "../source.ts";
import { fromUsd } from "../usd-per-million.ts";
import { addressOf, authorization, UPSTREAM_OPTIONS, type UpstreamOptions } from "./upstream-options.ts";

/**
 * models.dev's `api.json`: providers by id, each with its models by id, written by hand in a public repository. Prices are numbers in
 * dollars per MILLION tokens, unlike all other sources.
 */

const file = z.record(z.string(), z.unknown());

const prices = {
  input: loosePrice,
  output: loosePrice,
  reasoning: loosePrice,
  cache_read: loosePrice,
  cache_write: loosePrice,
  // The files are written by hand, and some twenty have other names for the same.
  cached_input: loosePrice,
  cache_input: loosePrice,
  cached_write: loosePrice,
  input_audio: loosePrice,
  output_audio: loosePrice,
};
const cost = z.looseObject({
  ...prices,
  tiers: looseList(z.looseObject({ tier: z.looseObject({ size: looseNumber }), ...prices })),
});

const model = z.looseObject({
  id: z.string().min(1).max(300),
  name: looseText,
  tool_call: looseFlag,
  reasoning: looseFlag,
  temperature: looseFlag,
  structured_output: looseFlag,
  knowledge: looseText,
  release_date: looseText,
  modalities: z.looseObject({ input: looseTexts, output: looseTexts }).nullish().catch(undefined),
  open_weights: looseFlag,
  limit: z.looseObject({ context: looseNumber, output: looseNumber }).nullish().catch(undefined),
  status: looseText,
  cost: cost.nullish(),
});

const provider = z.looseObject({
  id: z.string().min(1).max(100),
  name: looseText,
  env: looseTexts,
  api: looseText,
  doc: looseText,
  models: z.record(z.string(), z.unknown()),
});

type Cost = z.output<typeof cost>;

function tokenPrices(raw: Pick<Cost, keyof typeof prices>): ModelListing["usdPerMillion"] {
  return definedPrices({
    input: fromUsd(raw.input),
    output: fromUsd(raw.output),
    reasoning: fromUsd(raw.reasoning),
    cacheRead: fromUsd(raw.cache_read ?? raw.cached_input ?? raw.cache_input),
    cacheWrite: fromUsd(raw.cache_write ?? raw.cached_write),
    inputAudio: fromUsd(raw.input_audio),
    outputAudio: fromUsd(raw.output_audio),
  });
}

function pricesOf(raw: Cost | null | undefined): Pick<ModelListing, "usdPerMillion" | "priceTiers"> {
  if (!raw) return { usdPerMillion: {} };
  const byLength = new Map<number, ModelListing["usdPerMillion"]>();
  for (const { tier, ...told } of raw.tiers ?? []) {
    const aboveTokens = tokenCount(tier.size);
    if (aboveTokens !== undefined) byLength.set(aboveTokens, tokenPrices(told));
  }
  const priceTiers = toPriceTiers(byLength);
  return { usdPerMillion: tokenPrices(raw), ...(priceTiers.length > 0 && { priceTiers }) };
}

function kindOf(id: string, inputs: readonly string[], outputs: readonly string[]): ModelKind {
  if (/embed/i.test(id)) return "embedding";
  if (/rerank/i.test(id)) return "rerank";
  // What takes sound alone writes it down, and cannot be asked anything.
  if (inputs.length > 0 && inputs.every((input) => input === "audio")) return "audio";
  if (outputs.length === 0 || outputs.includes("text")) return "chat";
  return outputs.includes("image") ? "image" : outputs.includes("video") ? "video" : outputs.includes("audio") ? "audio" : "other";
}

function parametersOf(raw: z.output<typeof model>): string[] {
  return sortedUnique([
    ...(raw.tool_call ? ["tools", "tool_choice"] : []),
    ...(raw.reasoning ? ["reasoning"] : []),
    ...(raw.temperature ? ["temperature"] : []),
    ...(raw.structured_output ? ["response_format", "structured_outputs"] : []),
  ]);
}

function toListing(raw: z.output<typeof model>, providerId: string): ModelListing {
  const inputModalities = sortedUnique(raw.modalities?.input ?? []);
  const outputModalities = sortedUnique(raw.modalities?.output ?? []);
  return compact({
    provider: providerId,
    model: raw.id,
    name: text(raw.name) ?? raw.id,
    author: raw.id.includes("/") ? raw.id.split("/")[0]?.toLowerCase() : undefined,
    kind: kindOf(raw.id, inputModalities, outputModalities),
    ...pricesOf(raw.cost),
    contextTokens: tokenCount(raw.limit?.context),
    outputTokens: tokenCount(raw.limit?.output),
    inputModalities,
    outputModalities,
    supportedParameters: parametersOf(raw),
    releasedAt: fromIsoDate(raw.release_date),
    isDeprecated: raw.status === "deprecated" ? true : undefined,
    knowledgeCutoff: text(raw.knowledge),
    hasOpenWeights: raw.open_weights ?? undefined,
  }) as ModelListing;
}

function toProvider(raw: z.output<typeof provider>): ProviderRecord {
  return compact({
    id: raw.id.toLowerCase(),
    name: text(raw.name) ?? raw.id,
    apiUrl: text(raw.api),
    docsUrl: text(raw.doc),
    environment: raw.env?.length ? raw.env : undefined,
  }) as ProviderRecord;
}

/** A provider that does not validate takes its models along: whose they are is told by it alone. */
function* toReading(body: Record<string, unknown>): Sliced<SourceReading> {
  const models: ModelListing[] = [];
  const sellers = parseItems(Object.entries(body), provider, (raw) => raw);
  const { rejected } = sellers;
  for (const raw of sellers.items) {
    const id = raw.id.toLowerCase();
    const own = parseItems(Object.entries(raw.models), model, (item) => toListing(item, id));
    models.push(...own.items);
    rejected.push(...own.rejected.map((item) => ({ ...item, id: `${id}/${item.id}` })));
    yield;
  }
  return { models, providers: sellers.items.map(toProvider), rejected };
}

/** models.dev's providers, models and prices: widest of all, kept by hand, and therefore late at times. */
export function modelsDev(options: UpstreamOptions = {}): Source {
  const url = addressOf(options, "https://models.dev/api.json", UPSTREAM_OPTIONS);
  const { apiKey } = options;
  return {
    name: "models.dev",
    role: "primary",
    read: async (context) => {
      const body = parseShape("models.dev", file, await context.getJson(url, { headers: authorization(apiKey) }));
      return finishInTurns(toReading(body));
    },
  };
}
