import type { WatcherStats } from "@larder/pubsub-invalidation/watcher";
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from "prom-client";
import type { AnswerCache } from "../caching/answer-cache.ts";
import { LATENCY_BOUNDS_MS, type LatencyCounts, type Meter } from "./meter.ts";

/** Where the numbers of `/metrics` come from. */
export interface MetricsSources {
  readonly meter: Meter;
  readonly answers: AnswerCache;
  /** Whether the shared tier, the bus and the database work, by name. */
  readonly backends: () => Readonly<Record<string, boolean>>;
  /** What the coherence watcher has seen, where there is one. */
  readonly watcher?: (() => WatcherStats) | undefined;
  /** Which of several workers this is: a label of every series. @default none: the process is by itself */
  readonly worker?: string | undefined;
}

/** Gauges that are named as only counters are, and the sums of others. */
const SUMS_OF_GAUGES = ["resources", "handles", "requests"].map((what) => `larder_nodejs_active_${what}_total`);

let ofProcess: Registry | undefined;

/** What is told of the process: made once for all gateways in it, since what prom-client measures the event loop and collections with is never let go of. */
function processMetrics(): Metric[] {
  if (!ofProcess) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess, prefix: "larder_" });
    for (const name of SUMS_OF_GAUGES) ofProcess.removeSingleMetric(name);
  }
  return ofProcess.getMetricsAsArray() as unknown as Metric[];
}

/**
 * Prometheus metrics, made from plain counters when somebody asks. Labels are endpoints, verdicts and configured providers: nothing that a
 * caller can choose, so their number is bounded.
 */
export class Metrics {
  readonly contentType: string;
  readonly #registry = new Registry();
  readonly #sources: MetricsSources;

