import { type OpenTier, openSharedTiers } from "../contenders/open-shared-tiers.ts";
import { createPeers } from "../contenders/peer-installer.ts";
import { openSharedTier, sharedTierPeers } from "../contenders/shared-tier-peers.ts";
import { type BatchContender, type Measurement, type Named, singleCell, toMeasurements, toRows } from "../measure.ts";
import { PeerUnavailable } from "../peers.ts";
import type { Row, ScenarioContext, Table, Target, TaskContext } from "../scenario.ts";
import { createSeededRandom, shuffled } from "../seeded-random.ts";
import { quantile } from "../statistics.ts";
import { probeDuring } from "./redis-probe.ts";

// What the peers do where RedisCache was built to do better: processor time of a hit, clearing many keys, a frozen Redis.

/** How much of it a run does: a quick one asks keyv alone, and half as much. */
export function planSharedPeers(isQuick: boolean): {
  readonly peers: readonly string[];
  readonly frozenMs: number;
  readonly rounds: number;
  readonly keys: number;
} {
  const names = sharedTierPeers.map(({ name }) => name);
  return isQuick
    ? { peers: names.slice(0, 1), frozenMs: 1_000, rounds: 5, keys: 20_000 }
    : { peers: names, frozenMs: 2_000, rounds: 31, keys: 1_000_000 };
}

const contendersOf = ({ quick }: ScenarioContext) => sharedTierPeers.filter(({ name }) => planSharedPeers(quick).peers.includes(name));

const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

/** A contender of the hits, and how it is asked. */
export interface CpuContender extends Named {
  readonly batch: BatchContender["batch"];
}

/** Gets of one batch: enough processor time to count, whatever their size. */
const cpuBatchOf = (bytes: number): number => (bytes > 10_000 ? 400 : 2_000);

/** Microseconds of this process's processor for one hit: what is left for the gateway's own work. */
export async function measureCpu(
  context: ScenarioContext,
  columns: ReadonlyArray<{ readonly bytes: number; readonly title: string; readonly contenders: readonly CpuContender[] }>,
  baseline: string,
  ours: string,
): Promise<Table> {
  const random = createSeededRandom(context.seed);
  const measured: Record<string, Measurement[]> = {};
  for (const { bytes, title, contenders } of columns) {
    const gets = cpuBatchOf(bytes);
    const samples = new Map(contenders.map(({ name }) => [name, [] as number[]]));
    for (const { batch } of contenders) await batch(gets);
    for (let round = 0; round < planSharedPeers(context.quick).rounds; round += 1) {
      context.signal.throwIfAborted();
      context.progress.update(0.9, `processor time of hits of ${title}`);
      for (const { name, batch } of shuffled(contenders, random)) {
        const before = process.cpuUsage();
        await batch(gets);
        const { user, system } = process.cpuUsage(before);
        samples.get(name)!.push((user + system) / gets);
      }
    }
    measured[String(bytes)] = toMeasurements(
      contenders.map((contender) => ({ contender, samples: samples.get(contender.name)! })),
      baseline,
    );
  }
  return {
    id: "hit-cpu",
    title: "Processor time of the client, a hit, 32 in flight",
    columns: columns.map(({ bytes, title }) => ({ id: String(bytes), title, unit: "us", better: "lower" as const })),
    rows: toRows(measured),
    baseline,
    targets: columns.map(({ bytes }): Target => {
      const id = String(bytes);
      const medianOf = (name: string): number => measured[id]!.find((each) => each.name === name)?.cell.median ?? Number.NaN;
      const over = medianOf(ours) - medianOf(baseline);
      return {
        contender: ours,
        column: id,
        text: `at most 2 us over the raw client (${over >= 0 ? "+" : ""}${over.toFixed(1)} us)`,
        isMet: over <= 2,
      };
    }),
    notes: ["User and system time of the whole process, the collector and the socket included; Redis's own is not."],
  };
}

