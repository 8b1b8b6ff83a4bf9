import type { Attributes, Meter as OtelMeter } from "@opentelemetry/api";
import type { TokenUsage } from "../answers/family.ts";
import type { AnswerCache } from "../caching/answer-cache.ts";
import { BoundedHistogram } from "./bounded-histogram.ts";
import { LATENCY_BOUNDS_MS, type Meter } from "./meter.ts";

/** Where the numbers come from that nobody has to tell. */
export interface InstrumentSources {
  readonly meter: Meter;
  readonly answers: AnswerCache;
}

/** Bounds that the conventions ask for: seconds of an operation, and tokens. */
const OPERATION_BOUNDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const TOKEN_BOUNDS = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];

/**
 * The metrics that are sent: `gen_ai.client.*` of calls to providers, `http.server.request.duration` of answers, and `larder.cache.*`, which is
 * read from the counters that the gateway keeps anyway.
 */
export class OtlpInstruments {
  readonly #requestDuration: BoundedHistogram;
  readonly #operationDuration: BoundedHistogram;
  readonly #firstChunk: BoundedHistogram;
  readonly #tokens: BoundedHistogram;

  constructor(otel: OtelMeter, sources: () => InstrumentSources) {
    const histogram = (name: string, description: string, unit: string, bounds: readonly number[]): BoundedHistogram =>
      new BoundedHistogram(otel.createHistogram(name, { description, unit, advice: { explicitBucketBoundaries: [...bounds] } }));
    const requestBounds = LATENCY_BOUNDS_MS.map((ms) => ms / 1000);
    this.#requestDuration = histogram("http.server.request.duration", "Duration of HTTP server requests.", "s", requestBounds);
    this.#operationDuration = histogram("gen_ai.client.operation.duration", "GenAI operation duration.", "s", OPERATION_BOUNDS);
    this.#firstChunk = histogram("gen_ai.client.operation.time_to_first_chunk", "Time to the first chunk.", "s", OPERATION_BOUNDS);
    this.#tokens = histogram("gen_ai.client.token.usage", "Number of input and output tokens used.", "{token}", TOKEN_BOUNDS);
    observeCounters(otel, sources);
    observeCache(otel, sources);
  }

  requestEnded(seconds: number, attributes: Attributes): void {
    this.#requestDuration.record(seconds, attributes);
  }

  operationEnded(seconds: number, attributes: Attributes, usage: TokenUsage | undefined): void {
    this.#operationDuration.record(seconds, attributes);
    if (!usage) return;
    this.#tokens.record(usage.inputTokens, { ...attributes, "gen_ai.token.type": "input" });
    this.#tokens.record(usage.outputTokens, { ...attributes, "gen_ai.token.type": "output" });
  }

  firstChunk(seconds: number, attributes: Attributes): void {
    this.#firstChunk.record(seconds, attributes);
  }
}

/** What requests were answered with, and what hits have saved. */
function observeCounters(otel: OtelMeter, sources: () => InstrumentSources): void {
  type Read = (meter: Meter) => ReadonlyArray<readonly [number, Attributes]>;
  const counter = (name: string, description: string, unit: string, read: Read): void => {
    otel.createObservableCounter(name, { description, unit }).addCallback((result) => {
      for (const [value, attributes] of read(sources().meter)) result.observe(value, attributes);
    });
  };
  counter(
    "larder.cache.requests",
    "Answered requests by endpoint and what the cache did, NONE where it has no part.",
    "{request}",
    (meter) => byEndpoint(meter.requests, "larder.cache.verdict"),
  );
  counter("larder.cache.not_stored", "Answers told to callers and not kept, by why.", "{answer}", (meter) =>
    byEndpoint(meter.refusals, "larder.cache.reason"),
  );
  counter("larder.cache.saved.tokens", "Tokens that hits have saved.", "{token}", (meter) => [
    [meter.savedInputTokens, { "gen_ai.token.type": "input" }],
    [meter.savedOutputTokens, { "gen_ai.token.type": "output" }],
  ]);
  counter("larder.cache.saved.cost", "Dollars that hits have saved, by the catalog's prices.", "{USD}", (meter) => [[meter.savedUsd, {}]]);
  counter("larder.cache.saved.duration", "Waiting for providers that hits have saved.", "s", (meter) => [[meter.savedMs / 1000, {}]]);
}

/** Counts under two words, of which the endpoint is the first. */
function byEndpoint(counts: ReadonlyMap<string, number>, second: string): Array<readonly [number, Attributes]> {
  return [...counts].map(([labels, count]) => {
    const at = labels.lastIndexOf(" ");
    return [count, { "larder.endpoint": labels.slice(0, at), [second]: labels.slice(at + 1) }] as const;
  });
}

/** The cache itself, as its statistics tell it. */
function observeCache(otel: OtelMeter, sources: () => InstrumentSources): void {
  type Stats = ReturnType<AnswerCache["stats"]>;
  const counters: ReadonlyArray<readonly [name: string, description: string, unit: string, read: (stats: Stats) => number]> = [
    ["larder.cache.hits", "Reads of the cache that found an answer.", "{read}", (stats) => stats.hits],
    ["larder.cache.misses", "Reads of the cache that did not.", "{read}", (stats) => stats.misses],
    ["larder.cache.stale_hits", "Answers served past their time on purpose.", "{read}", (stats) => stats.staleHits],
    ["larder.cache.coalesced", "Requests that shared another's call.", "{request}", (stats) => stats.coalesced],
    ["larder.cache.evictions", "Answers dropped for room.", "{entry}", (stats) => stats.tiers.l1?.evictions ?? 0],
    ["larder.cache.invalidations", "Invalidations called here.", "{invalidation}", (stats) => stats.invalidations],
    ["larder.cache.remote_invalidations", "Invalidations heard from peers.", "{invalidation}", (stats) => stats.remoteInvalidations],
    [
      "larder.cache.rejected_fills",
      "Answers not stored because they were invalidated meanwhile.",
      "{entry}",
      (stats) => stats.rejectedFills,
    ],
    [
      "larder.cache.backend_errors",
      "Calls to the shared tier that failed.",
      "{error}",
      (stats) => stats.errors + (stats.tiers.l2?.errors ?? 0),
    ],
  ];
  const gauges: ReadonlyArray<readonly [name: string, description: string, unit: string, read: (stats: Stats) => number]> = [
    ["larder.cache.entries", "Answers in memory.", "{entry}", (stats) => stats.entries ?? 0],
    ["larder.cache.size", "Bytes of answers in memory.", "By", (stats) => stats.bytes ?? 0],
    ["larder.cache.degraded", "1 while invalidations by peers may be missed.", "1", () => Number(sources().answers.isDegraded)],
  ];
  const read = [
    ...counters.map(([name, description, unit, of]) => [otel.createObservableCounter(name, { description, unit }), of] as const),
    ...gauges.map(([name, description, unit, of]) => [otel.createObservableGauge(name, { description, unit }), of] as const),
  ];
  // One look at the statistics for all of them.
  otel.addBatchObservableCallback(
    (result) => {
      const stats = sources().answers.stats();
      for (const [instrument, of] of read) result.observe(instrument, of(stats));
    },
    read.map(([instrument]) => instrument),
  );
}
