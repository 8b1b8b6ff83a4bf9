import type { Catalog, CatalogView } from "@larder/provider-sync";
import { expect, it } from "vitest";
import { type AnswerMeta, StoredAnswer } from "../caching/stored-answer.ts";
import { createCatalogPrices } from "./catalog-prices.ts";

const prices = createCatalogPrices({
  view: {} as CatalogView,
  price: (model) => (model === "gpt-4o-mini" ? { usdPerMillion: { input: 1, output: 2 } } : undefined) as ReturnType<Catalog["price"]>,
});
const costOf = (names: Pick<AnswerMeta, "model" | "upstreamModel">): number => {
  const usage = { inputTokens: 1_000_000, outputTokens: 1_000_000 };
  const meta = { ...names, owner: "", provider: "", createdAt: 0, ttlMs: 1, upstreamMs: 0, usage, format: "json" } as const;
  return prices.costOf(new StoredAnswer(meta, Buffer.alloc(0)));
};

it("prices an answer by the model that made it, whatever it was asked for as", () => {
  expect(costOf({ model: "fast", upstreamModel: "gpt-4o-mini" })).toBe(3);
  expect(costOf({ model: "gpt-4o-mini", upstreamModel: "my-deployment" })).toBe(3);
  expect(costOf({ model: "gpt-4o-mini" })).toBe(3);
  expect(costOf({ model: "fast", upstreamModel: "my-deployment" })).toBe(0);
});
