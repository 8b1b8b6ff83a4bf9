import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A span as it arrived. */
export interface SentSpan {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly string[];
  readonly isError: boolean;
}

/** A metric as it arrived. */
export interface SentMetric {
  readonly name: string;
  readonly unit: string;
  readonly points: ReadonlyArray<{ readonly value: number; readonly attributes: Readonly<Record<string, unknown>> }>;
}

/** One request that the collector got. */
export interface Sent {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** JSON of a known shape. */
// biome-ignore lint/suspicious/noExplicitAny: what the tests then look at decides whether the shape was right
type Json = Record<string, any>;

/** An OTLP/HTTP receiver that keeps what it is sent. */
export class Collector {
  readonly sent: Sent[] = [];
  /** The status it answers with. */
  status = 200;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Collector> {
    const server = createServer();
    const collector = new Collector(server);
    server.on("request", async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      collector.sent.push({ path: request.url ?? "", headers: request.headers, body: Buffer.concat(chunks) });
      response.writeHead(collector.status, { "content-type": "application/json" }).end("{}");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Every span that came as JSON. */
  get spans(): SentSpan[] {
    return this.#bodies("/v1/traces")
      .flatMap((body) => body.resourceSpans as Json[])
      .flatMap((resource) => resource.scopeSpans as Json[])
      .flatMap((scope) => scope.spans as Json[])
      .map((span) => ({
        name: span.name as string,
        kind: span.kind as number,
        traceId: span.traceId as string,
        spanId: span.spanId as string,
        parentSpanId: (span.parentSpanId as string | undefined) || undefined,
        attributes: attributesOf(span.attributes),
        events: ((span.events as Json[] | undefined) ?? []).map((event) => event.name as string),
        isError: (span.status as { code?: number } | undefined)?.code === 2,
      }));
  }

  /** The last state of every metric that came as JSON. */
  get metrics(): Map<string, SentMetric> {
    const metrics = this.#bodies("/v1/metrics")
      .flatMap((body) => body.resourceMetrics as Json[])
      .flatMap((resource) => resource.scopeMetrics as Json[])
      .flatMap((scope) => scope.metrics as Json[]);
    return new Map(metrics.map((metric) => [metric.name as string, metricOf(metric)]));
  }

  /** The resource's attributes in everything that came as JSON. */
  get resources(): Array<Readonly<Record<string, unknown>>> {
    return [...this.#bodies("/v1/traces"), ...this.#bodies("/v1/metrics")]
      .flatMap((body) => (body.resourceSpans ?? body.resourceMetrics) as Json[])
      .map((entry) => attributesOf((entry.resource as Json).attributes));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #bodies(path: string): Json[] {
    return this.sent.filter((sent) => sent.path === path).map((sent) => JSON.parse(sent.body.toString()) as Json);
  }
}

function metricOf(metric: Json): SentMetric {
  const kind = (metric.sum ?? metric.gauge ?? metric.histogram) as Json;
  const points = (kind.dataPoints as Json[]).map((point) => ({
    value: Number(point.asDouble ?? point.asInt ?? point.count),
    attributes: attributesOf(point.attributes),
  }));
  return { name: metric.name as string, unit: metric.unit as string, points };
}

function attributesOf(list: unknown): Record<string, unknown> {
  return Object.fromEntries(((list as Json[] | undefined) ?? []).map((entry) => [entry.key as string, readValue(entry.value)]));
}

function readValue(value: Record<string, unknown>): unknown {
  const { values } = (value.arrayValue ?? {}) as { values?: Array<Record<string, unknown>> };
  if (values) return values.map(readValue);
  if (value.intValue !== undefined) return Number(value.intValue);
  return value.stringValue ?? value.doubleValue ?? value.boolValue;
}

/** The fields of a protobuf message by number: as much of the wire format as it takes to look inside. */
export function readProtobuf(bytes: Buffer): Map<number, Buffer[]> {
  const fields = new Map<number, Buffer[]>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag & 7;
    const from = at;
    if (wire === 0) varint();
    const length = wire === 2 ? varint() : wire === 1 ? 8 : wire === 5 ? 4 : 0;
    const start = wire === 0 ? from : at;
    at += length;
    if (at > bytes.length) throw new Error("the message is cut");
    const field = fields.get(tag >> 3) ?? [];
    fields.set(tag >> 3, [...field, bytes.subarray(start, at)]);
  }
  return fields;
}
