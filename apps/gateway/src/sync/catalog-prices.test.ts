import type { CatalogView, ModelPrice } from "@larder/provider-sync";
import { expect, it } from "vitest";
import { readUsage, type TokenUsage } from "../answers/family.ts";
import { type AnswerMeta, StoredAnswer } from "../caching/stored-answer.ts";
import { createCatalogPrices } from "./catalog-prices.ts";

/** What the catalog says of some models, in dollars for a million tokens. */
const sold: Readonly<Record<string, Partial<ModelPrice>>> = {
  "gpt-4o-mini": { usdPerMillion: { input: 1, output: 2, cacheRead: 0.25 } },
  long: {
    usdPerMillion: { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 3.75, cacheWriteLong: 6 },
    priceTiers: [
      { aboveTokens: 200_000, usdPerMillion: { input: 6, output: 22.5, cacheRead: 0.6, cacheWrite: 7.5 } },
      { aboveTokens: 500_000, usdPerMillion: { input: 12 } },
    ],
  },
  "llama-3.3-70b": { usdPerMillion: { input: 1, output: 1 } },
  "groq/llama-3.3-70b": { usdPerMillion: { input: 0.59, output: 0.79 } },
  // As models.dev tells of Gemini's models.
  "thinks at length": {
    usdPerMillion: { input: 2, output: 12, reasoning: 12, cacheRead: 0.2, cacheWrite: 0.375, inputAudio: 2 },
    priceTiers: [{ aboveTokens: 200_000, usdPerMillion: { input: 4, output: 18, cacheRead: 0.4 } }],
  },
  audio: { usdPerMillion: { input: 2.5, output: 10, inputAudio: 40, outputAudio: 80 } },
  image: { usdPerMillion: { input: 5, output: 10, inputImage: 8, outputImage: 32 } },
  "image alone": { usdPerMillion: { input: 2, inputImage: 2.5, outputImage: 8 } },
  grok: { usdPerMillion: { input: 1.25, output: 2.5, cacheRead: 0.2 } },
  gemini: { usdPerMillion: { input: 0.5, output: 3 } },
  search: { usdPerMillion: { input: 2, output: 8, reasoning: 3 }, usdPerUnit: { request: 0.005 } },
};
const prices = createCatalogPrices({
  view: {} as CatalogView,
  price: (model, provider) => {
    const name = provider === undefined ? model : `${provider}/${model}`;
    return (sold[name] && { id: name, source: "test", ...sold[name] }) as ModelPrice | undefined;
  },
});
const costOf = (
  names: Pick<AnswerMeta, "model" | "upstreamModel"> & Partial<Pick<AnswerMeta, "provider">>,
  cached: Partial<TokenUsage> = {},
  format: "json" | "f32" = "json",
): number => {
  const usage = { inputTokens: 1_000_000, outputTokens: 1_000_000, ...cached };
  const meta = { owner: "", provider: "", ...names, createdAt: 0, ttlMs: 1, upstreamMs: 0, usage, format };
  return prices.costOf(new StoredAnswer(meta, Buffer.alloc(0)));
};

