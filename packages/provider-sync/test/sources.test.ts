import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  CatalogView,
  litellmPrices,
  modelsDev,
  openAiCompatible,
  openRouterEndpoints,
  openRouterModels,
  openRouterProviders,
  type Source,
  type SourceLayer,
  type SourceReading,
  vercelGateway,
} from "../src/index.ts";
import { hasPayloads, payloadUrl } from "./support/payloads.ts";

/** Reads a source whose upstream answers `body`, or by URL. */
async function read(source: Source, body: unknown, primaries: ReadonlyMap<string, SourceReading> = new Map()): Promise<SourceReading> {
  const answer = (url: string): unknown => (typeof body === "function" ? body(url) : body);
  return source.read({ primaries, signal: new AbortController().signal, getJson: async (url) => answer(url) });
}

describe("OpenRouter's models", () => {
  it("become listings in dollars per million tokens, with what the oldest and the newest bodies tell", async () => {
    const raw = {
      id: "acme/Super-1:free",
      canonical_slug: "acme/super-1-20260101",
      name: "Acme: Super 1",
      created: 1_778_613_011,
      context_length: 1_000_000,
      architecture: { modality: "text+image->text", input_modalities: ["text", "image"], output_modalities: ["text"], instruct_type: null },
      pricing: { prompt: "0.00003", completion: "0.00015", web_search: "0.01", input_cache_read: "0.000003", request: "0", discount: 0 },
      top_provider: { context_length: 1_000_000, max_completion_tokens: 128_000, is_moderated: true },
      supported_parameters: ["tools", "reasoning"],
      expiration_date: "2027-01-31",
      knowledge_cutoff: "",
      something_new: { deep: [1] },
    };
    const { models, rejected } = await read(openRouterModels(), { data: [raw] });
    expect(rejected).toEqual([]);
    expect(models).toEqual([
      {
        provider: "openrouter",
        model: "acme/Super-1:free",
        name: "Acme: Super 1",
        author: "acme",
        kind: "chat",
        usdPerMillion: { input: 30, output: 150, cacheRead: 3 },
        usdPerUnit: { request: 0, webSearch: 0.01 },
        contextTokens: 1_000_000,
        outputTokens: 128_000,
        inputModalities: ["image", "text"],
        outputModalities: ["text"],
        supportedParameters: ["reasoning", "tools"],
        aliases: ["acme/super-1-20260101:free"],
        releasedAt: 1_778_613_011_000,
        retiresAt: Date.parse("2027-01-31"),
        isModerated: true,
      },
    ]);
  });

  it("answer to their slug as the variant that they are: a free one shares the slug of the paid one, whose price it does not have", async () => {
    const priced = (id: string, slug: string, price: string) => ({
      id,
      canonical_slug: slug,
      pricing: { prompt: price, completion: price },
    });
    const { models = [] } = await read(openRouterModels(), {
      data: [
        priced("acme/one:free", "acme/one-2026", "0"),
        priced("acme/two:free", "acme/two-2026", "0"),
        priced("acme/two", "acme/two-2026", "0.000001"),
        priced("acme/two-2026:thinking", "acme/two-2026", "0.000002"),
      ],
    });
    const layer = (vanished: string): SourceLayer => ({
      source: "openrouter",
      models: models.map((listing) => ({ listing, firstSeenAt: 0, ...(listing.model === vanished && { vanishedAt: 1 }) })),
      providers: [],
      endpoints: [],
    });
    const found = (name: string, vanished = "") =>
      new CatalogView(1, { layers: [layer(vanished)], quarantine: [], acceptances: [] }).find(name, "openrouter")?.model;
    expect([found("acme/one"), found("acme/one-2026"), found("acme/one-2026:free")]).toEqual([undefined, undefined, "acme/one:free"]);
    expect([found("acme/two-2026"), found("acme/two-2026", "acme/two")]).toEqual(["acme/two", "acme/two"]);
    expect(found("acme/two-2026:thinking")).toBe("acme/two-2026:thinking");
  });

  it('have no price where OpenRouter says "-1", and an unreadable one where it says garbage', async () => {
    const pricing = { prompt: "-1", completion: "-1", request: ["?"] };
    const { models } = await read(openRouterModels(), { data: [{ id: "openrouter/auto", pricing }, { id: "a/b" }] });
    expect(models?.map((model) => model.usdPerMillion)).toEqual([{}, {}]);
    expect(models?.[0]?.usdPerUnit).toEqual({ request: Number.NaN });
  });

  it("have an image's price by the token where an image costs no more than a few tokens of text: bodies tell both under one name", async () => {
    const { models } = await read(openRouterModels(), {
      data: [
        { id: "google/by-token", pricing: { prompt: "0.000002", completion: "0.000012", image: "0.000002" } },
        { id: "google/by-image", pricing: { prompt: "0.0000001", completion: "0.0000004", image: "0.0000258" } },
        { id: "a/told-apart", pricing: { prompt: "0.000002", image: "0.000002", image_token: "0.000003" } },
        { id: "a/free", pricing: { prompt: "0", completion: "0", image: "0" } },
        { id: "a/unknown", pricing: { prompt: "-1", image: "0.00001" } },
      ],
    });
    expect(models?.map(({ usdPerMillion, usdPerUnit }) => [usdPerMillion, usdPerUnit])).toEqual([
      [{ input: 2, output: 12, inputImage: 2 }, undefined],
      [{ input: 0.1, output: 0.4 }, { inputImage: 0.0000258 }],
      [{ input: 2, inputImage: 3 }, undefined],
      [{ input: 0, output: 0 }, { inputImage: 0 }],
      [{}, { inputImage: 0.00001 }],
    ]);
  });

  it('have no price of reasoning of its own where a model that is paid for says "0"', async () => {
    const { models } = await read(openRouterModels(), {
      data: [
        { id: "openai/o3", pricing: { prompt: "0.000002", completion: "0.000008", internal_reasoning: "0" } },
        { id: "openai/o3:free", pricing: { prompt: "0", completion: "0", internal_reasoning: "0" } },
        { id: "a/b", pricing: { completion: "0.000008", internal_reasoning: "0.000003" } },
      ],
    });
    expect(models?.map(({ usdPerMillion }) => usdPerMillion)).toEqual([
      { input: 2, output: 8 },
      { input: 0, output: 0, reasoning: 0 },
      { output: 8, reasoning: 3 },
    ]);
  });

  it("have tiers where longer prompts cost more, the later one of those that apply, and none for a time of the day", async () => {
    const overrides = [
      { min_prompt_tokens: 200_000, prompt: "0.000004", completion: "0.000018" },
      { min_prompt_tokens: 500_000, prompt: "0.000008", input_cache_read: "-1" },
      { min_prompt_tokens: 100_000, completion: "0.00002" },
      { min_prompt_tokens: 300_000, utc_start: 100, utc_end: 1030, prompt: "0.000001" },
      { utc_start: 0, utc_end: 400, prompt: "0" },
      { min_prompt_tokens: "no number", prompt: "1" },
      "of another shape",
    ];
    const pricing = { prompt: "0.000002", completion: "0.000012", overrides };
    const { models } = await read(openRouterModels(), {
      data: [
        { id: "a/b", pricing },
        { id: "a/c", pricing: { ...pricing, overrides: "?" } },
      ],
    });
    expect(models?.[0]?.priceTiers).toEqual([
      { aboveTokens: 100_000, usdPerMillion: { output: 20 } },
      { aboveTokens: 200_000, usdPerMillion: { input: 4, output: 20 } },
      { aboveTokens: 500_000, usdPerMillion: { input: 8, output: 20 } },
    ]);
    expect(models?.[1]).toMatchObject({ usdPerMillion: { input: 2, output: 12 } });
    expect(models?.[1]).not.toHaveProperty("priceTiers");
  });

  it("are refused as a list when the body is none, without quoting it", async () => {
    for (const body of [{}, [], null, "canary", { data: "canary" }])
      await expect(read(openRouterModels(), body)).rejects.toMatchObject({
        reason: "bad-shape",
        message: expect.not.stringContaining("canary"),
      });
  });
});

