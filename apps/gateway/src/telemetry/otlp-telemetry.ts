import type { Attributes, Context, Span, TextMapPropagator, Tracer } from "@opentelemetry/api";
import type { Exchange } from "../http/exchange.ts";
import { UpstreamFailure } from "../upstream/upstream-failure.ts";
import { cut, OPERATIONS, providerName, requestAttributes, responseAttributes, serverAttributes, usageAttributes } from "./gen-ai.ts";
import type { OtlpInstruments } from "./otlp-instruments.ts";
import type { CallDescription, CallResult, CallTrace, RequestTrace, Telemetry } from "./telemetry.ts";
import { TracedExchange } from "./traced-exchange.ts";

/** The values of OpenTelemetry's API: loaded only where telemetry is on. */
export type OtelApi = typeof import("@opentelemetry/api");

/** What watches requests and calls. */
export interface OtlpParts {
  readonly api: OtelApi;
  /** Makes spans; without a trace exporter one that hands the caller's own trace on. */
  readonly tracer: Tracer;
  /** `undefined` when no metrics are sent. */
  readonly instruments: OtlpInstruments | undefined;
  readonly propagator: TextMapPropagator;
  /** Sends what is left. */
  readonly shutdown: () => Promise<void>;
}

const ENDPOINTS: ReadonlySet<string> = new Set([
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/responses",
  "/v1/messages",
  "/v1/images/generations",
  "/v1/embeddings",
  "/v1/models",
]);
/** Methods that are told by name; a caller may write anything. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Traces and metrics by the official SDK. Contexts are handed from call to call by hand: nothing hooks into the runtime's own scheduling. */
export class OtlpTelemetry implements Telemetry {
  readonly #parts: OtlpParts;
  #closing: Promise<void> | undefined;

  constructor(parts: OtlpParts) {
    this.#parts = parts;
  }

