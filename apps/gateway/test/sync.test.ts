import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { createSettings } from "../src/config/read-settings.ts";
import { createLocalTier } from "../src/shared-tier.ts";
import { startSync } from "../src/sync/start-sync.ts";
import { type Bed, chat, startBed, until } from "./support/start.ts";

/** A server that lists `count` models at a price, and counts how often it was asked. */
async function serveModels(): Promise<{ url: string; asked: number; answer(count: number, price?: string): void }> {
  let body = "";
  const self = {
    url: "",
    asked: 0,
    answer: (count: number, price = "0.000001") => {
      const data = Array.from({ length: count }, (_, index) => ({
        id: `acme/m-${index}`,
        pricing: { prompt: index === 0 ? price : "0.000001", completion: "0.000002" },
        ...(index === 7 ? { created: 1_700_000_000, context_length: 8192, top_provider: { max_completion_tokens: 4096 } } : {}),
      }));
      body = JSON.stringify({ data });
    },
  };
  self.answer(120);
  const server = createServer((_request, response) => {
    self.asked += 1;
    response.writeHead(200, { "content-type": "application/json" }).end(body);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  self.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/models`;
  return self;
}

/** A gateway that syncs from these sources, closed when the test ends. */
async function openBed(syncSources: string[], settings: Parameters<typeof startBed>[0] = {}): Promise<Bed> {
  const bed = await startBed({ syncSources, ...settings });
  onTestFinished(() => bed.close());
  return bed;
}

describe("provider sync in the gateway", () => {
  it("logs why a source failed, why a list is not believed, and what is held back", async () => {
    const models = await serveModels();
    const bed = await openBed([`openrouter=${models.url}`, "vercel=http://127.0.0.1:1/x"], { upstreamRetries: 0 });
    const run = (): Promise<Response> => bed.admin("POST", "/admin/sync");
    const logged = (): string => bed.logs.filter((line) => line.includes("provider s")).join("");
    await run();
    expect(logged()).toMatch(/"source":"vercel","role":"primary","reason":"network","detail":"cannot reach http.*could not be read/);
    models.answer(120, "0.0001");
    await run();
    expect(logged()).toMatch(/"count":1,"held":\["openrouter#openrouter\/acme\/m-0#input: jump"\]/);
    models.answer(3);
    await run();
    expect(logged()).toMatch(/"source":"openrouter","role":"primary","reason":"too-few".*not believed/);
    expect(logged()).toMatch(/"outcome":"failed".*"reason":"no primary source was accepted"/);
  });

  it("shows the administrator what is held back, and believes it when told to", async () => {
    const models = await serveModels();
    const bed = await openBed([`openrouter=${models.url}`]);
    await bed.admin("POST", "/admin/sync");
    models.answer(120, "0.0001");
    await bed.admin("POST", "/admin/sync");
    const held = async (): Promise<unknown> => (await bed.admin("GET", "/admin/sync/quarantine")).json();
    const key = "openrouter#openrouter/acme/m-0#input";
    expect(await held()).toMatchObject({ quarantine: [{ key, reason: "jump", kept: 1, offered: 100 }] });
    for (const [body, status] of [
      [{ keys: [] }, 400],
      [{ keys: ["no such key"] }, 409],
      [{ keys: [key, "no such key"] }, 409],
    ] as const)
      expect((await bed.admin("POST", "/admin/sync/accept", body)).status).toBe(status);
    expect(await held()).toMatchObject({ quarantine: [{ key }] });
    const accepted = await bed.admin("POST", "/admin/sync/accept", { keys: [key] });
    expect([accepted.status, await accepted.json()]).toEqual([200, { version: 3, models: 120 }]);
    expect(await held()).toEqual({ quarantine: [] });
    const listed = (await (await bed.admin("GET", "/admin/catalog/models")).json()) as {
      models: Array<{ model: string; usdPerMillion: object }>;
    };
    expect(listed.models.find(({ model }) => model === "acme/m-0")?.usdPerMillion).toMatchObject({ input: 100 });
    expect(bed.logs.join("")).toMatch(/"audit":"sync.accept"/);
  });

  it("tells the catalog that its database holds from its first answer on, whatever becomes of the sources", async () => {
    const bed = await openBed([`openrouter=${(await serveModels()).url}`]);
    await bed.admin("POST", "/admin/sync");
    const peer = await bed.peer({ syncSources: ["openrouter=http://127.0.0.1:1/models"] });
    onTestFinished(() => peer.close());
    const { models } = (await (await peer.admin("GET", "/admin/catalog/models")).json()) as { models: unknown[] };
    expect(models).toHaveLength(120);
    const status = (await (await peer.admin("GET", "/admin/sync")).json()) as { catalog: { refreshErrors: number } };
    expect(status.catalog.refreshErrors, "the first look waits for the store").toBe(0);
  });

  it("lists the catalog beside the upstream's own models, and tells by its prices what hits have saved: whole answers and items", async () => {
    const models = await serveModels();
    const bed = await openBed([`openrouter=${models.url}`]);
    await bed.admin("POST", "/admin/sync");
    const { data } = (await (await fetch(`${bed.url}/v1/models`)).json()) as { data: Array<{ id: string }> };
    const ids = data.map((model) => model.id);
    expect([ids.length, new Set(ids).size, ids.includes("fixture-model"), ids.includes("acme/m-7")]).toEqual([121, 121, true, true]);
    const one = await fetch(`${bed.url}/v1/models/acme/m-7`);
    expect(await one.json()).toMatchObject({
      ...{ id: "acme/m-7", object: "model", created: 1_700_000_000, owned_by: "acme" },
      ...{ context_length: 8192, max_output_tokens: 4096, usd_per_million_tokens: { input: 1, output: 2 } },
    });
    expect((await fetch(`${bed.url}/v1/models/acme/m-1000`)).status).toBe(404);

    const saved = async (): Promise<number> =>
      ((await (await bed.admin("GET", "/admin/cache/stats")).json()) as { saved: { usd: number } }).saved.usd;
    const embed = (input: string[]): Promise<Response> => bed.post("/v1/embeddings", { model: "acme/m-1", input });
    await (await bed.post("/v1/chat/completions", chat("priced", { model: "acme/m-0" }))).text();
    await (await embed(["aa", "bbbb"])).text();
    expect(await saved()).toBe(0);
    await (await bed.post("/v1/chat/completions", chat("priced", { model: "acme/m-0" }))).text();
    // A dollar a million tokens of input, two of output.
    expect(await saved()).toBeCloseTo((11 + 2 * 7) / 1e6, 9);
    await (await embed(["aa", "cc"])).text();
    expect(await saved()).toBeCloseTo((11 + 2 * 7 + 2) / 1e6, 9);
    expect(await (await fetch(`${bed.url}/metrics`)).text()).toMatch(/^larder_cache_saved_usd_total 0.000027\d*$/m);
  });

  it("calls a catalog stale by how often it is synced: one that is synced every six hours is not, after two", async () => {
    const models = await serveModels();
    const bed = await openBed([`openrouter=${models.url}`], { syncInterval: "6h" });
    await bed.admin("POST", "/admin/sync");
    onTestFinished(() => void vi.useRealTimers());
    const isStaleAfter = async (hours: number): Promise<boolean> => {
      vi.useFakeTimers({ toFake: ["Date"], now: startedAt + hours * 3_600_000 });
      return ((await (await bed.admin("GET", "/admin/sync")).json()) as { catalog: { isStale: boolean } }).catalog.isStale;
    };
    const startedAt = Date.now();
    expect([await isStaleAfter(2), await isStaleAfter(11), await isStaleAfter(13)]).toEqual([false, false, true]);

    // One that starts meanwhile finds that the fleet has run lately.
    vi.useFakeTimers({ toFake: ["Date"], now: startedAt + 2 * 3_600_000 });
    const peer = await bed.peer({ syncSources: [`openrouter=${models.url}`], syncInterval: "6h" });
    onTestFinished(() => peer.close());
    const planned = async (): Promise<unknown> =>
      ((await (await peer.admin("GET", "/admin/sync")).json()) as { nextRunAt?: number }).nextRunAt;
    await expect.poll(planned, { timeout: 15_000 }).toBeDefined();
    expect([models.asked, peer.logs.filter((line) => line.includes("stale"))]).toEqual([1, []]);
  });

  it("tells of the fleet's last run where another process has made it, and after a restart", async () => {
    const models = await serveModels();
    const bed = await openBed([`openrouter=${models.url}`]);
    const { id } = (await (await bed.admin("POST", "/admin/sync")).json()) as { id: string };
    const peer = await bed.peer({ syncSources: [`openrouter=${models.url}`] });
    onTestFinished(() => peer.close());
    const told = async (): Promise<unknown> =>
      ((await (await peer.admin("GET", "/admin/sync")).json()) as { lastReport?: { id: string } }).lastReport?.id;
    await expect.poll(told, { timeout: 15_000 }).toBe(id);
    expect(models.asked, "nobody was asked for it again").toBe(1);
  });

  it("refuses to start with one source twice", async () => {
    await expect(startBed({ syncSources: ["openrouter=http://127.0.0.1:1/a", "openrouter=http://127.0.0.1:1/b"] })).rejects.toThrow(
      /LARDER_SYNC_SOURCES names the source openrouter twice/,
    );
  });

  it("answers 503 while its database is away, says why in the log, and asks nobody after it was closed", async () => {
    const models = await serveModels();
    const logs: string[] = [];
    const log = pino({ level: "debug" }, { write: (line: string) => void logs.push(line) });
    const settings = createSettings({
      openaiBaseUrl: "http://127.0.0.1:1/v1",
      syncSources: [`openrouter=${models.url}`],
      databaseUrl: "postgres://user:canary@127.0.0.1:1/none",
    });
    const directory = mkdtempSync(join(tmpdir(), "larder-gateway-"));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const sync = await startSync({ settings, directory, shared: createLocalTier(), log });
    await expect(sync.control?.run()).rejects.toThrow("the database of record is not available");
    await until(() => logs.some((line) => line.includes("store cannot be opened")));
    expect(logs.join("")).not.toContain("canary");
    await sync.close();
    await expect(sync.control?.run()).rejects.toThrow();

    // Closed while the store is being opened.
    const early = await startSync({ settings: { ...settings, databaseUrl: "file:late.db" }, directory, shared: createLocalTier(), log });
    await early.close();
    await expect(early.control?.run()).rejects.toThrow("the database of record is not available");
    expect(await early.control?.status()).not.toHaveProperty("nextRunAt");
    expect(models.asked).toBe(0);
  });
});

const payloads = resolve(import.meta.dirname, "../../../../shared/provider-payloads");
const hasPayloads = existsSync(payloads);
if (!hasPayloads) console.warn("skipped: the recorded bodies of OpenRouter and models.dev are not beside this repository");

it("a gateway without provider sync has an empty catalog, and says so to whoever would have it run", async () => {
  const bed = await startBed();
  const asked = ["GET sync", "GET sync/quarantine", "GET catalog/models", "GET catalog/providers", "POST sync", "POST sync/accept"];
  const told = await Promise.all(
    asked.map(async (ask) => {
      const [method = "", path] = ask.split(" ");
      const response = await bed.admin(method, `/admin/${path}`, method === "POST" ? { keys: ["a"] } : undefined);
      return [response.status, await response.json()];
    }),
  );
  const off = [409, { error: expect.objectContaining({ message: expect.stringContaining("Provider sync is off") }) }];
  expect(told).toEqual([[200, { isEnabled: false }], [200, { quarantine: [] }], [200, { models: [] }], [200, { providers: [] }], off, off]);
  await bed.close();
});

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
