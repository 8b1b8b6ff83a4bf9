import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createSettings } from "../src/config/read-settings.ts";
import { startGateway } from "../src/start-gateway.ts";
import { readTelemetrySettings } from "../src/telemetry/telemetry-settings.ts";
import { Collector, readProtobuf } from "./support/collector.ts";
import { type Bed, chat, startBed, until } from "./support/start.ts";

const PARENT = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" };
const TRACEPARENT = `00-${PARENT.traceId}-${PARENT.spanId}-01`;
const CLIENT = 3;
const SERVER = 2;

let collector: Collector;
let bed: Bed | undefined;

beforeEach(async () => {
  collector = await Collector.start();
});
afterEach(async () => {
  await bed?.close();
  bed = undefined;
  await collector.close();
  vi.unstubAllEnvs();
});

/** Starts a gateway that sends its telemetry to the collector, as JSON unless told. */
async function startWatched(environment: Record<string, string> = {}, settings: Parameters<typeof startBed>[0] = {}): Promise<Bed> {
  const all = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json", ...environment };
  for (const [name, value] of Object.entries(all)) vi.stubEnv(name, value);
  bed = await startBed(settings);
  return bed;
}

/** Stops the gateway: what is left to send is sent. */
async function stop(): Promise<void> {
  const stopping = bed;
  bed = undefined;
  await stopping?.close();
}