describe("OpenRouter's providers", () => {
  const raw = {
    name: "Acme",
    slug: "ACME",
    privacy_policy_url: null,
    status_page_url: "https://s",
    headquarters: "US",
    datacenters: [],
    dataPolicy: { training: true },
  };
  it("come bare or under data, without what is null or empty", async () => {
    for (const body of [[raw], { data: [raw, { name: "no slug" }] }])
      expect((await read(openRouterProviders(), body)).providers).toEqual([
        { id: "acme", name: "Acme", statusPageUrl: "https://s", headquarters: "US", trainsOnData: true },
      ]);
  });

  it("are the same whatever the order of their data centers", async () => {
    const told = async (datacenters: string[]) => (await read(openRouterProviders(), [{ ...raw, datacenters }])).providers;
    expect(await told(["US", "DE", "FR"])).toEqual(await told(["FR", "US", "DE"]));
  });
});

describe("OpenRouter's endpoints", () => {
  it("are read model by model, a bounded number at a time", async () => {
    let open = 0;
    let most = 0;
    const models =
      (await read(openRouterModels(), { data: Array.from({ length: 30 }, (_, index) => ({ id: `a/m-${index}` })) })).models ?? [];
    const source = openRouterEndpoints({ concurrency: 4, filter: (model) => model.model !== "a/m-7" });
    const reading = await source.read({
      primaries: new Map([["openrouter", { models, rejected: [] }]]),
      signal: new AbortController().signal,
      getJson: async (_url, request) => {
        expect(request?.maxBytes).toBe(1_048_576);
        open += 1;
        most = Math.max(most, open);
        await new Promise((resolve) => setImmediate(resolve));
        open -= 1;
        return {
          data: {
            endpoints: [
              { tag: "Google-Vertex/Europe", pricing: { prompt: "0.000001" }, quantization: "fp8" },
              { provider_name: "untagged" },
            ],
          },
        };
      },
    });
    expect(most).toBe(4);
    expect(reading.endpoints?.size).toBe(29);
    expect(reading.endpoints?.get("openrouter/a/m-0")).toEqual([
      { provider: "google-vertex", tag: "google-vertex/europe", usdPerMillion: { input: 1 }, quantization: "fp8" },
    ]);
  });

  it("are asked for at no address but the model's own, whatever an upstream calls a model", async () => {
    const asked: string[] = [];
    const models = ["a/b", "../../keys", "a/../../x", "a/.", "/a"].map((model) => ({ provider: "openrouter", model }));
    const primaries = new Map([["openrouter", { models, rejected: [] } as unknown as SourceReading]]);
    const answer = (url: string): unknown => {
      asked.push(new URL(url).pathname);
      return { data: { endpoints: [] } };
    };
    const { rejected } = await read(openRouterEndpoints({ url: "https://host/v1/models" }), answer, primaries);
    expect(asked).toEqual(["/v1/models/a/b/endpoints"]);
    expect(rejected.map(({ id }) => id)).toEqual(["../../keys", "a/../../x", "a/.", "/a"]);
  });

  it("fail as a whole when every request fails, and tell why", async () => {
    const primaries = new Map([["openrouter", (await read(openRouterModels(), { data: [{ id: "a/b" }] })) as SourceReading]]);
    await expect(read(openRouterEndpoints(), {}, primaries)).rejects.toMatchObject({ reason: "bad-shape" });
  });
});

