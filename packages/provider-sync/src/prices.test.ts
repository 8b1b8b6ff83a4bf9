import { expect, it } from "vitest";
import type { ModelListing } from "./model-listing.ts";
import { definedPrices, flattenPrices, withPrices } from "./prices.ts";

const listing: ModelListing = {
  provider: "acme",
  model: "m",
  name: "m",
  kind: "chat",
  usdPerMillion: { input: 1, output: 2, cacheRead: 0.1 },
  usdPerUnit: { request: 0.01, webSearch: 0.02 },
  priceTiers: [
    { aboveTokens: 128_000, usdPerMillion: { input: 2 } },
    { aboveTokens: 200_000, usdPerMillion: { input: 3, output: 4 } },
  ],
  contextTokens: 1000,
  inputModalities: [],
  outputModalities: [],
  supportedParameters: [],
};

it("flattens all prices of a listing to paths, and puts them back to the same text", () => {
  const prices = flattenPrices(listing);
  expect([...prices]).toEqual([
    ["input", 1],
    ["output", 2],
    ["cacheRead", 0.1],
    ["above128000.input", 2],
    ["above200000.input", 3],
    ["above200000.output", 4],
    ["unit.request", 0.01],
    ["unit.webSearch", 0.02],
  ]);
  expect(JSON.stringify(withPrices(listing, prices))).toBe(JSON.stringify(listing));
  expect(JSON.stringify(withPrices(listing, new Map([...prices].reverse())))).toBe(JSON.stringify(listing));
});

it("leaves out groups that have no price any more, and adds those that get one", () => {
  const bare = withPrices(listing, new Map([["output", 5]]));
  expect(bare).toMatchObject({ usdPerMillion: { output: 5 }, contextTokens: 1000 });
  expect("usdPerUnit" in bare || "priceTiers" in bare).toBe(false);
  expect(withPrices(bare, new Map([["unit.request", 1]]))).toMatchObject({ usdPerMillion: {}, usdPerUnit: { request: 1 } });
});

it("orders prices alike wherever they come from, and drops unknown ones", () => {
  expect(JSON.stringify(definedPrices({ cacheRead: 1, output: 2, reasoning: undefined, input: 0 }))).toBe(
    '{"input":0,"output":2,"cacheRead":1}',
  );
});
