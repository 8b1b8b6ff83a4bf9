import { expect, it } from "vitest";
import { createSettings } from "../config/read-settings.ts";
import { operatorProviders } from "./operator-providers.ts";
import type { Upstream } from "./upstream.ts";

const told = (given: Parameters<typeof createSettings>[0]) => {
  const { fallback, anthropic } = operatorProviders(createSettings(given), {} as Upstream);
  return [fallback, anthropic].map((provider) => provider && [provider.id, provider.baseUrl, provider.apiKey?.reveal()]);
};

it("takes a key alone for the provider's own address, an address alone for one that wants no key, and neither for the sandbox", () => {
  const sandbox = told({})[0];
  expect(sandbox?.[0]).toBe("sandbox");
  const [openaiBaseUrl, anthropicBaseUrl] = ["http://127.0.0.1:1/v1/", "http://127.0.0.1:2/"];
  expect(told({ openaiApiKey: "a" })).toEqual([["openai", "https://api.openai.com/v1", "a"], undefined]);
  expect(told({ openaiBaseUrl })).toEqual([["openai", "http://127.0.0.1:1/v1", undefined], undefined]);
  expect(told({ anthropicApiKey: "b" })).toEqual([sandbox, ["anthropic", "https://api.anthropic.com", "b"]]);
  expect(told({ anthropicBaseUrl })).toEqual([sandbox, ["anthropic", "http://127.0.0.1:2", undefined]]);
});
