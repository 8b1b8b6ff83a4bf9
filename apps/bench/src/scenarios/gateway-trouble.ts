import { singleCell } from "../measure.ts";
import { type ArrivalResult, type ArrivalShape, drawArrivals, runOpenLoop } from "../open-loop.ts";
import type { LaunchedRedis } from "../redis-launcher.ts";
import type { Cell, Row, ScenarioContext, Table, Target } from "../scenario.ts";
import { createSeededRandom } from "../seeded-random.ts";
import { chatBody, type Fleet, requestTo, startGateway } from "./gateway-fleet.ts";

// Redis goes away while requests keep coming: hits and new bodies arrive on their own schedule, and after a third of the time the trouble
// begins. Latency counts from the instant a request was due, so that nothing that waits is left out.

const PER_SECOND = 150;
/** The budget of one request for Redis, and what a busy machine adds to it. */
const REDIS_BUDGET_MS = 60;

/** Milliseconds of load for each trouble. */
export function planTrouble(isQuick: boolean): { readonly seconds: number; readonly troubleAfterMs: number } {
  return isQuick ? { seconds: 1, troubleAfterMs: 350 } : { seconds: 9, troubleAfterMs: 3_000 };
}

interface Trouble {
  readonly name: string;
  begin(redis: LaunchedRedis): Promise<unknown> | unknown;
  end(redis: LaunchedRedis): Promise<unknown> | unknown;
}

const troubles: readonly Trouble[] = [
  { name: "Redis up", begin: () => {}, end: () => {} },
  { name: "Redis stopped", begin: ({ server }) => server.pause(), end: ({ server }) => server.resume() },
  // Nobody listens on its port any more: every new connection is refused.
  { name: "Redis killed, connections refused", begin: ({ server }) => server.kill(), end: ({ server }) => server.restart() },
];

const percentileOf = ({ percentiles }: ArrivalResult, share: number): number =>
  percentiles.find(([each]) => each === share)?.[1] ?? Number.NaN;

function cellsOf(hits: ArrivalResult, misses: ArrivalResult): Record<string, Cell> {
  return {
    "hit-p50": singleCell(percentileOf(hits, 0.5)),
    "hit-p99": singleCell(percentileOf(hits, 0.99)),
    "miss-p50": singleCell(percentileOf(misses, 0.5)),
    "miss-p99": singleCell(percentileOf(misses, 0.99)),
    failures: singleCell(hits.failures + misses.failures, `of ${hits.sent + misses.sent}`),
  };
}

/** Hits and misses side by side, each at its own random instants. */
async function load(
  origin: number,
  shape: Omit<ArrivalShape, "random">,
  context: ScenarioContext,
): Promise<readonly [ArrivalResult, ArrivalResult]> {
  const run = (body: string, seed: number): Promise<ArrivalResult> => {
    const due = drawArrivals(requestTo(origin, body), { ...shape, random: createSeededRandom(seed) });
    return runOpenLoop(due, `http://127.0.0.1:${origin}`, context.signal);
  };
  return Promise.all([run(chatBody({}), context.seed), run(chatBody({ isUnique: true }), context.seed + 1)]);
}

function targetsOf(rows: readonly Row[], upstreamP99: number): Target[] {
  return rows
    .filter(({ role }) => role === "ours")
    .flatMap(({ contender, cells }) => {
      const figureOf = (column: string): number => (cells[column]?.kind === "measured" ? cells[column].median : Number.NaN);
      const above = figureOf("miss-p99") - upstreamP99;
      const failures = figureOf("failures");
      return [
        { contender, column: "failures", text: `no failure (${failures})`, isMet: failures === 0 },
        {
          contender,
          column: "miss-p99",
          text: `p99 <= ${REDIS_BUDGET_MS} ms + the upstream's (+${above.toFixed(1)} ms)`,
          isMet: above <= REDIS_BUDGET_MS,
        },
      ];
    });
}

/** The gateway with Redis behind it, while Redis is there, stands still and is gone; `undefined` where there is none to start. */
export async function measureTrouble(fleet: Fleet, context: ScenarioContext): Promise<Table | undefined> {
  if (!context.redis.isAvailable()) return undefined;
  const { seconds, troubleAfterMs } = planTrouble(context.quick);
  const shape = { perSecond: PER_SECOND, seconds };
  const redis = await context.redis.start();
  const larder = await startGateway(context, { gateway: "larder", upstreamPort: fleet.upstream, redisUrl: redis.url });
  const rows: Row[] = [];
  const [direct, directUnique] = await load(fleet.upstream, shape, context);
  rows.push({ contender: "upstream asked directly", role: "limit", cells: cellsOf(direct, directUnique) });
  for (const { name, begin, end } of troubles) {
    context.progress.update(0.94, `gateway, ${name}`);
    // A first hit, so that what is asked for again is in memory, and connections are open.
    await load(larder.port, { perSecond: PER_SECOND, seconds: 0.2 }, context);
    const timer = setTimeout(() => void begin(redis), troubleAfterMs);
    const [hits, misses] = await load(larder.port, shape, context);
    clearTimeout(timer);
    await end(redis);
    rows.push({ contender: `larder, ${name}`, role: "ours", cells: cellsOf(hits, misses) });
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  await redis.stop();
  return {
    id: "redis-trouble",
    title: `Redis goes away under load: ${PER_SECOND} hits and ${PER_SECOND} new bodies a second, from the instant each was due`,
    columns: [
      { id: "hit-p50", title: "hit, p50", unit: "ms", better: "lower" },
      { id: "hit-p99", title: "hit, p99", unit: "ms", better: "lower" },
      { id: "miss-p50", title: "miss, p50", unit: "ms", better: "lower" },
      { id: "miss-p99", title: "miss, p99", unit: "ms", better: "lower" },
      { id: "failures", title: "failed", unit: "requests", better: "lower" },
    ],
    rows,
    targets: targetsOf(rows, percentileOf(directUnique, 0.99)),
    notes: [`Trouble begins after ${troubleAfterMs} ms of ${seconds} s and lasts until the end. Failed: no answer, or no 2xx.`],
  };
}
