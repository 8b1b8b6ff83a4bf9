/**
 * LiteLLM's provider names, in the words of the other sources, so that one seller has one name. Providers that are not here keep
 * LiteLLM's own name.
 */
const PROVIDERS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    bedrock: "amazon-bedrock",
    bedrock_converse: "amazon-bedrock",
    gemini: "google",
    vertex_ai: "google-vertex",
    azure_ai: "azure-ai",
    together_ai: "togetherai",
    fireworks_ai: "fireworks-ai",
    "fireworks_ai-embedding-models": "fireworks-ai",
    vercel_ai_gateway: "vercel",
    github_copilot: "github-copilot",
    cohere_chat: "cohere",
    "text-completion-openai": "openai",
    moonshot: "moonshotai",
    dashscope: "alibaba",
    meta_llama: "llama",
  }),
);

/** Prefixes by which LiteLLM routes that are not the provider's own name. */
const ROUTES: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    bedrock_converse: ["bedrock"],
    cohere_chat: ["cohere"],
  }),
);

/**
 * Who sells the model of a LiteLLM key, and under which name. The key's prefix names the route, as in `openrouter/z-ai/glm-4.5`, and is
 * no part of the name; a region after it (`bedrock/us-east-1/…`) stays, since prices differ by region.
 */
export function litellmProvider(raw: string, key: string): { readonly provider: string; readonly model: string } {
  const isVertex = raw.startsWith("vertex_ai");
  const provider = isVertex ? "google-vertex" : (PROVIDERS.get(raw) ?? (raw.toLowerCase() || "unknown"));
  const prefixes = isVertex ? ["vertex_ai"] : [raw, ...(ROUTES.get(raw) ?? [])];
  const prefix = prefixes.find((candidate) => key.startsWith(`${candidate}/`) && key.length > candidate.length + 1);
  return { provider, model: prefix === undefined ? key : key.slice(prefix.length + 1) };
}
