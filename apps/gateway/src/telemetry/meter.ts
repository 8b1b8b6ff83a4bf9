import type { CacheVerdict } from "../caching/cache-status.ts";

/** Upper bounds of the latency buckets in milliseconds. */
export const LATENCY_BOUNDS_MS: readonly number[] = [
  0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 120_000,
];

/** Latencies by bucket. */
export class LatencyCounts {
  readonly counts: number[] = new Array<number>(LATENCY_BOUNDS_MS.length + 1).fill(0);
  sumMs = 0;
  count = 0;

  add(ms: number): void {
    let bucket = 0;
    while (bucket < LATENCY_BOUNDS_MS.length && ms > (LATENCY_BOUNDS_MS[bucket] as number)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sumMs += ms;
    this.count += 1;
  }

  /** The upper bound of the bucket in which the quantile falls; 0 when nothing was counted. */
  quantile(share: number): number {
    let left = this.count * share;
    for (let bucket = 0; bucket < this.counts.length; bucket += 1) {
      left -= this.counts[bucket] as number;
      if (left <= 0 && this.count > 0) return LATENCY_BOUNDS_MS[bucket] ?? (LATENCY_BOUNDS_MS.at(-1) as number);
    }
    return 0;
  }
}

/** In the place of a verdict, where a request is not one for the cache: it is no miss either. */
export const NO_VERDICT = "NONE";

/** Plain numbers that the request path counts into. Metrics, statistics and dashboard read them; nothing is formatted here. */
export class Meter {
  /** By `endpoint verdict`, the verdict `NONE` where the cache has no part. */
  readonly requests: Map<string, number> = new Map();
  /** By `endpoint status`, for answers that are errors or broke off. */
  readonly errors: Map<string, number> = new Map();
  /** By `endpoint reason`, of answers that are not kept. */
  readonly refusals: Map<string, number> = new Map();
  /** By `provider outcome`. */
  readonly upstreamCalls: Map<string, number> = new Map();
  /** By provider. */
  readonly upstreamRetries: Map<string, number> = new Map();
  readonly hitLatency: LatencyCounts = new LatencyCounts();
  readonly missLatency: LatencyCounts = new LatencyCounts();
  savedInputTokens = 0;
  savedOutputTokens = 0;
  savedUsd = 0;
  savedMs = 0;
  spentInputTokens = 0;
  spentOutputTokens = 0;
  abandoned = 0;
  inFlight = 0;
  /** The texts that are counted under, by their parts: put together anew, each would have to be hashed with every request. */
  readonly #labels: Map<string, Map<string, string>> = new Map();

  /** Counts an answered request. One that ends otherwise has `failed`, or is counted as abandoned. */
  answered(endpoint: string, verdict: CacheVerdict, ms: number): void {
    count(this.requests, this.#labelOf(endpoint, verdict));
    (verdict === "HIT" || verdict === "STALE" ? this.hitLatency : this.missLatency).add(ms);
  }

  /** Counts an answered request that is not one for the cache, and is no measure of how fast generated answers are. */
  passedOn(endpoint: string): void {
    count(this.requests, this.#labelOf(endpoint, NO_VERDICT));
  }

  failed(endpoint: string, status: number): void {
    count(this.errors, `${endpoint} ${status}`);
  }

  /** Counts an answer that a provider has given and that is not kept. @param reason one of a fixed few */
  refused(endpoint: string, reason: string): void {
    count(this.refusals, `${endpoint} ${reason}`);
  }

  called(provider: string, outcome: "success" | "failure"): void {
    count(this.upstreamCalls, this.#labelOf(provider, outcome));
  }

  /** Counts an attempt that follows a failed one of the same call. */
  retried(provider: string): void {
    count(this.upstreamRetries, provider);
  }

  #labelOf(first: string, second: string): string {
    const known = this.#labels.get(first)?.get(second);
    if (known !== undefined) return known;
    const label = `${first} ${second}`;
    this.#labels.set(first, new Map(this.#labels.get(first)).set(second, label));
    return label;
  }
}

/** Names that come from outside (providers) are bounded in number by what may be configured; endpoints and verdicts are fixed. */
function count(into: Map<string, number>, name: string): void {
  into.set(name, (into.get(name) ?? 0) + 1);
}