  watch(exchange: Exchange): Exchange {
    return new TracedExchange(exchange, new OtlpRequestTrace(this.#parts, exchange));
  }

  startCall(call: CallDescription, parent: RequestTrace | undefined): CallTrace {
    const context = (parent?.context as Context | undefined) ?? this.#parts.api.ROOT_CONTEXT;
    return new OtlpCallTrace(this.#parts, call, context);
  }

  close(): Promise<void> {
    this.#closing ??= this.#parts.shutdown();
    return this.#closing;
  }
}

/** A low number of routes, whatever paths are asked for. */
function routeOf(path: string): string {
  if (ENDPOINTS.has(path)) return path;
  return path.startsWith("/v1/models/") ? "/v1/models/{id}" : "/v1/*";
}

/** The server's span of one request. Its attributes are of HTTP's conventions, and `larder.cache.*` for what the cache did. */
class OtlpRequestTrace implements RequestTrace {
  readonly context: Context;
  readonly #parts: OtlpParts;
  readonly #span: Span;
  readonly #startedAt = performance.now();
  readonly #metricAttributes: Attributes;
  #isOver = false;

  constructor(parts: OtlpParts, exchange: Exchange) {
    const { api, tracer, propagator } = parts;
    this.#parts = parts;
    const method = METHODS.has(exchange.method) ? exchange.method : "_OTHER";
    const route = routeOf(exchange.path);
    this.#metricAttributes = { "http.request.method": method, "http.route": route, "url.scheme": "http" };
    const parent = propagator.extract(api.ROOT_CONTEXT, exchange.headers(), api.defaultTextMapGetter);
    const attributes = { ...this.#metricAttributes, "url.path": cut(exchange.path), "larder.request_id": exchange.requestId };
    this.#span = tracer.startSpan(`${method} ${route}`, { kind: api.SpanKind.SERVER, attributes }, parent);
    this.context = api.trace.setSpan(parent, this.#span);
  }

  begun(status: number, headers: readonly string[]): void {
    this.#metricAttributes["http.response.status_code"] = status;
    for (let index = 0; index + 1 < headers.length; index += 2) {
      const value = headers[index + 1] as string;
      if (headers[index] === "x-larder-cache") this.#metricAttributes["larder.cache.verdict"] = value;
      else if (headers[index] === "x-larder-provider") this.#span.setAttribute("larder.provider", value);
      else if (headers[index] === "cache-status") this.#span.setAttribute("larder.cache.status", value);
      else if (headers[index] === "age") this.#span.setAttribute("larder.cache.age", Number(value));
      else if (headers[index] === "x-larder-cache-items") this.#span.setAttribute("larder.cache.items", value);
    }
    if (status >= 500) this.#metricAttributes["error.type"] = String(status);
  }

  ended(outcome: "complete" | "broken off" | "abandoned"): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { api, instruments } = this.#parts;
    if (outcome !== "complete") this.#metricAttributes["error.type"] = outcome === "abandoned" ? "abandoned" : "broken_off";
    this.#span.setAttributes(this.#metricAttributes);
    // A caller that leaves has done nothing wrong, nor have we.
    if (this.#metricAttributes["error.type"] !== undefined && outcome !== "abandoned")
      this.#span.setStatus({ code: api.SpanStatusCode.ERROR });
    this.#span.end();
    instruments?.requestEnded((performance.now() - this.#startedAt) / 1000, this.#metricAttributes);
  }
}

/** The client's span of one call to a provider, by the GenAI conventions. */
class OtlpCallTrace implements CallTrace {
  readonly headers: Readonly<Record<string, string>>;
  readonly #parts: OtlpParts;
  readonly #call: CallDescription;
  readonly #span: Span;
  readonly #startedAt = performance.now();
  readonly #metricAttributes: Attributes;
  #hasChunk = false;
  #isOver = false;

  constructor(parts: OtlpParts, call: CallDescription, parent: Context) {
    const { api, tracer, propagator } = parts;
    this.#parts = parts;
    this.#call = call;
    const operation = call.endpoint && OPERATIONS[call.endpoint];
    const model = cut(call.model);
    this.#metricAttributes = {
      ...serverAttributes(call.provider),
      ...(operation
        ? { "gen_ai.operation.name": operation, "gen_ai.provider.name": providerName(call.provider) }
        : { "http.request.method": call.method }),
      ...(model ? { "gen_ai.request.model": model } : {}),
    };
    const name = operation ? `${operation} ${model}`.trim() : call.method;
    this.#span = tracer.startSpan(name, { kind: api.SpanKind.CLIENT, attributes: this.#metricAttributes }, parent);
    if (this.#span.isRecording() && operation)
      this.#span.setAttributes({ ...requestAttributes(call.body), "gen_ai.request.stream": call.isStream });
    const headers: Record<string, string> = {};
    propagator.inject(api.trace.setSpan(parent, this.#span), headers, api.defaultTextMapSetter);
    this.headers = headers;
  }

  firstChunk(): void {
    if (this.#hasChunk) return;
    this.#hasChunk = true;
    const seconds = this.#seconds;
    this.#span.addEvent("larder.first_chunk");
    this.#span.setAttribute("gen_ai.response.time_to_first_chunk", seconds);
    this.#parts.instruments?.firstChunk(seconds, this.#metricAttributes);
  }

  retried(status: number): void {
    this.#span.addEvent("larder.retry", { "http.response.status_code": status });
  }

  succeeded({ status, answer, usage }: CallResult): void {
    const told = answer ? responseAttributes(answer) : {};
    const model = told["gen_ai.response.model"];
    if (model !== undefined) this.#metricAttributes["gen_ai.response.model"] = model;
    this.#span.setAttributes({
      ...told,
      ...(status === undefined ? {} : { "http.response.status_code": status }),
      ...(usage ? usageAttributes(usage) : {}),
    });
    this.#end(usage);
  }

  failed(error: unknown): void {
    const { api } = this.#parts;
    const type = error instanceof UpstreamFailure ? String(error.status) : "abandoned";
    this.#metricAttributes["error.type"] = type;
    this.#span.setAttribute("error.type", type);
    // Our own words: an upstream's may quote a credential or the prompt.
    this.#span.setStatus({ code: api.SpanStatusCode.ERROR, ...(error instanceof UpstreamFailure ? { message: error.message } : {}) });
    this.#end(undefined);
  }

  #end(usage: CallResult["usage"]): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#span.end();
    if (this.#call.endpoint) this.#parts.instruments?.operationEnded(this.#seconds, this.#metricAttributes, usage);
  }

  get #seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }
}
