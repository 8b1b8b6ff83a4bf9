import { ManualClock } from "@larder/cache-testing";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  litellmPrices,
  type ModelListing,
  modelsDev,
  openAiCompatible,
  openRouterModels,
  parseItems,
  type Source,
  type SourceReading,
  syncOnce,
  vercelGateway,
} from "../src/index.ts";
import { createSqliteStore } from "../src/sqlite.ts";
import { listing, listings, ScriptedSource } from "./support/listings.ts";
import { createTestDatabase } from "./support/stores.ts";

// One item of a list that would break everything: its name, a word of its vocabulary, a number, its sheer count. It costs itself.

/** Reads a source whose upstream answers this text. */
function read(source: Source, body: string): Promise<SourceReading> {
  return source.read({ primaries: new Map(), signal: new AbortController().signal, getJson: async () => JSON.parse(body) });
}

const WORDS = ["constructor", "__proto__", "toString", "hasOwnProperty", "valueOf"];

describe("words of an upstream that are also properties of every object", () => {
  it.each(WORDS)("%s is a provider, a mode, a price field and a model name of LiteLLM like any other", async (word) => {
    const item = `{"litellm_provider": "${word}", "mode": "${word}", "input_cost_per_token": 1e-6, "${word}_above_200k_tokens": 5, "${word}": 1}`;
    const { models, rejected } = await read(litellmPrices(), `{"a-model": ${item}, "${word}": {"litellm_provider": "x", "mode": "chat"}}`);
    expect(rejected).toEqual([]);
    expect(models?.[0]).toMatchObject({ provider: word.toLowerCase(), model: "a-model", kind: "other", usdPerMillion: { input: 1 } });
    expect(models?.[0]).not.toHaveProperty("priceTiers");
  });

  it.each(WORDS)("%s is a tag and a type of Vercel's that nobody knows", async (word) => {
    const item = (type: string): object => ({ id: `acme/${type}`, type, tags: [word, "reasoning"], pricing: { input: "0.000001" } });
    const { models } = await read(vercelGateway(), JSON.stringify({ data: [item("language"), item(word)] }));
    expect(models?.[0]).toMatchObject({ kind: "chat", supportedParameters: ["reasoning"], inputModalities: ["text"] });
    expect(models?.[1]).toMatchObject({ kind: "other", inputModalities: [] });
  });

  it.each(WORDS)("%s is a provider and a model of models.dev like any other", async (word) => {
    const model = `{"id": "${word}", "name": "${word}"}`;
    const body = `{"acme": {"id": "acme", "models": {"${word}": ${model}, "m": {"id": "m"}}}, "${word}": {"id": "${word}", "models": {"m": {"id": "m"}}}}`;
    const { models = [] } = await read(modelsDev(), body);
    expect(models.map(({ provider, model: name }) => `${provider}/${name}`)).toEqual(
      expect.arrayContaining(word === "__proto__" ? ["acme/m"] : [`acme/${word}`, "acme/m", `${word.toLowerCase()}/m`]),
    );
    expect(({} as Record<string, unknown>).m).toBeUndefined();
  });
});

describe("an item on which a source's own mapping throws", () => {
  it("is rejected, without what the error says, and costs no other", async () => {
    const { z } = await import("zod");
    const { items, rejected } = parseItems(
      [
        ["a", 1],
        ["b", 2],
        ["c", 3],
      ] as const,
      z.number(),
      (value) => {
        if (value === 2) throw new TypeError("canary");
        return value;
      },
    );
    expect(items).toEqual([1, 3]);
    expect(rejected).toEqual([{ id: "b", problem: "unreadable" }]);
  });
});

describe("a name that no database or terminal can take", () => {
  const NAMES: ReadonlyArray<readonly [string, string]> = [
    ["U+0000", "m\u0000"],
    ["an escape sequence", "m\u001b[2J"],
    ["a change of the writing direction", "m\u202e"],
    ["half a surrogate pair", "m\ud800"],
    ["bytes that were no UTF-8", "m\ufffd"],
    ["a line break", "m\n"],
    ["eight thousand characters", "x".repeat(8000)],
    ["white space around it", " m"],
    ["nothing", ""],
  ];

  it.each(NAMES)("%s costs its item alone, whatever source tells it, and is shown harmlessly", async (_name, model) => {
    const clock = new ManualClock();
    const store = await createSqliteStore({ path: ":memory:", clock });
    onTestFinished(() => store.close());
    const aliased = listing("aliased", {}, { aliases: ["fine", model] });
    const script = new ScriptedSource([...listings(120), listing(model), listing("own", {}, { provider: model }), aliased]);
    const report = await syncOnce({ sources: [script], store, clock });
    expect(report).toMatchObject({ outcome: "committed", models: 121 });
    expect(report.sources[0]?.rejected).toHaveLength(2);
    for (const { id } of report.sources[0]?.rejected ?? []) expect(/[\p{Cc}\p{Cf}\p{Cs}]/u.test(id) || id.length > 300).toBe(false);
    const found = (await store.state()).content.layers[0]?.models.find((known) => known.listing.model === "aliased");
    expect(found?.listing.aliases).toEqual(["fine"]);
  });

  it("does not stop a commit to PostgreSQL", async () => {
    const database = await createTestDatabase("postgres");
    onTestFinished(() => database.remove());
    const store = await database.openStore();
    const body: Record<string, object> = Object.fromEntries(listings(120).map(({ model }) => [model, { litellm_provider: "acme" }]));
    body["nul\u0000"] = { litellm_provider: "acme" };
    body["x".repeat(8000)] = { litellm_provider: "acme" };
    const litellm: Source = { ...litellmPrices(), read: () => read(litellmPrices(), JSON.stringify(body)) };
    const report = await syncOnce({ sources: [litellm], store });
    expect(report).toMatchObject({ outcome: "committed", models: 120 });
    expect(report.sources[0]?.rejected.map(({ problem }) => problem)).toEqual(["id: control characters", "id: length"]);
  });
});

