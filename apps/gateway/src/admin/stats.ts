import type { CacheStats } from "@larder/cache-core";
import { LatencyCounts, NO_VERDICT } from "../telemetry/meter.ts";
import type { AdminParts } from "./admin-parts.ts";

/** A process's numbers as plain data, which several processes' can be added up from. */
export interface StatsSnapshot {
  /** Of this process; of several workers, the longest. */
  readonly uptimeSeconds: number;
  /** By `endpoint verdict`. */
  readonly requests: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  /** By provider and outcome. */
  readonly upstreamCalls: Readonly<Record<string, number>>;
  readonly totals: Readonly<Record<"inFlight" | "abandoned", number>>;
  readonly saved: Readonly<Record<"inputTokens" | "outputTokens" | "usd" | "seconds", number>>;
  readonly spent: Readonly<Record<"inputTokens" | "outputTokens", number>>;
  readonly latency: Readonly<
    Record<"hit" | "miss", { readonly counts: readonly number[]; readonly sumMs: number; readonly count: number }>
  >;
  readonly cache: CacheStats;
}

/** This process's numbers of now. */
export function takeStats({ meter, answers }: AdminParts["parts"]): StatsSnapshot {
  const { inFlight, abandoned, savedInputTokens, savedOutputTokens, savedUsd, savedMs, spentInputTokens, spentOutputTokens } = meter;
  return {
    uptimeSeconds: Math.floor(process.uptime()),
    requests: Object.fromEntries(meter.requests),
    errors: Object.fromEntries(meter.errors),
    upstreamCalls: Object.fromEntries(meter.upstreamCalls),
    totals: { inFlight, abandoned },
    saved: { inputTokens: savedInputTokens, outputTokens: savedOutputTokens, usd: savedUsd, seconds: savedMs / 1000 },
    spent: { inputTokens: spentInputTokens, outputTokens: spentOutputTokens },
    latency: { hit: { ...meter.hitLatency }, miss: { ...meter.missLatency } },
    cache: answers.stats(),
  };
}

/** Everything that the dashboard and `GET /admin/cache/stats` show, of all processes of this gateway. */
export async function readStats({ survey, health }: Pick<AdminParts, "survey" | "health">): Promise<Record<string, unknown>> {
  const snapshots = ((await survey.ask("stats")) as Array<StatsSnapshot | undefined>).filter((snapshot) => snapshot !== undefined);
  const { requests, totals, latency, ...told } = snapshots.reduce((sum, snapshot) => addUp(sum, snapshot) as StatsSnapshot);
  const verdicts: Record<string, number> = {};
  const endpoints: Record<string, Record<string, number>> = {};
  for (const [name, count] of Object.entries(requests)) {
    const [endpoint = "", verdict = ""] = name.split(" ");
    verdicts[verdict] = (verdicts[verdict] ?? 0) + count;
    endpoints[endpoint] = { ...endpoints[endpoint], [verdict]: count };
  }
  const hits = (verdicts.HIT ?? 0) + (verdicts.STALE ?? 0);
  const total = Object.values(verdicts).reduce((sum, count) => sum + count, 0);
  const ofCache = total - (verdicts[NO_VERDICT] ?? 0);
  return {
    at: Date.now(),
    ...told,
    processes: snapshots.length,
    uptimeSeconds: Math.max(...snapshots.map(({ uptimeSeconds }) => uptimeSeconds)),
    requests: { total, hits, hitRate: ofCache === 0 ? 0 : hits / ofCache, verdicts, endpoints, ...totals },
    latencyMs: { hit: quantilesOf(latency.hit), miss: quantilesOf(latency.miss) },
    health: { ...health.report(), isDegraded: told.cache.isDegraded },
  };
}

function quantilesOf(counted: StatsSnapshot["latency"]["hit"]): Record<string, number> {
  const latency = Object.assign(new LatencyCounts(), counted);
  return { p50: latency.quantile(0.5), p99: latency.quantile(0.99) };
}

/** Numbers are added, whatever one of the two is true of is true of both, and bounds of buckets are the same everywhere. */
function addUp(left: unknown, right: unknown, name = ""): unknown {
  if (left === undefined || right === undefined || left === null || right === null) return left ?? right;
  if (typeof left === "number") return left + (right as number);
  if (typeof left === "boolean") return left || right;
  if (name === "boundsMs" || typeof left !== "object") return left;
  if (Array.isArray(left)) return left.map((item, index) => addUp(item, (right as unknown[])[index]));
  const names = new Set([...Object.keys(left), ...Object.keys(right as object)]);
  const [first, second] = [left, right] as Array<Record<string, unknown>>;
  return Object.fromEntries([...names].map((field) => [field, addUp(first?.[field], second?.[field], field)]));
}
