import { channel } from "node:diagnostics_channel";
import { type ClientRequest, request as httpRequest } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StoredAnswer } from "../src/caching/stored-answer.ts";
import { createSettings } from "../src/config/read-settings.ts";
import { createGatewayCore, type GatewayCore } from "../src/gateway-core.ts";
import { FetchExchange } from "../src/http/fetch-exchange.ts";
import { createLog } from "../src/telemetry/log.ts";
import { operatorProviders } from "../src/upstream/operator-providers.ts";
import { PooledUpstream } from "../src/upstream/pooled-upstream.ts";
import { ProviderTable } from "../src/upstream/provider-table.ts";
import { ADMIN_TOKEN, type Bed, chat, startBed, until } from "./support/start.ts";
import { FixtureUpstream } from "./support/upstream.ts";

describe("an entry that is another tenant's, under whatever key it came to stand", () => {
  let fixture: FixtureUpstream;
  let upstream: PooledUpstream;
  let core: GatewayCore;
  beforeAll(async () => {
    fixture = await FixtureUpstream.start();
    const settings = createSettings({ openaiBaseUrl: fixture.url, openaiApiKey: "sk-upstream-0000" });
    upstream = new PooledUpstream({ connections: 4 });
    const { providers, fallback, anthropic } = operatorProviders(settings, upstream);
    const table = new ProviderTable(settings, providers, fallback, anthropic);
    const ann = { tenant: "ann", keyId: undefined, limits: {}, upstreamKey: undefined };
    core = createGatewayCore({
      settings,
      log: createLog("silent"),
      authenticator: { identify: () => ann },
      directory: { table: () => table },
    });
  });
  afterAll(async () => {
    await core.close();
    await upstream.close();
    await fixture.close();
  });

  const ask = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> => {
    const exchange = new FetchExchange(new Request(`http://app${path}`, { method: "POST", headers, body: JSON.stringify(body) }));
    void core.api.handle(exchange);
    return exchange.response;
  };

  /** Has the entry of a request be bob's. */
  async function makeForeign(path: string, body: unknown): Promise<void> {
    const first = await ask(path, body);
    await first.text();
    const key = /key="([^"]+)"/.exec(first.headers.get("cache-status") ?? "")?.[1] as string;
    const found = await core.parts.answers.lookup(key);
    if (found.status === "miss") throw new Error("the first answer was not stored");
    const { meta, body: bytes } = found.value;
    const secret = Buffer.from(bytes.toString("latin1").replace("fixture", "bob-own"), "latin1");
    await core.parts.answers.set(key, new StoredAnswer({ ...meta, owner: "bob" }, secret), { ttlMs: 60_000, tags: [] });
  }

  const WISHES: ReadonlyArray<readonly [headers: Record<string, string>, status: number]> = [
    [{ "cache-control": "max-age=600" }, 200],
    [{ "x-larder-cache-mode": "read-only" }, 200],
    [{ "cache-control": "only-if-cached" }, 504],
  ];
  it.each(
    WISHES.flatMap(([headers, status]) => [
      ["an answer", "/v1/chat/completions", headers, status] as const,
      ["an embedding", "/v1/embeddings", headers, status] as const,
    ]),
  )("is none to who asks for %s (%s) with %o", async (_what, path, headers, status) => {
    const text = `foreign to ${JSON.stringify(headers)}`;
    const body = path === "/v1/embeddings" ? { model: "fixture-model", input: [text] } : chat(text);
    await makeForeign(path, body);
    const calls = fixture.calls;
    const answer = await ask(path, body, headers);
    expect([answer.status, answer.headers.get("x-larder-cache") === "HIT", fixture.calls - calls]).toEqual([
      status,
      false,
      status === 200 ? 1 : 0,
    ]);
    expect(await answer.text()).not.toContain("bob-own");
  });

  it.each([
    ["a whole answer", "/v1/chat/completions", chat("foreign")],
    ["a stream", "/v1/chat/completions", chat("foreign stream", { stream: true })],
    ["an embedding", "/v1/embeddings", { model: "fixture-model", input: ["foreign"] }],
  ])("is no answer to %s: another is made in its place", async (_, path, body) => {
    await makeForeign(path, body);
    const calls = fixture.calls;
    const again = await ask(path, body);
    expect([again.status, again.headers.get("x-larder-cache"), fixture.calls - calls]).toEqual([200, "REFRESH", 1]);
    expect(await again.text()).not.toContain("bob-own");
    expect((await ask(path, body)).headers.get("x-larder-cache")).toBe("HIT");
  });
});

