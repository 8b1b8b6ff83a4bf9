import { randomUUID } from "node:crypto";
import type { Tracer } from "@opentelemetry/api";
import type { ExportResult } from "@opentelemetry/core";
import type { Resource } from "@opentelemetry/resources";
import type { PushMetricExporter } from "@opentelemetry/sdk-metrics";
import type { SpanExporter } from "@opentelemetry/sdk-trace-base";
import { MAX_SERIES } from "./bounded-histogram.ts";
import type { Log } from "./log.ts";
import { type InstrumentSources, OtlpInstruments } from "./otlp-instruments.ts";
import { type OtelApi, OtlpTelemetry } from "./otlp-telemetry.ts";
import type { Telemetry } from "./telemetry.ts";
import type { TelemetryProtocol, TelemetrySettings } from "./telemetry-settings.ts";

const SCOPE = "@larder/gateway";
/** Milliseconds that the last sending may hold up the end of the process. */
const SHUTDOWN_TIMEOUT_MS = 5_000;

/** One signal's provider, as far as it must be ended. */
interface Sender {
  shutdown(): Promise<void>;
}

/**
 * Starts telemetry where OpenTelemetry's own variables configure an exporter; `undefined` otherwise, and then nothing of the SDK is loaded.
 * @param sources asked when the metrics are read, never before
 */
export async function startTelemetry(
  settings: TelemetrySettings | undefined,
  sources: () => InstrumentSources,
  log: Log,
): Promise<Telemetry | undefined> {
  if (!settings) return undefined;
  const [api, { W3CTraceContextPropagator }, resources] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/core"),
    import("@opentelemetry/resources"),
  ]);
  const own = resources.resourceFromAttributes({ "service.name": "larder-gateway", "service.instance.id": randomUUID() });
  // What the operator says of this process wins: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES.
  const told = resources.detectResources({ detectors: [resources.envDetector] });
  const resource = resources.defaultResource().merge(own).merge(told);
  const senders: Sender[] = [];
  const tracer = settings.traces ? await openTraces(settings.traces, resource, senders, log) : passingTracer(api);
  const instruments = settings.metrics ? await openMetrics(settings, settings.metrics, resource, sources, senders, log) : undefined;
  const shutdown = async (): Promise<void> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, SHUTDOWN_TIMEOUT_MS);
    });
    await Promise.race([Promise.allSettled(senders.map((sender) => sender.shutdown())), late]);
    clearTimeout(timer);
  };
  return new OtlpTelemetry({ api, tracer, instruments, propagator: new W3CTraceContextPropagator(), shutdown });
}

/** Spans that are never recorded and stand for the caller's own: the provider hears of the caller's trace as it was. */
function passingTracer(api: OtelApi): Tracer {
  return new api.ProxyTracerProvider().getTracer(SCOPE);
}

async function openTraces(protocol: TelemetryProtocol, resource: Resource, senders: Sender[], log: Log): Promise<Tracer> {
  const { BasicTracerProvider, BatchSpanProcessor } = await import("@opentelemetry/sdk-trace-base");
  const { OTLPTraceExporter } =
    protocol === "http/json"
      ? await import("@opentelemetry/exporter-trace-otlp-http")
      : await import("@opentelemetry/exporter-trace-otlp-proto");
  const exporter: SpanExporter = new OTLPTraceExporter();
  tellTrouble(exporter, "traces", log);
  const provider = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(exporter)] });
  senders.push(provider);
  return provider.getTracer(SCOPE);
}

async function openMetrics(
  settings: TelemetrySettings,
  protocol: TelemetryProtocol,
  resource: Resource,
  sources: () => InstrumentSources,
  senders: Sender[],
  log: Log,
): Promise<OtlpInstruments> {
  const { MeterProvider, PeriodicExportingMetricReader } = await import("@opentelemetry/sdk-metrics");
  const { OTLPMetricExporter } =
    protocol === "http/json"
      ? await import("@opentelemetry/exporter-metrics-otlp-http")
      : await import("@opentelemetry/exporter-metrics-otlp-proto");
  const exporter: PushMetricExporter = new OTLPMetricExporter();
  tellTrouble(exporter, "metrics", log);
  const { metricIntervalMs: exportIntervalMillis } = settings;
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis,
    exportTimeoutMillis: Math.min(exportIntervalMillis, 30_000),
    cardinalityLimits: { default: MAX_SERIES },
  });
  const provider = new MeterProvider({ resource, readers: [reader] });
  senders.push(provider);
  return new OtlpInstruments(provider.getMeter(SCOPE), sources);
}

interface Exporter {
  export(items: never, done: (result: ExportResult) => void): void;
}

/** Logs that a signal cannot be sent, and that it can again: once each, and nothing of the error, which may quote address and headers. */
function tellTrouble(exporter: SpanExporter | PushMetricExporter, signal: string, log: Log): void {
  const target = exporter as Exporter;
  const send = target.export.bind(target);
  let isUp = true;
  target.export = (items, done) =>
    send(items, (result) => {
      const isSent = result.code === 0;
      if (isSent !== isUp && isSent) log.info({ signal }, "telemetry is sent again");
      else if (isSent !== isUp) log.warn({ signal }, "telemetry cannot be sent: requests are answered without");
      isUp = isSent;
      done(result);
    });
}
