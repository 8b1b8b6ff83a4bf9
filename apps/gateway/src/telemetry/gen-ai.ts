import type { Endpoint } from "@larder/cache-core/keys";
import type { Attributes } from "@opentelemetry/api";
import type { TokenUsage } from "../answers/family.ts";
import { isObject, type JsonObject, objectsOf, parseObject } from "../answers/json.ts";
import type { Provider } from "../upstream/provider.ts";

/** Larger bodies are not read a second time for the sake of a span. */
const MAX_READ_BYTES = 256 * 1024;
/** Longest text in an attribute. */
const MAX_ATTRIBUTE_LENGTH = 256;

/** The conventions' word for what an endpoint does. */
export const OPERATIONS: Readonly<Record<Endpoint, string>> = {
  chat: "chat",
  responses: "chat",
  messages: "chat",
  completion: "text_completion",
  embedding: "embeddings",
  image: "generate_content",
  exact: "exact",
};

/** Well-known providers, by the end of their host name: the conventions have a word for each. */
const KNOWN_HOSTS: ReadonlyArray<readonly [RegExp, string]> = [
  [/(^|\.)openai\.azure\.com$/, "azure.ai.openai"],
  [/(^|\.)services\.ai\.azure\.com$/, "azure.ai.inference"],
  [/(^|\.)amazonaws\.com$/, "aws.bedrock"],
  [/(^|\.)generativelanguage\.googleapis\.com$/, "gcp.gemini"],
  [/(^|\.|-)aiplatform\.googleapis\.com$/, "gcp.vertex_ai"],
  [/(^|\.)anthropic\.com$/, "anthropic"],
  [/(^|\.)cohere\.(com|ai)$/, "cohere"],
  [/(^|\.)deepseek\.com$/, "deepseek"],
  [/(^|\.)groq\.com$/, "groq"],
  [/(^|\.)mistral\.ai$/, "mistral_ai"],
  [/(^|\.)perplexity\.ai$/, "perplexity"],
  [/(^|\.)x\.ai$/, "x_ai"],
];

/** Who is asked: the host's name in the conventions where it is well known, else that of the API which the provider speaks. */
export function providerName(provider: Provider): string {
  if (provider.source === "sandbox") return "larder.sandbox";
  const hostname = urlOf(provider)?.hostname ?? "";
  return KNOWN_HOSTS.find(([host]) => host.test(hostname))?.[1] ?? provider.kind;
}

/** Where a provider is. */
export function serverAttributes(provider: Provider): Attributes {
  const url = urlOf(provider);
  const port = Number(url?.port) || (url?.protocol === "https:" ? 443 : 80);
  return { "larder.provider": provider.id, ...(url ? { "server.address": url.hostname, "server.port": port } : {}) };
}

function urlOf({ baseUrl }: Provider): URL | undefined {
  return URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
}

/** Which numbers of a request are told, and as what. Texts are not: a stop sequence is a piece of the prompt. */
const NUMBERS: ReadonlyArray<readonly [field: string, attribute: string]> = [
  ["temperature", "gen_ai.request.temperature"],
  ["top_p", "gen_ai.request.top_p"],
  ["top_k", "gen_ai.request.top_k"],
  ["seed", "gen_ai.request.seed"],
  ["frequency_penalty", "gen_ai.request.frequency_penalty"],
  ["presence_penalty", "gen_ai.request.presence_penalty"],
  ["max_tokens", "gen_ai.request.max_tokens"],
  ["max_completion_tokens", "gen_ai.request.max_tokens"],
  ["max_output_tokens", "gen_ai.request.max_tokens"],
  ["n", "gen_ai.request.choice.count"],
];

/** The numeric parameters of a request. */
export function requestAttributes(body: Buffer | undefined): Attributes {
  const request = body && body.length <= MAX_READ_BYTES ? parseObject(body.toString("utf8")) : undefined;
  const attributes: Attributes = {};
  for (const [field, attribute] of request ? NUMBERS : []) {
    const value = request?.[field];
    if (typeof value === "number") attributes[attribute] = value;
  }
  return attributes;
}

/** What an answer says of itself beside its content. */
export function responseAttributes(answer: JsonObject): Attributes {
  const attributes: Attributes = {};
  if (typeof answer.id === "string") attributes["gen_ai.response.id"] = cut(answer.id);
  if (typeof answer.model === "string") attributes["gen_ai.response.model"] = cut(answer.model);
  const reasons = finishReasons(answer);
  if (reasons.length > 0) attributes["gen_ai.response.finish_reasons"] = reasons;
  return attributes;
}

/** What a call has cost; what came from the provider's prompt cache, or went there, only where there is such. */
export function usageAttributes({ inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens }: TokenUsage): Attributes {
  return {
    "gen_ai.usage.input_tokens": inputTokens,
    "gen_ai.usage.output_tokens": outputTokens,
    ...(cacheReadTokens === undefined ? {} : { "gen_ai.usage.cache_read.input_tokens": cacheReadTokens }),
    ...(cacheWriteTokens === undefined ? {} : { "gen_ai.usage.cache_creation.input_tokens": cacheWriteTokens }),
  };
}

/** Chat and completions tell a reason per choice, Anthropic a `stop_reason`, Responses a status with details. */
function finishReasons(answer: JsonObject): string[] {
  const details = isObject(answer.incomplete_details) ? answer.incomplete_details.reason : undefined;
  const told = Array.isArray(answer.choices)
    ? objectsOf(answer.choices).map((choice) => choice.finish_reason)
    : [answer.stop_reason ?? details ?? answer.status];
  return told.filter((reason) => typeof reason === "string").map(cut);
}

/** A text that came from outside, no longer than an attribute may be. */
export function cut(text: string): string {
  return text.length > MAX_ATTRIBUTE_LENGTH ? text.slice(0, MAX_ATTRIBUTE_LENGTH) : text;
}