describe("Vercel's gateway", () => {
  it("becomes listings with tiers, kinds and what its tags tell", async () => {
    const raw = {
      id: "acme/super",
      object: "model",
      created: 1_700_000_000,
      owned_by: "Acme",
      name: "Super",
      context_window: 200_000,
      max_tokens: 8000,
      type: "language",
      tags: ["tool-use", "vision"],
      pricing: {
        input: "0.000003",
        output: "0.000015",
        input_cache_read: "0.0000003",
        input_tiers: [{ cost: "0.000003", min: 0, max: 200_000 }, { cost: "0.000006", min: 200_000 }, "of another shape"],
        output_tiers: [{ cost: "0.0000225", min: 200_000 }],
      },
    };
    const { models } = await read(vercelGateway(), {
      object: "list",
      data: [
        raw,
        { id: "acme/embed", type: "embedding", pricing: { input: "0.00000002" } },
        { id: "x", pricing: { image: "0.04" }, type: "image" },
      ],
    });
    expect(models?.[0]).toEqual({
      provider: "vercel",
      model: "acme/super",
      name: "Super",
      author: "acme",
      kind: "chat",
      usdPerMillion: { input: 3, output: 15, cacheRead: 0.3 },
      priceTiers: [{ aboveTokens: 200_000, usdPerMillion: { input: 6, output: 22.5 } }],
      contextTokens: 200_000,
      outputTokens: 8000,
      inputModalities: ["image", "text"],
      outputModalities: ["text"],
      supportedParameters: ["tool_choice", "tools"],
      releasedAt: 1_700_000_000_000,
    });
    expect(models?.[1]).toMatchObject({ kind: "embedding", usdPerMillion: { input: 0.02 } });
    expect(models?.[2]).toMatchObject({ kind: "image", usdPerUnit: { outputImage: 0.04 } });
  });
});

