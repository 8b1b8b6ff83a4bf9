import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bed, chat, startBed } from "./support/start.ts";

const payloads = resolve(import.meta.dirname, "../../../../shared/provider-payloads");
const hasPayloads = existsSync(payloads);
if (!hasPayloads) console.warn("skipped: the recorded bodies of OpenRouter and models.dev are not beside this repository");

describe.skipIf(!hasPayloads)("provider sync with recorded bodies", () => {
  let server: Server;
  let bed: Bed;
  beforeAll(async () => {
    server = createServer((request, response) => {
      const file = request.url === "/models" ? "openrouter/openrouter-models.2026-05-22.json" : "models.dev/api.2026-07-02.json";
      response.writeHead(200, { "content-type": "application/json" }).end(readFileSync(resolve(payloads, file)));
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    bed = await startBed({ syncSources: [`openrouter=${base}/models`, `models.dev=${base}/api.json`] });
    const report = await bed.admin("POST", "/admin/sync");
    expect(report.status).toBe(200);
  });
  afterAll(async () => {
    await bed.close();
    await new Promise((done) => server.close(done));
  });

  it("lists the catalog's models beside the upstream's own", async () => {
    const { data } = (await (await fetch(`${bed.url}/v1/models`)).json()) as { data: Array<{ id: string }> };
    const ids = new Set(data.map((model) => model.id));
    expect(ids.size).toBe(data.length);
    expect(["fixture-model", "openai/gpt-4o", "anthropic/claude-sonnet-4"].filter((id) => !ids.has(id))).toEqual([]);
    expect(data.length).toBeGreaterThan(4_000);
    expect(await (await fetch(`${bed.url}/v1/models/openai/gpt-4o`)).json()).toMatchObject({ id: "openai/gpt-4o", object: "model" });
  });

  it("tells in dollars what hits have saved", async () => {
    for (let round = 0; round < 2; round += 1) await bed.post("/v1/chat/completions", chat("priced", { model: "openai/gpt-4o" }));
    const { saved } = (await (await bed.admin("GET", "/admin/cache/stats")).json()) as { saved: { usd: number } };
    expect(saved.usd).toBeCloseTo((11 * 2.5 + 7 * 10) / 1e6, 8);
  });

  it("shows the sync's state and the catalog to the administrator", async () => {
    expect(await (await bed.admin("GET", "/admin/sync")).json()).toMatchObject({ isEnabled: true, catalog: { isStale: false } });
    const { models } = (await (await bed.admin("GET", "/admin/catalog/models")).json()) as { models: unknown[] };
    expect(models.length).toBeGreaterThan(4_000);
  });
});