/** Invoices reckoned by hand, in millionths of dollars, from usage as the providers tell it. */
it.each([
  ["up to the length of the first tier", "long", { input_tokens: 200_000, output_tokens: 10 }, 200_000 * 3 + 10 * 15],
  ["a token above it", "long", { input_tokens: 200_001, output_tokens: 10 }, 200_001 * 6 + 10 * 22.5],
  [
    "above the second tier, which tells the input's price alone",
    "long",
    { input_tokens: 500_001, output_tokens: 10 },
    500_001 * 12 + 10 * 15,
  ],
  [
    "a long input most of which is cached, some for an hour",
    "long",
    {
      input_tokens: 1000,
      cache_read_input_tokens: 250_000,
      cache_creation_input_tokens: 10_000,
      cache_creation: { ephemeral_5m_input_tokens: 6000, ephemeral_1h_input_tokens: 4000 },
      output_tokens: 2000,
    },
    1000 * 6 + 250_000 * 0.6 + 6000 * 7.5 + 4000 * 6 + 2000 * 22.5,
  ],
  [
    "thoughts and sound of a long request, which cost no less than its text",
    "thinks at length",
    {
      prompt_tokens: 250_000,
      completion_tokens: 5000,
      prompt_tokens_details: { audio_tokens: 1000, cached_tokens: 4000, cache_write_tokens: 2000 },
      completion_tokens_details: { reasoning_tokens: 3000 },
    },
    244_000 * 4 + 4000 * 0.4 + 2000 * 0.375 + 5000 * 18,
  ],
  [
    "speech",
    "audio",
    {
      prompt_tokens: 1000,
      completion_tokens: 600,
      prompt_tokens_details: { audio_tokens: 800, cached_tokens: 0 },
      completion_tokens_details: { audio_tokens: 500, reasoning_tokens: 0 },
    },
    200 * 2.5 + 800 * 40 + 100 * 10 + 500 * 80,
  ],
  [
    "images",
    "image",
    {
      input_tokens: 1200,
      output_tokens: 4160,
      input_tokens_details: { text_tokens: 200, image_tokens: 1000 },
      output_tokens_details: { text_tokens: 0, image_tokens: 4160 },
    },
    200 * 5 + 1000 * 8 + 4160 * 32,
  ],
  ["images of a model that makes nothing else", "image alone", { input_tokens: 50, output_tokens: 4160 }, 50 * 2 + 4160 * 8],
  [
    "thoughts, and the request itself",
    "search",
    { prompt_tokens: 100, completion_tokens: 5000, completion_tokens_details: { reasoning_tokens: 4000 } },
    100 * 2 + 1000 * 8 + 4000 * 3 + 5000,
  ],
  [
    // As such a bill was told in the answer itself: 0.0232856 dollars.
    "thoughts that are told beside the output",
    "grok",
    {
      prompt_tokens: 10_120,
      completion_tokens: 1499,
      total_tokens: 14_428,
      prompt_tokens_details: { cached_tokens: 128 },
      completion_tokens_details: { reasoning_tokens: 2809 },
    },
    23_285.6,
  ],
  [
    "thoughts that are told in the sum alone",
    "gemini",
    { prompt_tokens: 9, completion_tokens: 1, total_tokens: 103 },
    9 * 0.5 + (1 + 93) * 3,
  ],
  [
    "parts that are told as more than their sum",
    "audio",
    {
      prompt_tokens: 10,
      completion_tokens: 5,
      prompt_tokens_details: { audio_tokens: 99 },
      completion_tokens_details: { audio_tokens: 99 },
    },
    10 * 40 + 5 * 80,
  ],
])("prices %s", (_what, model, told, millionths) => {
  expect(costOf({ model }, readUsage(told)) * 1e6).toBeCloseTo(millionths, 6);
});

it.each([
  [
    "in the output as OpenAI counts it",
    { completion_tokens: 7, total_tokens: 17, completion_tokens_details: { reasoning_tokens: 5 } },
    7,
    5,
  ],
  ["beside it, as xAI does", { completion_tokens: 2, total_tokens: 17, completion_tokens_details: { reasoning_tokens: 5 } }, 7, 5],
  ["in the sum alone, as Gemini does", { completion_tokens: 2, total_tokens: 17 }, 7, 5],
  [
    "nowhere, where what came from a cache is beside the input",
    { completion_tokens: 2, total_tokens: 17, prompt_cache_hit_tokens: 5 },
    2,
    0,
  ],
  [
    "in the output, whatever else is in the sum",
    { completion_tokens: 7, total_tokens: 99, completion_tokens_details: { reasoning_tokens: 5 } },
    7,
    5,
  ],
  ["nowhere, where the output's parts are told without", { completion_tokens: 2, total_tokens: 17, completion_tokens_details: {} }, 2, 0],
  ["nowhere, where the sum is less than its parts", { completion_tokens: 2, total_tokens: 3 }, 2, 0],
])("finds what the model thought %s", (_where, told, outputTokens, reasoningTokens) => {
  expect({ reasoningTokens: 0, ...readUsage({ prompt_tokens: 10, ...told }) }).toMatchObject({
    inputTokens: 10,
    outputTokens,
    reasoningTokens,
  });
});

it("does not price the request with each of its embeddings", () => {
  expect(costOf({ model: "search" }, { inputTokens: 1_000_000, outputTokens: 0 }, "f32")).toBeCloseTo(2);
});

it("prices an answer by the model that made it, whatever it was asked for as", () => {
  expect(costOf({ model: "fast", upstreamModel: "gpt-4o-mini" })).toBe(3);
  expect(costOf({ model: "gpt-4o-mini", upstreamModel: "my-deployment" })).toBe(3);
  expect(costOf({ model: "gpt-4o-mini" })).toBe(3);
  expect(costOf({ model: "fast", upstreamModel: "my-deployment" })).toBe(0);
});

it("prices an answer by the provider that gave it where the catalog knows it by that name, and by the model's name elsewhere", () => {
  const model = "llama-3.3-70b";
  expect(costOf({ model, provider: "groq" })).toBeCloseTo(0.59 + 0.79);
  expect(costOf({ model, provider: "our-own" })).toBe(2);
  expect(costOf({ model: "fast", upstreamModel: model, provider: "groq" })).toBeCloseTo(0.59 + 0.79);
  expect(costOf({ model: "gpt-4o-mini", provider: "groq" })).toBe(3);
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
  ["Moonshot", { prompt_tokens: 10, completion_tokens: 3, total_tokens: 13, cached_tokens: 4 }, { cacheReadTokens: 4 }],
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