describe("imported lines", () => {
  let bed: Bed;
  let line: { key: string; tags: string[]; expiresAt: number; entry: string };
  let meta: Record<string, unknown>;
  let body: Buffer;
  beforeAll(async () => {
    bed = await startBed();
    await (await bed.post("/v1/chat/completions", chat("imported"))).text();
    line = JSON.parse((await (await bed.admin("GET", "/admin/cache/export")).text()).trim());
    const bytes = Buffer.from(line.entry, "base64");
    const end = bytes.indexOf("\n");
    meta = JSON.parse(bytes.toString("utf8", 0, end));
    body = bytes.subarray(end + 1);
  });
  afterAll(() => bed.close());

  const importOne = async (changes: { meta?: object; body?: Buffer; line?: object }): Promise<Record<string, number>> => {
    const entry = Buffer.concat([Buffer.from(`${JSON.stringify({ ...meta, ...changes.meta })}\n`), changes.body ?? body]);
    const changed = JSON.stringify({ ...line, entry: entry.toString("base64"), ...changes.line });
    const report = await bed.admin("POST", "/admin/cache/import", `${changed}\n`);
    return (await report.json()) as Record<string, number>;
  };

  it.each([
    ["a provider's name that no header can carry", { meta: { provider: "a\r\nx-evil: 1" } }],
    ["no provider", { meta: { provider: undefined } }],
    ["usage that is no number", { meta: { usage: { inputTokens: "a\r\nb", outputTokens: 1 } } }],
    ["an owner other than the key's", { meta: { owner: "somebody-else" } }],
    ["a time to live below zero", { meta: { ttlMs: -5 } }],
    ["a time to live of ages", { meta: { ttlMs: 1e15 }, line: { expiresAt: 1e15 } }],
    ["an embedding where an answer belongs", { meta: { format: "f32" } }],
    ["an answer that is no JSON", { body: Buffer.from("hello") }],
    ["an error", { body: Buffer.from('{"error":{"message":"boom"}}') }],
    ["an answer that has not ended", { body: Buffer.from('{"choices":[{"index":0,"message":{},"finish_reason":null}]}') }],
    ["a key of another endpoint", { line: { key: `1:0000000000000000:embedding:m:${"0".repeat(64)}` } }],
  ])("are refused with %s", async (_, changes) => {
    expect(await importOne(changes)).toEqual({ imported: 0, expired: 0, refused: 1, dropped: 0 });
  });

  it.each([
    ["nothing in it", 0],
    ["half a number", 6],
  ])("of an embedding are refused with %s", async (_, length) => {
    const [format, partition] = line.key.split(":");
    const changes = { meta: { format: "f32" }, line: { key: `${format}:${partition}:embedding:m:${"0".repeat(64)}` } };
    expect(await importOne({ ...changes, body: Buffer.alloc(8) })).toMatchObject({ imported: 1 });
    expect(await importOne({ ...changes, body: Buffer.alloc(length) })).toMatchObject({ refused: 1 });
  });

  it("are taken back as an export tells them, with the longest name of a model and the tags of ten callers who shared a load", async () => {
    const model = "m".repeat(512);
    const tags = [`model:${model}`, ...Array.from({ length: 200 }, (_, tag) => `${tag}`.padEnd(128, "t"))];
    expect(await importOne({ meta: { model }, line: { tags } })).toMatchObject({ imported: 1, refused: 0 });
  });

  it("are dropped with their tenant and model, whatever tags they came with", async () => {
    expect(await importOne({ line: { tags: [] } })).toMatchObject({ imported: 1 });
    expect((await bed.post("/v1/chat/completions", chat("imported"))).headers.get("x-larder-cache")).toBe("HIT");
    await bed.admin("POST", "/admin/cache/invalidate", { tenant: "default" });
    expect((await bed.post("/v1/chat/completions", chat("imported"))).headers.get("x-larder-cache")).toBe("MISS");
  });

  it("may end without a line end, or with two characters, and be blank", async () => {
    const lines = `\r\n${JSON.stringify(line)}\r\n\n${JSON.stringify(line)}`;
    const report = await bed.admin("POST", "/admin/cache/import", lines);
    expect(await report.json()).toEqual({ imported: 2, expired: 0, refused: 0, dropped: 0 });
  });

  /** An import that has begun; its end is the test's to send. */
  async function beginImport(): Promise<{ request: ClientRequest; answer: Promise<string> }> {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    const request = httpRequest(`${bed.url}/admin/cache/import`, { method: "POST", headers });
    const answer = new Promise<string>((resolve, reject) => {
      request.on("error", reject).on("response", (response) => resolve(text(response)));
    });
    request.write(`${JSON.stringify(line)}\n`);
    await until(() => channel("larder:invalidation-received").hasSubscribers);
    return { request, answer };
  }

  it.each([
    ["model", () => ({ model: "fixture-model" })],
    ["key", () => ({ key: line.key })],
    ["pattern", () => ({ pattern: "1:*" })],
    ["nothing of theirs", () => ({ tenant: "somebody-else" })],
  ])("do not come after what drops them while the import runs: by %s", async (what, target) => {
    const { request, answer } = await beginImport();
    expect((await bed.admin("POST", "/admin/cache/invalidate", target())).status).toBe(200);
    request.end();
    const isDropped = what !== "nothing of theirs";
    expect(JSON.parse(await answer)).toMatchObject({ imported: isDropped ? 0 : 1, dropped: isDropped ? 1 : 0 });
    expect(channel("larder:invalidation-received").hasSubscribers).toBe(false);
  });

  it("that came before an import broke off stay, and are in the audit trail", async () => {
    const { request, answer } = await beginImport();
    request.destroy();
    await answer.catch(() => undefined);
    await until(() => bed.logs.some((logged) => logged.includes('"isWhole":false')));
    const { entries } = (await (await bed.admin("GET", "/admin/audit")).json()) as { entries: Array<{ action: string; detail: string }> };
    expect(JSON.parse(entries.find(({ action }) => action === "cache.import")?.detail ?? "")).toMatchObject({
      imported: 1,
      isWhole: false,
    });
    expect(bed.logs.filter((logged) => (JSON.parse(logged) as { level: number }).level >= 50)).toEqual([]);
  });
});