describe("numbers that are none", () => {
  const first = async (source: Source, body: unknown): Promise<ModelListing | undefined> =>
    (await read(source, JSON.stringify(body))).models?.[0];

  it("leave a tier's length unknown, and the tier out", async () => {
    const tier = (size: unknown): object => ({ tier: { size }, input: 2 });
    const sizes = [1.5, -5, 0, "x", 2 ** 60, 200_000];
    const model = { id: "m", cost: { input: 1, tiers: sizes.map(tier) } };
    expect((await first(modelsDev(), { acme: { id: "acme", models: { m: model } } }))?.priceTiers).toEqual([
      { aboveTokens: 200_000, usdPerMillion: { input: 2 } },
    ]);
    const tiers = sizes.map((min) => ({ cost: "0.000002", min }));
    expect((await first(vercelGateway(), { data: [{ id: "m", pricing: { input: "0.000001", input_tiers: tiers } }] }))?.priceTiers).toEqual(
      [{ aboveTokens: 200_000, usdPerMillion: { input: 2 } }],
    );
    const raw = { litellm_provider: "acme", [`input_cost_per_token_above_${"9".repeat(400)}k_tokens`]: 1e-6 };
    expect(await first(litellmPrices(), { m: raw })).not.toHaveProperty("priceTiers");
  });

  it("are no more than sixteen tiers, and of one length one", async () => {
    const tiers = Array.from({ length: 40 }, (_, index) => ({ tier: { size: 1000 * (40 - (index % 30)) }, input: index }));
    const found = await first(modelsDev(), { acme: { id: "acme", models: { m: { id: "m", cost: { input: 1, tiers } } } } });
    const lengths = found?.priceTiers?.map((tier) => tier.aboveTokens) ?? [];
    expect(lengths).toEqual([...new Set(lengths)].sort((a, b) => a - b));
    expect(lengths).toHaveLength(16);
  });

  it.each([1e308, -1, 0, 8.64e12 + 1])("leave the instant %d unknown", async (created) => {
    expect(await first(openRouterModels(), { data: [{ id: "a/m", created }] })).not.toHaveProperty("releasedAt");
  });

  it.each(["0x10", "1e3", " 16 ", "16.5", "-16", ""])("leave a context of %j unknown", async (context_length) => {
    expect(await first(openRouterModels(), { data: [{ id: "a/m", context_length }] })).not.toHaveProperty("contextTokens");
    expect(await first(openRouterModels(), { data: [{ id: "a/m", context_length: "16" }] })).toMatchObject({ contextTokens: 16 });
  });

  it("are refused as the least number of models of a server", () => {
    expect(() => openAiCompatible({ provider: "acme", baseUrl: "https://host/v1", minModels: Number.NaN })).toThrow(/minModels/);
  });
});

describe("a long list with thousands of items that do not validate", () => {
  /** OpenRouter's list; every item that `isBad` names does not validate. */
  const openRouter = (count: number, isBad: (index: number) => boolean): Source => {
    const data = Array.from({ length: count }, (_, index) => ({ id: `a/m-${index}`, ...(isBad(index) && { pricing: "free" }) }));
    return { ...openRouterModels(), read: () => read(openRouterModels(), JSON.stringify({ data })) };
  };

  it("is refused for the share of them, and makes no served model vanish, beyond the two hundred that a report tells", async () => {
    const clock = new ManualClock();
    const store = await createSqliteStore({ path: ":memory:", clock });
    onTestFinished(() => store.close());
    const run = async (source: Source) => (await syncOnce({ sources: [source], store, clock })).sources[0];
    expect(await run(openRouter(5300, (index) => index >= 300))).toMatchObject({ outcome: "refused", reason: "mostly-invalid" });
    expect(await run(openRouter(1500, () => false))).toMatchObject({ outcome: "accepted", vanished: 0 });
    const told = await run(openRouter(1500, (index) => index < 450));
    expect(told).toMatchObject({ outcome: "accepted", vanished: 0 });
    expect(told?.rejected).toHaveLength(201);
  });
});

describe("a list of more items than any real one", () => {
  it("ends in an error of its source", async () => {
    const body = JSON.stringify({ data: Array.from({ length: 50_001 }, (_, index) => ({ id: `m-${index}` })) });
    await expect(read(openRouterModels(), body)).rejects.toMatchObject({ reason: "too-large" });
  });
});
