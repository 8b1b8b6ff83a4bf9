import { singleCell } from "../measure.ts";
import { type ArrivalResult, drawArrivals, runOpenLoop } from "../open-loop.ts";
import { readReplayLog } from "../replay-log.ts";
import type { Cell, Plot, Row, ScenarioContext, Table } from "../scenario.ts";
import { createSeededRandom } from "../seeded-random.ts";
import { chatBody, type Fleet, hitTargets, missTargets, requestTo, UPSTREAM } from "./gateway-fleet.ts";

const percentileColumns: Table["columns"] = [0.5, 0.9, 0.99, 0.999, 1].map((share) => ({
  id: String(share),
  title: share === 1 ? "max" : `p${share * 100}`,
  unit: "ms",
  better: "lower",
}));

const percentileCells = ({ percentiles }: ArrivalResult): Record<string, Cell> =>
  Object.fromEntries(percentiles.map(([share, latencyMs]) => [String(share), singleCell(latencyMs)]));

/** A log of real requests at its own pace: what a cache saves depends on how often they repeat, which no synthetic load tells. */
export async function replayLog(fleet: Fleet, file: string, context: ScenarioContext): Promise<Table> {
  const log = await readReplayLog(file);
  const rows: Row[] = [];
  for (const [name, role, port] of [
    [UPSTREAM, "limit", fleet.upstream],
    ["larder", "ours", fleet.larder],
  ] as const) {
    const due = log.map(({ atMs, body }) => ({ dueMs: atMs, request: requestTo(port, body) }));
    let saved = 0;
    const result = await runOpenLoop(due, `http://127.0.0.1:${port}`, context.signal, (headers) => {
      if (["HIT", "STALE", "COALESCED"].includes(String(headers["x-larder-cache"]))) saved += 1;
    });
    const cells = { saved: singleCell((100 * saved) / Math.max(1, result.sent)), ...percentileCells(result) };
    rows.push({ contender: name, role, cells, ...(result.failures > 0 ? { note: `${result.failures} requests failed` } : {}) });
  }
  return {
    id: "replay",
    title: `Replay of a request log: ${log.length} requests`,
    columns: [{ id: "saved", title: "answered without the upstream", unit: "%", better: "higher" }, ...percentileColumns],
    rows,
    notes: ["Sent at the log's own instants; the upstream is the bench's and answers at once."],
  };
}

/** Hits and misses arriving on their own schedule, at a rate that all servers can bear. */
export async function measureArrivals(fleet: Fleet, context: ScenarioContext): Promise<{ readonly table: Table; readonly plot: Plot }> {
  const perSecond = 200;
  const asked = [
    ...hitTargets(fleet, chatBody({})).map((target) => ({ ...target, what: "hit" })),
    ...missTargets(fleet, chatBody({ isUnique: true })).map((target) => ({ ...target, what: "miss" })),
  ];
  const rows: Row[] = [];
  const series: Plot["series"][number][] = [];
  for (const { name, role, version, request, what } of asked) {
    const random = createSeededRandom(context.seed);
    const shape = { perSecond, seconds: context.quick ? 0.7 : 10, random };
    const result = await runOpenLoop(drawArrivals(request, shape), new URL(request.url).origin, context.signal);
    const label = role === "limit" ? name : `${name}, ${what}`;
    const { percentiles, failures } = result;
    const cells = percentileCells(result);
    rows.push({
      contender: label,
      role,
      ...(version ? { version } : {}),
      cells,
      ...(failures > 0 ? { note: `${failures} requests failed` } : {}),
    });
    series.push({
      name: label,
      role,
      points: percentiles.filter(([share]) => share < 1).map(([share, latencyMs]) => [1 / (1 - share), latencyMs] as const),
    });
  }
  const table: Table = {
    id: "arrivals",
    title: `Open loop: ${perSecond} arrivals a second, latency from the instant a request was due`,
    columns: percentileColumns,
    rows,
    notes: ["Arrivals do not wait for answers, so a pause of the server is in the figures (no coordinated omission)."],
  };
  const plot: Plot = {
    id: "arrivals",
    title: `Latency by percentile at ${perSecond} arrivals a second`,
    kind: "line",
    xLabel: "1 in N requests is slower",
    yLabel: "ms",
    xScale: "log",
    yScale: "log",
    series,
  };
  return { table, plot };
}
