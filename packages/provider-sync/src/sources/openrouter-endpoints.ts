import { checkCount, type OptionNames } from "@larder/cache-core";
import { z } from "zod";
import { listingId, type ModelEndpoint, type ModelListing } from "../model-listing.ts";
import { compact, looseNumber, looseText, text, tokenCount } from "../normalize.ts";
import { parseItems, parseShape } from "../parse-items.ts";
import type { RejectedItem, Source, SourceContext, SourceReading } from "../source.ts";
import { SourceError } from "../source-error.ts";
import { openRouterPrices, openRouterPricing } from "./openrouter-models.ts";
import { addressOf, authorization, UPSTREAM_OPTIONS, type UpstreamOptions } from "./upstream-options.ts";

/**
 * OpenRouter's `GET /api/v1/models/{author}/{slug}/endpoints`: one request per model. The reference system aborted everything when one
 * of about 350 failed (seeds W4.1); here a model whose request fails keeps the endpoints that were known.
 */

/** Bytes of one model's hosts at most, some five hundred times a real body: there are hundreds of them in a run, all held until its end. */
const MAX_BODY_BYTES = 1_048_576;

const answer = z.looseObject({ data: z.looseObject({ endpoints: z.array(z.unknown()) }) });

const endpoint = z.looseObject({
  provider_name: looseText,
  tag: looseText,
  variant: looseText,
  context_length: looseNumber,
  max_completion_tokens: looseNumber,
  quantization: looseText,
  pricing: openRouterPricing,
});

/** How the endpoints are asked for. */
export interface OpenRouterEndpointsOptions extends UpstreamOptions {
  /** Which models are asked for. @default all of the source `openrouter` */
  readonly filter?: (model: ModelListing) => boolean;
  /** Requests at a time. Integer >= 1. @default 8 */
  readonly concurrency?: number;
}

const OPTIONS: OptionNames<OpenRouterEndpointsOptions> = { ...UPSTREAM_OPTIONS, filter: true, concurrency: true };

function toEndpoint(raw: z.output<typeof endpoint>): ModelEndpoint | undefined {
  const tag = text(raw.tag)?.toLowerCase();
  // An endpoint without tag cannot be told from others, nor asked for by name.
  if (tag === undefined) return undefined;
  return compact({
    provider: tag.split("/")[0] ?? tag,
    tag,
    variant: text(raw.variant)?.toLowerCase(),
    contextTokens: tokenCount(raw.context_length),
    outputTokens: tokenCount(raw.max_completion_tokens),
    usdPerMillion: openRouterPrices(raw.pricing).usdPerMillion,
    quantization: text(raw.quantization),
  }) as ModelEndpoint;
}

/**
 * Model ids hold "/" and ":"; the slash between author and slug is the path's own, all else is escaped (seeds W4.10). Dots cannot be: a
 * model called `../../keys` would have another page of the upstream asked for, with our key.
 */
function endpointsUrl(base: string, model: string): string {
  const parts = model.split("/");
  if (parts.some((part) => part === "" || part === "." || part === ".."))
    throw new SourceError("bad-shape", "the model's id leads elsewhere when it is part of a URL");
  return `${base}/${parts.map(encodeURIComponent).join("/")}/endpoints`;
}

async function forEachAtATime<Item>(items: readonly Item[], concurrency: number, work: (item: Item) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker));
}

async function readEndpoints(
  context: SourceContext,
  models: readonly ModelListing[],
  url: string,
  { apiKey, concurrency = 8 }: OpenRouterEndpointsOptions,
): Promise<SourceReading> {
  const endpoints = new Map<string, readonly ModelEndpoint[]>();
  const rejected: RejectedItem[] = [];
  let firstFailure: unknown;
  await forEachAtATime(models, concurrency, async ({ provider, model }) => {
    try {
      const body = await context.getJson(endpointsUrl(url, model), { headers: authorization(apiKey), maxBytes: MAX_BODY_BYTES });
      const { data } = parseShape("openrouter-endpoints", answer, body);
      const parsed = parseItems(
        data.endpoints.map((value, index) => [`${model}#${index}`, value] as const),
        endpoint,
        toEndpoint,
      );
      endpoints.set(listingId(provider, model), parsed.items);
      rejected.push(...parsed.rejected);
    } catch (error) {
      firstFailure ??= error;
      rejected.push({ id: model, problem: SourceError.is(error) ? error.reason : "unknown" });
    }
  });
  // Every single request failed: the upstream is away, and the report should say so.
  if (models.length > 0 && endpoints.size === 0 && firstFailure !== undefined) throw firstFailure;
  return { endpoints, rejected };
}

/**
 * The hosts of each OpenRouter model, with their own limits and prices. Hundreds of requests: give it to every tenth run or so, together with all the lists. In a run of
 * its own the other sources would count as configured no longer; between its runs what it told stays.
 */
export function openRouterEndpoints(options: OpenRouterEndpointsOptions = {}): Source {
  const url = addressOf(options, "https://openrouter.ai/api/v1/models", OPTIONS);
  checkCount("concurrency", options.concurrency ?? 8);
  return {
    name: "openrouter-endpoints",
    role: "ancillary",
    read: (context) => {
      const models = (context.primaries.get("openrouter")?.models ?? []).filter(options.filter ?? (() => true));
      return readEndpoints(context, models, url, options);
    },
  };
}