describe("traces", () => {
  it("tell of a miss and a hit: the request, the call below it, what the cache did, and the caller's trace", async () => {
    const { post, upstream } = await startWatched();
    const request = chat("traced", { temperature: 0.25, max_tokens: 99, seed: 7 });
    await (await post("/v1/chat/completions", request, { traceparent: TRACEPARENT, tracestate: "vendor=1" })).text();
    await (await post("/v1/chat/completions", request)).text();
    const heard = upstream.seen.at(-1)?.headers;
    await stop();
    const { spans } = collector;
    expect(spans.map((span) => [span.kind, span.name])).toEqual([
      [CLIENT, "chat fixture-model"],
      [SERVER, "POST /v1/chat/completions"],
      [SERVER, "POST /v1/chat/completions"],
    ]);
    const [call, miss, hit] = spans as [(typeof spans)[0], (typeof spans)[0], (typeof spans)[0]];
    expect([miss.traceId, miss.parentSpanId, call.traceId, call.parentSpanId]).toEqual([
      PARENT.traceId,
      PARENT.spanId,
      PARENT.traceId,
      miss.spanId,
    ]);
    expect([heard?.traceparent, heard?.tracestate]).toEqual([`00-${PARENT.traceId}-${call.spanId}-01`, "vendor=1"]);
    expect(hit.traceId).not.toBe(PARENT.traceId);
    expect(call.attributes).toMatchObject({
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "fixture-model",
      "gen_ai.request.temperature": 0.25,
      "gen_ai.request.max_tokens": 99,
      "gen_ai.request.seed": 7,
      "gen_ai.response.model": "fixture-model",
      "gen_ai.response.id": "chatcmpl-1",
      "gen_ai.response.finish_reasons": ["stop"],
      "gen_ai.usage.input_tokens": 11,
      "gen_ai.usage.output_tokens": 7,
      "server.address": "127.0.0.1",
      "larder.provider": "openai",
    });
    expect(miss.attributes).toMatchObject({
      "http.request.method": "POST",
      "http.route": "/v1/chat/completions",
      "http.response.status_code": 200,
      "larder.cache.verdict": "MISS",
    });
    expect(hit.attributes).toMatchObject({ "larder.cache.verdict": "HIT", "larder.cache.age": 0 });
    expect(hit.attributes["larder.cache.status"]).toMatch(/^larder; hit; ttl=\d+; key="/);
    expect(collector.resources[0]).toMatchObject({ "service.name": "larder-gateway" });
  });

  it("tell the first chunk of a stream, and every endpoint by its operation", async () => {
    const { post } = await startWatched();
    await (await post("/v1/chat/completions", chat("traced stream", { stream: true }))).text();
    await (await post("/v1/completions", { model: "m", prompt: "traced" })).text();
    await (await post("/v1/embeddings", { model: "m", input: ["traced", "twice"] })).text();
    await (await post("/v1/responses", { model: "m", input: "traced" })).text();
    await (await post("/v1/messages", { model: "m", max_tokens: 9, messages: [{ role: "user", content: "traced" }] })).text();
    await (await post("/v1/images/generations", { model: "m", prompt: "traced" })).text();
    await (await fetch(`${bed?.url}/v1/files?after=secret-query`)).text();
    await stop();
    const calls = collector.spans.filter((span) => span.kind === CLIENT);
    expect(calls.map((span) => span.name)).toEqual([
      "chat fixture-model",
      "text_completion m",
      "embeddings m",
      "chat m",
      "chat m",
      "generate_content m",
      "GET",
    ]);
    expect(calls[0]?.events).toEqual(["larder.first_chunk"]);
    expect(calls.map((span) => span.attributes["gen_ai.request.stream"])).toEqual([true, false, false, false, false, false, undefined]);
    expect(calls.map((span) => typeof span.attributes["gen_ai.response.time_to_first_chunk"]).indexOf("number")).toBe(0);
    expect(calls.map((span) => span.attributes["gen_ai.usage.input_tokens"])).toEqual([
      11,
      11,
      expect.any(Number),
      11,
      11,
      undefined,
      undefined,
    ]);
    const passed = collector.spans.filter((span) => span.kind === SERVER).at(-1);
    expect(passed?.attributes).toMatchObject({ "http.route": "/v1/*", "url.path": "/v1/files" });
  });

  it("tell apart what came from the provider's prompt cache, and what went there", async () => {
    const { post, upstream } = await startWatched();
    upstream.behaviour = (_seen, response) => {
      const usage = { input_tokens: 3, cache_read_input_tokens: 40, cache_creation_input_tokens: 5, output_tokens: 7 };
      const message = { id: "msg", type: "message", role: "assistant", model: "m", content: [], stop_reason: "end_turn", usage };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(message));
      return true;
    };
    await (await post("/v1/messages", { model: "m", max_tokens: 9, messages: [{ role: "user", content: "cached there" }] })).text();
    await stop();
    expect(collector.spans.find((span) => span.kind === CLIENT)?.attributes).toMatchObject({
      "gen_ai.usage.input_tokens": 48,
      "gen_ai.usage.cache_read.input_tokens": 40,
      "gen_ai.usage.cache_creation.input_tokens": 5,
    });
  });

  it("tell a provider's failure and its retries, and never what the provider says", async () => {
    const { post, upstream } = await startWatched({}, { upstreamRetries: 1 });
    upstream.behaviour = (_seen, response) => {
      response.writeHead(503, { "content-type": "application/json", "retry-after-ms": "1" });
      response.end('{"error":{"message":"upstream-words"}}');
      return true;
    };
    expect((await post("/v1/chat/completions", chat("traced failure"))).status).toBe(503);
    await stop();
    const [call, request] = collector.spans;
    expect(call).toMatchObject({ isError: true, events: ["larder.retry"], attributes: { "error.type": "503" } });
    expect(request).toMatchObject({ isError: true, attributes: { "error.type": "503", "http.response.status_code": 503 } });
    expect(JSON.stringify(collector.spans)).not.toContain("upstream-words");
  });

  it("tell a stream that the provider breaks off as an error of the request, whose status had gone out", async () => {
    const { post, upstream } = await startWatched();
    upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write('data: {"choices":[]}\n\n', () => response.destroy());
      return true;
    };
    expect(await (await post("/v1/chat/completions", chat("traced half", { stream: true }))).text()).toContain('"error"');
    await stop();
    const of = (kind: number): unknown => collector.spans.find((span) => span.kind === kind);
    expect(of(CLIENT)).toMatchObject({ isError: true, attributes: { "error.type": "502" } });
    expect(of(SERVER)).toMatchObject({ isError: true, attributes: { "error.type": "broken_off", "http.response.status_code": 200 } });
  });

  it("tell a caller that leaves, without calling it an error of the request", async () => {
    const { url, upstream } = await startWatched();
    upstream.behaviour = () => new Promise(() => undefined);
    const leaving = new AbortController();
    const asked = fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify(chat("traced leaving")),
      headers: { "content-type": "application/json" },
      signal: leaving.signal,
    }).catch(() => undefined);
    await until(() => upstream.calls === 1);
    leaving.abort();
    await asked;

    await until(() => upstream.seen[0]?.wasAborted === true);

    await stop();

    const request = collector.spans.find((span) => span.kind === SERVER);
    expect(request).toMatchObject({ isError: false, attributes: { "error.type": "abandoned" } });
  });

  it("carry neither credentials nor anything of a body", async () => {
    const { post } = await startWatched({ OTEL_EXPORTER_OTLP_HEADERS: "api-key=collector-canary" }, { auth: "passthrough" });
    const body = chat("prompt-canary", {
      stop: ["stop-canary"],
      user: "user-canary",
      tools: [{ type: "function", function: { name: "tool-canary" } }],
    });
    const authorization = "Bearer sk-client-canary";
    await (await post("/v1/chat/completions", body, { authorization })).text();
    await (await post("/v1/chat/completions?key=query-canary", body, { authorization, cookie: "cookie-canary" })).text();
    const { logs } = bed as Bed;
    await stop();
    const sent = collector.sent.map((entry) => entry.body.toString()).join("\n");
    expect(sent).toContain("gen_ai.request.model");
    expect(sent).toContain("larder.cache.verdict");
    expect(`${sent}\n${logs.join("\n")}`).not.toMatch(/canary|Oslo|told in several words/);
    expect(collector.sent[0]?.headers["api-key"]).toBe("collector-canary");
  });

  it("are sampled as OpenTelemetry's variables say, and a caller's decision is passed on", async () => {
    const { post, upstream } = await startWatched({ OTEL_TRACES_SAMPLER: "parentbased_always_off" });
    await (await post("/v1/chat/completions", chat("not sampled"))).text();
    expect(upstream.seen.at(-1)?.headers.traceparent).toMatch(/-00$/);
    await (await post("/v1/chat/completions", chat("sampled by the caller"), { traceparent: TRACEPARENT })).text();
    await stop();
    expect(new Set(collector.spans.map((span) => span.traceId))).toEqual(new Set([PARENT.traceId]));
  });
});