describe("models.dev", () => {
  const model = {
    id: "super",
    name: "Super",
    tool_call: true,
    reasoning: false,
    limit: { context: 1000, output: 0 },
    cost: { input: 0.5, output: 2 },
  };
  it("is in dollars per million already, by provider", async () => {
    const tiers = [{ tier: { size: 200_000 }, input: 1, output: 4 }, { input: 9 }, null];
    const body = {
      acme: {
        id: "Acme",
        name: "Acme",
        env: ["ACME_KEY"],
        api: "https://a/v1",
        models: { super: { ...model, cost: { ...model.cost, tiers } } },
      },
    };
    const { models, providers } = await read(modelsDev(), body);
    expect(models?.[0]).toMatchObject({
      provider: "acme",
      model: "super",
      usdPerMillion: { input: 0.5, output: 2 },
      contextTokens: 1000,
      supportedParameters: ["tool_choice", "tools"],
    });
    expect(models?.[0]?.priceTiers).toEqual([{ aboveTokens: 200_000, usdPerMillion: { input: 1, output: 4 } }]);
    expect(models?.[0] && "outputTokens" in models[0]).toBe(false);
    expect(providers).toEqual([{ id: "acme", name: "Acme", apiUrl: "https://a/v1", environment: ["ACME_KEY"] }]);
  });

  it("reads the price of cached tokens under the other names that its files have for it, the usual one before them", async () => {
    const pricesBy = async (cost: Record<string, unknown>) => {
      const { models } = await read(modelsDev(), { acme: { id: "acme", models: { super: { ...model, cost } } } });
      return models?.[0]?.usdPerMillion;
    };
    const cost = { input: 0.3, output: 1.2 };
    const { cacheRead, cacheWrite } = { cacheRead: 0.03, cacheWrite: 0.375 };
    expect(await pricesBy({ ...cost, cached_input: 0.03, cached_write: 0.375 })).toEqual({ ...cost, cacheRead, cacheWrite });
    expect(await pricesBy({ ...cost, cache_input: 0.03 })).toEqual({ ...cost, cacheRead });
    expect(await pricesBy({ ...cost, cache_read: 0.03, cached_input: 9 })).toEqual({ ...cost, cacheRead });
  });

  it("has the prices of sound in tiers as well", async () => {
    const tiers = [{ tier: { type: "context", size: 32_000 }, input: 1, output: 4, input_audio: 8, output_audio: 16 }];
    const cost = { input: 0.5, output: 2, input_audio: 6, output_audio: 12, tiers };
    const { models } = await read(modelsDev(), { acme: { id: "acme", models: { super: { ...model, cost } } } });
    expect(models?.[0]?.usdPerMillion).toEqual({ input: 0.5, output: 2, inputAudio: 6, outputAudio: 12 });
    expect(models?.[0]?.priceTiers).toEqual([
      { aboveTokens: 32_000, usdPerMillion: { input: 1, output: 4, inputAudio: 8, outputAudio: 16 } },
    ]);
  });

  it("tells what writes down speech from what chats", async () => {
    const kinds = [
      { input: ["audio"], output: ["text"] },
      { input: ["audio", "text"], output: ["text"] },
      { input: ["text"], output: ["text"] },
      { input: ["text"], output: ["audio"] },
      { input: [], output: ["text"] },
    ];
    const models = Object.fromEntries(kinds.map((modalities, index) => [index, { ...model, id: `m${index}`, modalities }]));
    const reading = await read(modelsDev(), { acme: { id: "acme", models } });
    expect(reading.models?.map(({ kind }) => kind)).toEqual(["audio", "chat", "chat", "audio", "chat"]);
  });

  it("loses one model or one provider to what does not validate, and no other", async () => {
    const body = { acme: { id: "acme", models: { super: model, bad: { name: "no id" } } }, broken: 7 };
    const { models, rejected } = await read(modelsDev(), body);
    expect(models?.map((item) => item.model)).toEqual(["super"]);
    expect(rejected.map((item) => item.id)).toEqual(["broken", "acme/bad"]);
  });
});

