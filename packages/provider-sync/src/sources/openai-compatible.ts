import { CacheError, checkCount, checkName, checkOptions, type OptionNames } from "@larder/cache-core";
import { z } from "zod";
import { finishInTurns } from "../in-slices.ts";
import type { ModelListing } from "../model-listing.ts";
import { compact, fromEpochSeconds, fromIsoDate, looseNumber, looseText, text, tokenCount } from "../normalize.ts";
import { entriesById, parseItemsInSlices, parseShape, wholeList } from "../parse-items.ts";
import type { Source } from "../source.ts";
import { problemOf } from "../usable-ids.ts";
import { authorization, checkAddress } from "./upstream-options.ts";

/**
 * Any OpenAI-compatible `GET /v1/models`. The common form tells names alone; some servers add a context length under one of several
 * names, which is taken where it is. Prices are not in it: they come from the other sources, by provider and name.
 */

const list = z.union([wholeList.transform((body) => body.data), z.array(z.unknown())]);

const model = z.looseObject({
  id: z.string().min(1).max(300),
  name: looseText,
  created: z.number().nullish().catch(undefined),
  owned_by: looseText,
  shutdown_date: z.union([z.string(), z.number()]).nullish().catch(undefined),
  context_length: looseNumber,
  context_window: looseNumber,
  max_model_len: looseNumber,
  max_context_length: looseNumber,
});

/** Which server is asked. */
export interface OpenAiCompatibleOptions {
  /** The provider's slug in the catalog, lower case and without a slash: `openai`, `groq`, or a name of your own. */
  readonly provider: string;
  /** Base URL ending in `/v1` as clients are given it, or the full URL of the list. */
  readonly baseUrl: string;
  /** Key sent as a bearer token. @default none */
  readonly apiKey?: string;
  /** @default "ancillary": a server that is away does not make the catalog's run incomplete */
  readonly role?: "primary" | "ancillary";
  /** Lowest number of models that is taken for a list. @default 1 */
  readonly minModels?: number;
}

const OPTIONS: OptionNames<OpenAiCompatibleOptions> = { provider: true, baseUrl: true, apiKey: true, role: true, minModels: true };

function listUrl(baseUrl: string): string {
  const url = new URL(checkAddress("baseUrl", baseUrl));
  if (url.protocol === "file:") return baseUrl;
  const path = url.pathname.replace(/\/+$/, "");
  url.pathname = path.endsWith("/models") ? path : `${path}/models`;
  return url.href;
}

/** The context under whichever name the server has for it: the last but one is vLLM's, the last one Mistral's. */
function contextOf(raw: z.output<typeof model>): number | undefined {
  const told = [raw.context_length, raw.context_window, raw.max_model_len, raw.max_context_length];
  return told.map(tokenCount).find((count) => count !== undefined);
}

/**
 * The name without the kind of resource that Gemini puts before it: its API takes both, and the other sources, whose prices it is to have, tell the bare one.
 * With other servers the prefix is a folder, and the name is none without it.
 */
function namesOf({ id, owned_by: owner }: z.output<typeof model>): Pick<ModelListing, "model" | "sourceId" | "aliases"> {
  const bare = owner === "google" ? /^models\/([^/]+)$/.exec(id)?.[1] : undefined;
  return bare === undefined ? { model: id } : { model: bare, sourceId: id, aliases: [id] };
}

function toListing(raw: z.output<typeof model>, provider: string): ModelListing {
  const { shutdown_date: shutdown } = raw;
  const names = namesOf(raw);
  return compact({
    provider,
    ...names,
    name: text(raw.name) ?? names.model,
    author: text(raw.owned_by)?.toLowerCase(),
    kind: "other",
    usdPerMillion: {},
    contextTokens: contextOf(raw),
    inputModalities: [],
    outputModalities: [],
    supportedParameters: [],
    releasedAt: fromEpochSeconds(raw.created),
    retiresAt: typeof shutdown === "number" ? fromEpochSeconds(shutdown) : fromIsoDate(shutdown),
  }) as ModelListing;
}

/** The models of one OpenAI-compatible server. @throws {CacheError} ERR_CACHE_INVALID_OPTION for a bad provider or URL */
export function openAiCompatible(options: OpenAiCompatibleOptions): Source {
  checkOptions(options, OPTIONS);
  const { apiKey, role = "ancillary", minModels = 1 } = options;
  checkCount("minModels", minModels, 0);
  const provider = checkName("provider", options.provider).toLowerCase();
  if (/[/#]/.test(provider) || problemOf(provider) !== undefined)
    throw new CacheError(
      "ERR_CACHE_INVALID_OPTION",
      "provider must be a short name without slash, #, control characters and white space around it: ids are provider, slash and model",
    );
  const url = listUrl(checkName("baseUrl", options.baseUrl));
  return {
    name: `models:${provider}`,
    role,
    minModels,
    read: async (context) => {
      const body = parseShape(`models:${provider}`, list, await context.getJson(url, { headers: authorization(apiKey) }));
      const { items, rejected } = await finishInTurns(parseItemsInSlices(entriesById(body), model, (raw) => toListing(raw, provider)));
      return { models: items, rejected };
    },
  };
}
