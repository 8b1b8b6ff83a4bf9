import type { Catalog, CatalogView } from "@larder/provider-sync";
import { expect, it } from "vitest";
import { readUsage, type TokenUsage } from "../answers/family.ts";
import { type AnswerMeta, StoredAnswer } from "../caching/stored-answer.ts";
import { createCatalogPrices } from "./catalog-prices.ts";

const prices = createCatalogPrices({
  view: {} as CatalogView,
  price: (model) =>
    (model === "gpt-4o-mini" ? { usdPerMillion: { input: 1, output: 2, cacheRead: 0.25 } } : undefined) as ReturnType<Catalog["price"]>,
});
const costOf = (names: Pick<AnswerMeta, "model" | "upstreamModel">, cached: Partial<TokenUsage> = {}): number => {
  const usage = { inputTokens: 1_000_000, outputTokens: 1_000_000, ...cached };
  const meta = { ...names, owner: "", provider: "", createdAt: 0, ttlMs: 1, upstreamMs: 0, usage, format: "json" } as const;
  return prices.costOf(new StoredAnswer(meta, Buffer.alloc(0)));
};

it("prices an answer by the model that made it, whatever it was asked for as", () => {
  expect(costOf({ model: "fast", upstreamModel: "gpt-4o-mini" })).toBe(3);
  expect(costOf({ model: "gpt-4o-mini", upstreamModel: "my-deployment" })).toBe(3);
  expect(costOf({ model: "gpt-4o-mini" })).toBe(3);
  expect(costOf({ model: "fast", upstreamModel: "my-deployment" })).toBe(0);
});

it("prices what went through the provider's prompt cache as that, where the price is known", () => {
  expect(costOf({ model: "gpt-4o-mini" }, { cacheReadTokens: 400_000 })).toBeCloseTo(0.6 + 0.1 + 2);
  expect(costOf({ model: "gpt-4o-mini" }, { cacheWriteTokens: 400_000 })).toBeCloseTo(3);
  expect(costOf({ model: "gpt-4o-mini" }, { cacheReadTokens: 9e9, cacheWriteTokens: 9e9 })).toBeCloseTo(0.25 + 2);
});

it.each([
  ["OpenAI's chat", { prompt_tokens: 10, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 4 } }, { cacheReadTokens: 4 }],
  ["OpenAI's responses", { input_tokens: 10, output_tokens: 3, input_tokens_details: { cached_tokens: 4 } }, { cacheReadTokens: 4 }],
  ["DeepSeek", { prompt_tokens: 10, completion_tokens: 3, prompt_cache_hit_tokens: 4 }, { cacheReadTokens: 4 }],
  [
    "Anthropic",
    { input_tokens: 4, output_tokens: 3, cache_read_input_tokens: 5, cache_creation_input_tokens: 1 },
    { cacheReadTokens: 5, cacheWriteTokens: 1 },
  ],
  [
    "a gateway that tells both",
    { prompt_tokens: 10, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 5 }, cache_creation_input_tokens: 1 },
    { cacheReadTokens: 5, cacheWriteTokens: 1 },
  ],
  ["whoever caches nothing", { prompt_tokens: 10, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 0 } }, {}],
])("counts all of the input, and what of it was cached, as told by %s", (_whom, told, cached) => {
  expect(readUsage(told)).toEqual({ inputTokens: 10, outputTokens: 3, ...cached });
});
