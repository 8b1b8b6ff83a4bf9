import type { AdminParts } from "./admin-parts.ts";

/** Everything that the dashboard and `GET /admin/cache/stats` show, as plain data. */
export function readStats({ parts, health }: Pick<AdminParts, "parts" | "health">): Record<string, unknown> {
  const { meter, answers } = parts;
  const verdicts: Record<string, number> = {};
  const endpoints: Record<string, Record<string, number>> = {};
  for (const [name, count] of meter.requests) {
    const [endpoint = "", verdict = ""] = name.split(" ");
    verdicts[verdict] = (verdicts[verdict] ?? 0) + count;
    endpoints[endpoint] = { ...endpoints[endpoint], [verdict]: count };
  }
  const cache = answers.stats();
  const hits = (verdicts.HIT ?? 0) + (verdicts.STALE ?? 0);
  const total = Object.values(verdicts).reduce((sum, count) => sum + count, 0);
  return {
    at: Date.now(),
    uptimeSeconds: Math.floor(process.uptime()),
    requests: {
      total,
      hits,
      hitRate: total === 0 ? 0 : hits / total,
      verdicts,
      endpoints,
      inFlight: meter.inFlight,
      abandoned: meter.abandoned,
    },
    errors: Object.fromEntries(meter.errors),
    upstreamCalls: Object.fromEntries(meter.upstreamCalls),
    saved: {
      inputTokens: meter.savedInputTokens,
      outputTokens: meter.savedOutputTokens,
      usd: meter.savedUsd,
      seconds: meter.savedMs / 1000,
    },
    spent: { inputTokens: meter.spentInputTokens, outputTokens: meter.spentOutputTokens },
    latencyMs: {
      hit: { p50: meter.hitLatency.quantile(0.5), p99: meter.hitLatency.quantile(0.99) },
      miss: { p50: meter.missLatency.quantile(0.5), p99: meter.missLatency.quantile(0.99) },
    },
    cache,
    health: health(),
  };
}