  constructor(sources: MetricsSources) {
    this.#sources = sources;
    this.contentType = this.#registry.contentType;
    if (sources.worker !== undefined) this.#registry.setDefaultLabels({ worker: sources.worker });
    for (const metric of processMetrics()) this.#registry.registerMetric(metric);
    this.#labelled(
      "larder_requests_total",
      "Answered requests by endpoint and what the cache did, NONE where it has no part.",
      ["endpoint", "verdict"],
      () => sources.meter.requests,
    );
    this.#labelled(
      "larder_request_errors_total",
      "Requests answered with an error, or with an answer that the provider broke off.",
      ["endpoint", "status"],
      () => sources.meter.errors,
    );
    this.#labelled(
      "larder_answers_not_stored_total",
      "Answers told to callers and not kept, by why.",
      ["endpoint", "reason"],
      () => sources.meter.refusals,
    );
    this.#labelled(
      "larder_upstream_calls_total",
      "Calls to providers by how they ended, each with its retries; one that the breaker refused is a failure.",
      ["provider", "outcome"],
      () => sources.meter.upstreamCalls,
    );
    this.#retries();
    this.#plain();
    this.#backends();
    if (sources.watcher) this.#watcher(sources.watcher);
  }

  /** The text of `/metrics`. */
  async render(): Promise<string> {
    const { meter, worker } = this.#sources;
    const labels = worker === undefined ? "" : `,worker="${worker}"`;
    const histograms = histogram(`source="hit"${labels}`, meter.hitLatency) + histogram(`source="miss"${labels}`, meter.missLatency);
    return `${await this.#registry.metrics()}\n# HELP larder_request_duration_seconds Time to the answer's end, by whether it came from the cache.\n# TYPE larder_request_duration_seconds histogram\n${histograms}`;
  }

  #labelled(name: string, help: string, labelNames: readonly [string, string], read: () => ReadonlyMap<string, number>): void {
    new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [labels, value] of read()) {
          const at = labels.lastIndexOf(" ");
          this.inc({ [labelNames[0]]: labels.slice(0, at), [labelNames[1]]: labels.slice(at + 1) }, value);
        }
      },
    });
  }

  #retries(): void {
    const { meter } = this.#sources;
    new Counter({
      name: "larder_upstream_retries_total",
      help: "Attempts of calls to providers after a failed one.",
      labelNames: ["provider"],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [provider, value] of meter.upstreamRetries) this.inc({ provider }, value);
      },
    });
  }

  #plain(): void {
    const { meter, answers } = this.#sources;
    const counters: ReadonlyArray<readonly [string, string, () => number]> = [
      ["larder_cache_saved_input_tokens_total", "Input tokens that hits have saved.", () => meter.savedInputTokens],
      ["larder_cache_saved_output_tokens_total", "Output tokens that hits have saved.", () => meter.savedOutputTokens],
      ["larder_cache_saved_usd_total", "Dollars that hits have saved, by the catalog's prices.", () => meter.savedUsd],
      ["larder_cache_saved_seconds_total", "Seconds of waiting for providers that hits have saved.", () => meter.savedMs / 1000],
      ["larder_cache_hits_total", "Reads of the cache that found an answer.", () => answers.stats().hits],
      ["larder_cache_misses_total", "Reads of the cache that did not.", () => answers.stats().misses],
      ["larder_cache_stale_hits_total", "Answers served past their time on purpose.", () => answers.stats().staleHits],
      ["larder_cache_coalesced_total", "Requests that shared another's upstream call.", () => answers.stats().coalesced],
      ["larder_cache_evictions_total", "Answers dropped for room.", () => answers.stats().tiers.l1?.evictions ?? 0],
      ["larder_cache_invalidations_total", "Invalidations called here.", () => answers.stats().invalidations],
      ["larder_cache_remote_invalidations_total", "Invalidations heard from peers.", () => answers.stats().remoteInvalidations],
      [
        "larder_cache_rejected_fills_total",
        "Answers not stored because they were invalidated meanwhile.",
        () => answers.stats().rejectedFills,
      ],
      [
        "larder_cache_backend_errors_total",
        "Calls to the shared tier that failed.",
        () => answers.stats().errors + (answers.stats().tiers.l2?.errors ?? 0),
      ],
      ["larder_requests_abandoned_total", "Requests whose caller left before the answer.", () => meter.abandoned],
    ];
    this.#counters(counters);
    this.#gauge("larder_cache_entries", "Answers in memory.", () => answers.stats().entries ?? 0);
    this.#gauge("larder_cache_bytes", "Bytes of answers in memory.", () => answers.stats().bytes ?? 0);
    this.#gauge("larder_cache_degraded", "1 while invalidations by peers may be missed.", () => Number(answers.isDegraded));
    this.#gauge("larder_requests_in_flight", "Requests being answered.", () => meter.inFlight);
  }

  #counters(counters: ReadonlyArray<readonly [name: string, help: string, read: () => number]>): void {
    for (const [name, help, read] of counters)
      new Counter({
        name,
        help,
        registers: [this.#registry],
        collect() {
          this.reset();
          this.inc(read());
        },
      });
  }

  #watcher(read: () => WatcherStats): void {
    this.#counters([
      ["larder_invalidations_total", "Invalidations by key that this process has sent.", () => read().invalidations],
      ["larder_invalidations_sampled_total", "Of those, asked about at the other processes.", () => read().sampled],
      ["larder_inconsistent_total", "Of those sampled, found to have left something old at another process.", () => read().inconsistent],
      ["larder_invalidations_unanswered_total", "Questions about them that no other process answered.", () => read().unanswered],
    ]);
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  #backends(): void {
    const { backends } = this.#sources;
    new Gauge({
      name: "larder_backend_up",
      help: "1 while a backend works.",
      labelNames: ["backend"],
      registers: [this.#registry],
      collect() {
        for (const [backend, isUp] of Object.entries(backends())) this.set({ backend }, Number(isUp));
      },
    });
  }
}

function histogram(labels: string, latency: LatencyCounts): string {
  let total = 0;
  const lines = latency.counts.map((count, bucket) => {
    total += count;
    const bound = LATENCY_BOUNDS_MS[bucket];
    return `larder_request_duration_seconds_bucket{${labels},le="${bound === undefined ? "+Inf" : bound / 1000}"} ${total}\n`;
  });
  return `${lines.join("")}larder_request_duration_seconds_sum{${labels}} ${latency.sumMs / 1000}\nlarder_request_duration_seconds_count{${labels}} ${latency.count}\n`;
}