/** The rows of the peers for the table of `clear()`: the same number of keys, the same probe, a server of its own each. */
export async function clearRows(context: ScenarioContext): Promise<Row[]> {
  const rows: Row[] = [];
  for (const contender of contendersOf(context)) {
    const redis = await context.redis.start();
    const { tiers } = await openSharedTiers(context, [contender], redis.url, "clear-peer");
    for (const tier of tiers) {
      if (tier.clear) rows.push(await clearRow(context, redis.url, tier));
      await tier.close();
    }
    await redis.stop();
  }
  return rows;
}

async function clearRow(context: ScenarioContext, url: string, { name, version, set, clear }: OpenTier): Promise<Row> {
  const { keys } = planSharedPeers(context.quick);
  context.progress.update(0.93, `clear at ${keys} keys of ${name}`);
  for (let start = 0; start < keys; start += 1_000) {
    context.signal.throwIfAborted();
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => set(`many-${start + index}`, "x")));
  }
  const { latencies: before } = await probeDuring(context, url, () => sleep(500));
  const { value, latencies: during } = await probeDuring(context, url, async () => {
    const startedAt = performance.now();
    const failure = await Promise.resolve(clear?.()).then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.name : "an error"),
    );
    return { failure, clearMs: performance.now() - startedAt };
  });
  const { failure, clearMs } = value;
  return {
    contender: name,
    role: "peer",
    version,
    cells: {
      clear: failure ? { kind: "text", text: `fails: ${failure}`, verdict: "bad" } : singleCell(clearMs),
      idle: singleCell(quantile(before, 0.99)),
      busy: singleCell(quantile(during, 0.99), `slowest ${Math.max(...during).toFixed(0)} ms`),
      swept: { kind: "missing", why: "frees before it returns" },
    },
  };
}

interface FrozenInput {
  readonly peer: string;
  readonly redisUrl: string;
  readonly redisPid: number;
  readonly frozenMs: number;
}

/** The slowest of 500 gets at once while Redis stands still. Runs in a process of its own. */
export async function frozenPeer(input: unknown, task: TaskContext): Promise<number> {
  const { peer, redisUrl, redisPid, frozenMs } = input as FrozenInput;
  const contender = sharedTierPeers.find(({ name }) => name === peer)!;
  process.on("unhandledRejection", () => {});
  const tier = await openSharedTier(contender, createPeers({ signal: task.signal }), redisUrl, "frozen");
  await tier.set("key", "value");
  process.kill(redisPid, "SIGSTOP");
  const resume = setTimeout(() => process.kill(redisPid, "SIGCONT"), frozenMs);
  try {
    const latencies = await Promise.all(
      Array.from({ length: 500 }, async (_, index) => {
        const startedAt = performance.now();
        await tier.get(`key-${index}`).catch(() => {});
        return performance.now() - startedAt;
      }),
    );
    return Math.max(...latencies);
  } finally {
    clearTimeout(resume);
    process.kill(redisPid, "SIGCONT");
    tier.close();
  }
}

/** The rows of the peers for the table of a frozen Redis. */
export async function frozenRows(context: ScenarioContext): Promise<Row[]> {
  const { frozenMs } = planSharedPeers(context.quick);
  const without = { kind: "missing", why: "has no breaker" } as const;
  return Promise.all(
    (await installed(context)).map(async ({ name, version }): Promise<Row> => {
      const redis = await context.redis.start();
      try {
        const input: FrozenInput = { peer: name, redisUrl: redis.url, redisPid: redis.pid, frozenMs };
        const slowest = await context.runTask<number>("frozenPeer", input, { timeoutMs: 60_000, isQuiet: true }).result;
        const note = `Redis was stopped for ${frozenMs} ms`;
        return { contender: name, role: "peer", version, cells: { slowest: singleCell(slowest, note), open: without, heap: without } };
      } finally {
        await redis.stop();
      }
    }),
  );
}

async function installed(context: ScenarioContext): Promise<Array<{ readonly name: string; readonly version: string }>> {
  const found: Array<{ readonly name: string; readonly version: string }> = [];
  for (const { name, peer } of contendersOf(context)) {
    try {
      found.push({ name, version: (await context.peers.load(peer)).version });
    } catch (error) {
      // The table of hits says who is missing and why.
      if (!(error instanceof PeerUnavailable)) throw error;
    }
  }
  return found;
}
