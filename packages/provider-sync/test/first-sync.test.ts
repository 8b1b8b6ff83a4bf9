import { describe, expect, it, onTestFinished } from "vitest";
import { createCatalog, modelsDev, openRouterModels, syncOnce } from "../src/index.ts";
import { createSqliteStore } from "../src/sqlite.ts";
import { hasPayloads, payloadUrl } from "./support/payloads.ts";

const sources = () => [
  openRouterModels({ url: payloadUrl("openrouter/openrouter-models.2026-05-22.json") }),
  modelsDev({ url: payloadUrl("models.dev/api.2026-07-02.json") }),
];

describe.skipIf(!hasPayloads)("a sync of stored real bodies", () => {
  it("commits one version, serves prices from it, and finds nothing to change the second time", async () => {
    const store = await createSqliteStore({ path: ":memory:" });
    onTestFinished(() => store.close());
    const first = await syncOnce({ store, sources: sources() });
    expect(first).toMatchObject({ outcome: "committed", isComplete: true, version: 1, quarantine: [] });
    expect(first.models).toBe(5319);

    const catalog = createCatalog({ readers: [store] });
    onTestFinished(() => catalog.close());
    await catalog.ready();
    expect(catalog.price("anthropic/claude-opus-4.7", "openrouter")).toMatchObject({
      usdPerMillion: { input: 5, output: 25, cacheRead: 0.5, cacheWrite: 6.25 },
      source: "openrouter",
    });
    expect(catalog.price("gpt-4o")).toMatchObject({ id: "openai/gpt-4o", usdPerMillion: { input: 2.5, output: 10 } });
    expect(catalog.find("OpenAI/GPT-4o")?.id).toBe("openai/gpt-4o");

    const second = await syncOnce({ store, sources: sources() });
    expect(second).toMatchObject({ outcome: "unchanged", version: 1, changes: [] });
  });
});