describe("metrics", () => {
  it("tell calls by gen_ai.*, answers by HTTP's conventions, and the cache by larder.cache.*", async () => {
    const { post } = await startWatched({ OTEL_TRACES_EXPORTER: "none", OTEL_SERVICE_NAME: "my-gateway" });
    for (let round = 0; round < 3; round += 1) await (await post("/v1/chat/completions", chat("measured"))).text();
    await (await post("/v1/chat/completions", chat("measured stream", { stream: true }))).text();
    await stop();
    const { metrics } = collector;
    const points = (name: string): unknown => metrics.get(name)?.points;
    const call = { "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "fixture-model" };
    expect(points("gen_ai.client.operation.duration")).toEqual([{ value: 2, attributes: expect.objectContaining(call) }]);
    expect(points("gen_ai.client.operation.time_to_first_chunk")).toEqual([{ value: 1, attributes: expect.objectContaining(call) }]);
    expect(points("gen_ai.client.token.usage")).toEqual([
      { value: 2, attributes: expect.objectContaining({ ...call, "gen_ai.token.type": "input" }) },
      { value: 2, attributes: expect.objectContaining({ ...call, "gen_ai.token.type": "output" }) },
    ]);
    const verdicts = (metrics.get("http.server.request.duration")?.points ?? []).map((point) => [
      point.attributes["larder.cache.verdict"],
      point.value,
    ]);
    expect(Object.fromEntries(verdicts)).toEqual({ MISS: 2, HIT: 2 });
    expect(points("larder.cache.requests")).toEqual([
      { value: 2, attributes: { "larder.endpoint": "chat", "larder.cache.verdict": "MISS" } },
      { value: 2, attributes: { "larder.endpoint": "chat", "larder.cache.verdict": "HIT" } },
    ]);
    expect(points("larder.cache.entries")).toEqual([{ value: 2, attributes: {} }]);
    expect(points("larder.cache.saved.tokens")).toEqual([
      { value: 22, attributes: { "gen_ai.token.type": "input" } },
      { value: 14, attributes: { "gen_ai.token.type": "output" } },
    ]);
    expect([metrics.get("larder.cache.size")?.unit, metrics.get("gen_ai.client.operation.duration")?.unit]).toEqual(["By", "s"]);
    expect([collector.spans, collector.resources[0]?.["service.name"]]).toEqual([[], "my-gateway"]);
  });

  // The SDK's own bound begins anew with each sending: what had been sent once was sent again for ever, beside as many new ones.
  it("stay bounded in number, however many models callers name over many sendings, and what is beyond is counted as one", async () => {
    const { post } = await startWatched({ OTEL_TRACES_EXPORTER: "none", OTEL_METRIC_EXPORT_INTERVAL: "50" });
    const ask = async (index: number): Promise<string> =>
      (await post("/v1/chat/completions", chat("x", { model: `model-${index}` }))).text();
    for (let from = 0; from < 600; from += 200) {
      for (let at = from; at < from + 200; at += 40) await Promise.all(Array.from({ length: 40 }, (_, index) => ask(at + index)));
      const { length } = collector.sent;
      await until(() => collector.sent.length > length + 1);
    }
    await stop();
    const points = collector.metrics.get("gen_ai.client.operation.duration")?.points ?? [];
    expect(points).toHaveLength(500);
    expect(points.reduce((sum, { value }) => sum + value, 0)).toBe(600);
    expect(points.filter(({ attributes }) => attributes["otel.metric.overflow"] === true)).toMatchObject([{ value: 101 }]);
  });
});

describe("sending", () => {
  it("speaks protobuf unless told otherwise, to an address of its own for each signal", async () => {
    const traces = `${collector.url}/custom/traces`;
    await startWatched({ OTEL_EXPORTER_OTLP_ENDPOINT: "", OTEL_EXPORTER_OTLP_PROTOCOL: "", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: traces });
    await (await (bed as Bed).post("/v1/chat/completions", chat("protobuf"))).text();
    await stop();
    expect(collector.sent.map((sent) => [sent.path, sent.headers["content-type"]])).toEqual([["/custom/traces", "application/x-protobuf"]]);
    const inner = (bytes: Buffer | undefined, field: number): Buffer[] => readProtobuf(bytes as Buffer).get(field) ?? [];
    // ExportTraceServiceRequest.resource_spans[0].scope_spans[0].spans, and of a span the name.
    const spans = inner(inner(inner(collector.sent[0]?.body, 1)[0], 2)[0], 2);
    expect(spans.map((span) => inner(span, 5)[0]?.toString())).toEqual(["chat fixture-model", "POST /v1/chat/completions"]);
  });

  it("that fails changes no answer, and is told once in the log, without the address", async () => {
    collector.status = 400;
    const { post, logs, url } = await startWatched({ OTEL_METRIC_EXPORT_INTERVAL: "10" });
    await until(() => logs.some((line) => line.includes("telemetry cannot be sent")));
    const sent = collector.sent.length;
    await until(() => collector.sent.length > sent + 2);
    expect((await post("/v1/chat/completions", chat("collector down"))).status).toBe(200);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect(logs.filter((line) => line.includes("telemetry cannot be sent") && line.includes("metrics"))).toHaveLength(1);
    expect(logs.join("\n")).not.toContain(collector.url);
  });

  it("is off when nothing asks for it: the caller's trace reaches the provider as it came", async () => {
    bed = await startBed();
    await (await bed.post("/v1/chat/completions", chat("untraced"), { traceparent: TRACEPARENT })).text();
    expect(bed.upstream.seen.at(-1)?.headers.traceparent).toBe(TRACEPARENT);
    await stop();
    expect(collector.sent).toEqual([]);
  });

  it("loads the SDK only where it is wanted: nothing of it is imported statically", () => {
    for (const file of ["start-telemetry", "otlp-telemetry", "otlp-instruments", "gen-ai"]) {
      const source = readFileSync(new URL(`../src/telemetry/${file}.ts`, import.meta.url), "utf8");
      expect(source, file).not.toMatch(/^import (?!type )[^;]*"@opentelemetry/m);
    }
  });
});

describe("readTelemetrySettings", () => {
  const endpoint = "http://127.0.0.1:4318";
  it.each([
    ["nothing", {}, undefined],
    ["an empty endpoint", { OTEL_EXPORTER_OTLP_ENDPOINT: " " }, undefined],
    ["one endpoint for both", { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }, { traces: "http/protobuf", metrics: "http/protobuf" }],
    ["metrics alone", { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: endpoint }, { traces: undefined, metrics: "http/protobuf" }],
    [
      "a protocol of its own",
      { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/json" },
      { traces: "http/json", metrics: "http/protobuf" },
    ],
    ["an exporter by name", { OTEL_TRACES_EXPORTER: "otlp" }, { traces: "http/protobuf", metrics: undefined }],
    ["everything off", { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: "true" }, undefined],
    ["none of both", { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_EXPORTER: "none", OTEL_METRICS_EXPORTER: "none" }, undefined],
  ])("reads %s", (_name, environment, expected) => {
    const read = readTelemetrySettings(environment as unknown as NodeJS.ProcessEnv);
    if (expected) expect(read).toMatchObject(expected);
    else expect(read).toBeUndefined();
  });

  it.each([
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "canary:4317"],
    ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "canary"],
    ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"],
    ["OTEL_TRACES_EXPORTER", "zipkin"],
    ["OTEL_METRIC_EXPORT_INTERVAL", "0"],
    ["OTEL_METRIC_EXPORT_INTERVAL", "canary"],
  ])("refuses %s=%s, naming it and not quoting it, and the gateway does not start", async (name, value) => {
    vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    vi.stubEnv(name, value);
    const error = await startGateway(createSettings({ port: 0 })).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: "SettingsError" });
    expect((error as Error).message).toContain(name);
    expect((error as Error).message).not.toMatch(/canary|zipkin/);
  });
});