describe("LiteLLM's price map", () => {
  it("becomes listings by seller, without what is no model", async () => {
    const body = {
      sample_spec: { litellm_provider: "one of …", max_tokens: "LEGACY" },
      last_updated: "2025-12-22",
      "gpt-4o": {
        litellm_provider: "openai",
        mode: "chat",
        input_cost_per_token: 2.5e-6,
        output_cost_per_token: 1e-5,
        max_input_tokens: 128_000,
        supports_vision: true,
      },
      "openrouter/z-ai/glm-4.5": { litellm_provider: "openrouter", mode: "chat", input_cost_per_token: 6e-7 },
      "vertex_ai/gemini-pro": {
        litellm_provider: "vertex_ai-language-models",
        input_cost_per_token_above_200k_tokens: 2.5e-6,
        input_cost_per_image: 0.0025,
      },
      "bedrock/us-east-1/claude": { litellm_provider: "bedrock_converse", deprecation_date: "2026-06-01" },
      bad: { mode: "chat" },
    };
    const { models, rejected } = await read(litellmPrices(), body);
    expect(rejected).toEqual([{ id: "bad", problem: "litellm_provider: custom" }]);
    expect(models?.map((model) => `${model.provider} ${model.model} ${model.sourceId ?? "-"}`)).toEqual([
      "openai gpt-4o -",
      "openrouter z-ai/glm-4.5 openrouter/z-ai/glm-4.5",
      "google-vertex gemini-pro vertex_ai/gemini-pro",
      "amazon-bedrock us-east-1/claude bedrock/us-east-1/claude",
    ]);
    expect(models?.[0]).toMatchObject({
      usdPerMillion: { input: 2.5, output: 10 },
      contextTokens: 128_000,
      inputModalities: ["image", "text"],
    });
    expect(models?.[2]).toMatchObject({
      priceTiers: [{ aboveTokens: 200_000, usdPerMillion: { input: 2.5 } }],
      usdPerUnit: { inputImage: 0.0025 },
    });
    expect(models?.[3]?.retiresAt).toBe(Date.parse("2026-06-01"));
  });

  it("has the price of cached input where it is told as a cache hit, under DeepSeek's name for it, alone", async () => {
    const hit = { litellm_provider: "deepseek", mode: "chat", input_cost_per_token: 5.5e-7, input_cost_per_token_cache_hit: 1.4e-7 };
    const { models } = await read(litellmPrices(), {
      "deepseek/deepseek-r1": hit,
      "deepseek/deepseek-v3": { ...hit, cache_read_input_token_cost: 7e-8 },
      "deepseek/deepseek-v4": { ...hit, cache_read_input_token_cost: null },
    });
    expect(models?.map(({ usdPerMillion }) => usdPerMillion)).toEqual([
      { input: 0.55, cacheRead: 0.14 },
      { input: 0.55, cacheRead: 0.07 },
      { input: 0.55, cacheRead: 0.14 },
    ]);
  });

  it("has the prices of the first range of a seller who sells by ranges, and tiers of the others", async () => {
    const ranged = (tiered_pricing: unknown): object => ({ litellm_provider: "dashscope", mode: "chat", tiered_pricing });
    const first = { range: [0, 256_000], input_cost_per_token: 4e-7, output_cost_per_token: 1.2e-6 };
    const second = { range: [256_000, 1_000_000], input_cost_per_token: "1.2e-6", output_cost_per_token: {} };
    const { models } = await read(litellmPrices(), {
      "dashscope/a": ranged([second, first, "of another shape", { range: [] }]),
      "dashscope/b": { ...ranged([first]), input_cost_per_token: 9e-7 },
      "dashscope/c": ranged("?"),
    });
    expect(models?.map(({ usdPerMillion, priceTiers }) => [usdPerMillion, priceTiers])).toEqual([
      [{ input: 0.4, output: 1.2 }, [{ aboveTokens: 256_000, usdPerMillion: { input: 1.2, output: Number.NaN } }]],
      [{ input: 0.9, output: 1.2 }, undefined],
      [{}, undefined],
    ]);
  });
});

describe("an OpenAI-compatible server", () => {
  it("tells names, and limits where it tells them", async () => {
    const urls: string[] = [];
    const body = (url: string): unknown => {
      urls.push(url);
      return {
        object: "list",
        data: [{ id: "m", created: 1, owned_by: "me", shutdown_date: "2027-01-01", max_model_len: 4096 }, { object: "model" }],
      };
    };
    const reading = await read(openAiCompatible({ provider: "Local", baseUrl: "http://host/v1/" }), body);
    expect(reading.models).toMatchObject([
      { provider: "local", model: "m", contextTokens: 4096, retiresAt: Date.parse("2027-01-01"), usdPerMillion: {} },
    ]);
    expect(reading.rejected).toHaveLength(1);
    await read(openAiCompatible({ provider: "local", baseUrl: "http://host/v1/models" }), body);
    expect(urls).toEqual(["http://host/v1/models", "http://host/v1/models"]);
  });

  it.each(["context_length", "context_window", "max_model_len", "max_context_length"])("tells the context as %s", async (field) => {
    const { models } = await read(openAiCompatible({ provider: "acme", baseUrl: "https://host/v1" }), {
      data: [{ id: "m", [field]: 32_768 }],
    });
    expect(models?.[0]?.contextTokens).toBe(32_768);
  });

  it("tells Gemini's models by the names that the other sources have for them, and finds them under its own as well", async () => {
    const { models } = await read(openAiCompatible({ provider: "google", baseUrl: "https://host/v1beta/openai" }), {
      object: "list",
      data: [
        { id: "models/gemini-2.5-pro", object: "model", owned_by: "google" },
        { id: "models/own-7b", object: "model", owned_by: "vllm" },
      ],
    });
    expect(models).toMatchObject([
      { model: "gemini-2.5-pro", name: "gemini-2.5-pro", sourceId: "models/gemini-2.5-pro", aliases: ["models/gemini-2.5-pro"] },
      { model: "models/own-7b", name: "models/own-7b" },
    ]);
  });

  it("finds the list whatever the base URL ends in", async () => {
    const asked = async (baseUrl: string): Promise<string> => {
      let url = "";
      await read(openAiCompatible({ provider: "acme", baseUrl }), (address: string) => {
        url = address;
        return { data: [] };
      });
      return url;
    };
    expect(await asked("https://host/v1")).toBe("https://host/v1/models");
    expect(await asked("https://host/v1/")).toBe("https://host/v1/models");
    expect(await asked("https://host/v1?key=k")).toBe("https://host/v1/models?key=k");
    expect(await asked("https://host/v1/models?limit=1000")).toBe("https://host/v1/models?limit=1000");
    expect(await asked("https://host")).toBe("https://host/models");
  });

  it("refuses a provider without name and an address that is none", () => {
    expect(() => openAiCompatible({ provider: "", baseUrl: "http://host" })).toThrow(/provider/);
    for (const provider of ["a/b", "a#b", " a", "a\u0000"])
      expect(() => openAiCompatible({ provider, baseUrl: "http://host" })).toThrow(/provider must be a short name without slash/);
    expect(() => openAiCompatible({ provider: "x", baseUrl: "not a url" })).toThrow(/baseUrl/);
  });
});

describe.skipIf(!hasPayloads)("the stored real bodies", () => {
  const stored = (path: string): unknown => JSON.parse(readFileSync(fileURLToPath(payloadUrl(path)), "utf8"));
  it.each([
    ["openrouter/openrouter-models.2025-05-23.json", openRouterModels(), 321, 0],
    ["openrouter/openrouter-models.2026-05-22.json", openRouterModels(), 356, 0],
    ["models.dev/api.2026-07-02.json", modelsDev(), 5276, 147],
    ["litellm/model_prices_and_context_window.2025-12-22.json", litellmPrices(), 2256, 0],
    ["openrouter/openrouter-providers.2026-05-22.json", openRouterProviders(), 0, 82],
  ])("%s is taken whole: no item is rejected", async (path, source, models, providers) => {
    const reading = await read(source, stored(path));
    expect([reading.models?.length ?? 0, reading.providers?.length ?? 0, reading.rejected]).toEqual([models, providers, []]);
  });

  it("hold the endpoints of a model", async () => {
    const primaries = new Map([["openrouter", await read(openRouterModels(), { data: [{ id: "google/gemini-2.5-pro-preview" }] })]]);
    const { endpoints } = await read(openRouterEndpoints(), stored("openrouter/openrouter-model-endpoints.2025-05-23.json"), primaries);
    expect(endpoints?.get("openrouter/google/gemini-2.5-pro-preview")?.map((endpoint) => endpoint.tag)).toEqual([
      "google-vertex",
      "google-ai-studio",
    ]);
  });
});

describe("a page of a longer list", () => {
  it.each([
    ["OpenRouter's", openRouterModels()],
    ["Vercel's", vercelGateway()],
    ["an OpenAI-compatible server's", openAiCompatible({ provider: "acme", baseUrl: "https://host/v1" })],
  ])("is no list, when it is %s: the rest of the models would seem to have gone", async (_of, source) => {
    const data = [{ id: "a/b" }];
    await expect(read(source, { data, has_more: true, last_id: "a/b" })).rejects.toMatchObject({ reason: "bad-shape" });
    for (const has_more of [false, null, undefined]) expect((await read(source, { data, has_more })).models).toHaveLength(1);
    const next = "/api/v1/models?offset=500&limit=500";
    await expect(read(source, { data, links: { next }, total_count: 700 })).rejects.toMatchObject({ reason: "bad-shape" });
    for (const links of [{ next: null }, { next: "" }, {}, null, "next", undefined])
      expect((await read(source, { data, links })).models).toHaveLength(1);
  });
});

describe("an upstream's address", () => {
  it.each([
    ["a path", "models.json"],
    ["another scheme", "ftp://host/models"],
    ["one with a password", "https://me:s3cret@host/models"],
  ])("is refused when it is %s, without quoting it", (_what, url) => {
    for (const open of [openRouterModels, openRouterProviders, openRouterEndpoints, vercelGateway, modelsDev, litellmPrices]) {
      expect(() => open({ url })).toThrow(/ERR_CACHE_INVALID_OPTION.*url must/);
      expect(() => open({ url })).not.toThrow(/s3cret|host\/models/);
    }
    expect(() => openAiCompatible({ provider: "acme", baseUrl: url })).toThrow(/ERR_CACHE_INVALID_OPTION.*baseUrl must/);
  });
});
