import { type Fault, type FaultProxy, startFaultProxy } from "@larder/cache-testing";
import type { InstalledContender } from "../contenders/load-contenders.ts";
import { singleCell } from "../measure.ts";
import type { LaunchedRedis } from "../redis-launcher.ts";
import type { RunningTask } from "../run-task.ts";
import type { Row, ScenarioContext, Table, Target } from "../scenario.ts";
import { createSeededRandom } from "../seeded-random.ts";
import type { Floor, SoakInput, SoakOutput } from "./soak-worker.ts";

const WORKERS = 4;
/** `maxStalenessMs` and what a busy machine may add. */
const BOUND_MS = 1_250;
/** Reads of ten minutes that make it a soak. */
const READS_A_MINUTE = 100_000;

/** Milliseconds of it for ours and for each peer; `--soak MINUTES` decides otherwise for ours. */
export function planFaultSoak(isQuick: boolean, minutes: number | undefined): { readonly oursMs: number; readonly peersMs: number } {
  if (isQuick && minutes === undefined) return { oursMs: 4_000, peersMs: 0 };
  return { oursMs: (minutes ?? 1) * 60_000, peersMs: 15_000 };
}

const NETWORK_FAULTS: readonly Fault[] = [
  { kind: "stall" },
  { kind: "refuse" },
  { kind: "black-hole" },
  { kind: "accept-and-hang" },
  { kind: "latency", latencyMs: 30 },
  { kind: "chunk", bytes: 7 },
  { kind: "cut", bytes: 100 },
];

const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

/** Breaks the network of one worker, or the server, every half to three seconds; all is well again at the end. @returns how often */
async function causeFaults(
  redis: LaunchedRedis,
  proxies: readonly FaultProxy[],
  untilMs: number,
  context: ScenarioContext,
): Promise<number> {
  const random = createSeededRandom(context.seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const { server } = redis;
  let count = 0;
  while (performance.now() < untilMs - 1_500 && !context.signal.aborted) {
    await sleep(500 + random() * 1_000);
    count += 1;
    const roll = random();
    if (roll < 0.1) await server.restart();
    else if (roll < 0.25) await server.command("CLIENT", "KILL", "TYPE", "pubsub").catch(() => {});
    else if (roll < 0.35) await server.command("FLUSHALL").catch(() => {});
    else if (roll < 0.45) {
      server.pause();
      await sleep(random() * 1_500);
      server.resume();
    } else {
      const proxy = pick(proxies);
      await proxy.set(pick(NETWORK_FAULTS));
      await sleep(300 + random() * 1_200);
      await proxy.heal();
    }
  }
  return count;
}

interface Soaked {
  readonly outputs: readonly SoakOutput[];
  readonly died: number;
  readonly faults: number;
  readonly runMs: number;
}

async function soak(context: ScenarioContext, contender: string, runMs: number): Promise<Soaked> {
  const [redis, database] = await Promise.all([context.redis.start(), context.redis.start()]);
  const proxies = await Promise.all(Array.from({ length: WORKERS }, () => startFaultProxy(redis.port)));
  try {
    const tasks: Array<RunningTask<SoakOutput>> = [];
    // Every worker hears of the invalidations of all.
    const onMessage = (message: unknown): void => {
      for (const task of tasks) task.send(message as Floor);
    };
    for (const [index, proxy] of proxies.entries()) {
      const shared = { contender, redisUrl: proxy.url, databaseUrl: database.url, runMs, boundMs: BOUND_MS };
      const input: SoakInput = { ...shared, seed: context.seed + index };
      const options = { execArgv: ["--expose-gc"], timeoutMs: runMs + 60_000, isQuiet: true, onMessage };
      tasks.push(context.runTask<SoakOutput>("soakWorker", input, options));
    }
    const faults = await causeFaults(redis, proxies, performance.now() + runMs, context);
    const ended = await Promise.allSettled(tasks.map(({ result }) => result));
    context.signal.throwIfAborted();
    const outputs = ended.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    return { outputs, died: WORKERS - outputs.length, faults, runMs };
  } finally {
    await Promise.all([...proxies.map((proxy) => proxy.close()), redis.stop(), database.stop()]);
  }
}

const sumOf = (outputs: readonly SoakOutput[], field: "reads" | "writes" | "ownViolations" | "boundViolations" | "unhandled"): number =>
  outputs.reduce((sum, output) => sum + output[field], 0);

function growthOf({ outputs, runMs }: Soaked): number {
  const growths = outputs.map(({ heapMegabytes: [middle, end] }) => end - middle);
  return Math.max(0, ...growths) / (runMs / 2 / 60_000);
}

function rowOf({ contender, version }: InstalledContender, soaked: Soaked): Row {
  const { outputs, died, faults, runMs } = soaked;
  const notes = [`${faults} faults in ${runMs / 1_000} s`, ...(died > 0 ? [`${died} of ${WORKERS} processes died`] : [])];
  return {
    contender: contender.name,
    role: contender.role,
    ...(version ? { version } : {}),
    note: notes.join("; "),
    cells: {
      reads: singleCell(sumOf(outputs, "reads")),
      own: singleCell(sumOf(outputs, "ownViolations")),
      bounded: singleCell(sumOf(outputs, "boundViolations")),
      unhandled: singleCell(sumOf(outputs, "unhandled")),
      died: singleCell(died),
      growth: runMs >= 60_000 ? singleCell(growthOf(soaked)) : { kind: "missing", why: "a run of less than a minute tells nothing" },
    },
  };
}

function targetsOf({ contender }: InstalledContender, soaked: Soaked): Target[] {
  const { outputs, died, runMs } = soaked;
  const { name } = contender;
  const violations = sumOf(outputs, "ownViolations") + sumOf(outputs, "boundViolations");
  const trouble = sumOf(outputs, "unhandled") + died;
  const reads = sumOf(outputs, "reads");
  const least = Math.round((READS_A_MINUTE * runMs) / 60_000);
  return [
    { contender: name, column: "bounded", text: `no read older than promised (${violations})`, isMet: violations === 0 },
    { contender: name, column: "unhandled", text: `no unhandled rejection, no process that dies (${trouble})`, isMet: trouble === 0 },
    { contender: name, column: "reads", text: `>= ${least} reads (${reads})`, isMet: reads >= least },
    ...(runMs >= 60_000
      ? [
          {
            contender: name,
            column: "growth",
            text: `flat heap: < 1 MB a minute (${growthOf(soaked).toFixed(2)})`,
            isMet: growthOf(soaked) < 1,
          },
        ]
      : []),
  ];
}

/** Four processes that read and write while their Redis goes bad, every read judged. */
export async function measureFaultSoak(context: ScenarioContext, installed: readonly InstalledContender[]): Promise<Table> {
  const { oursMs, peersMs } = planFaultSoak(context.quick, context.soakMinutes);
  const asked = installed.filter(({ contender: { role, hasBus, hasL2 } }) => (role === "ours" ? hasL2 : hasBus && peersMs > 0));
  const rows: Row[] = [];
  const targets: Target[] = [];
  for (const each of asked) {
    context.signal.throwIfAborted();
    const isOurs = each.contender.role === "ours";
    context.progress.update(0.9, `soak of ${each.contender.name}`);
    const soaked = await soak(context, each.contender.name, isOurs ? oursMs : peersMs);
    rows.push(rowOf(each, soaked));
    if (isOurs) targets.push(...targetsOf(each, soaked));
  }
  return {
    id: "soak",
    title: `${WORKERS} processes read and write while a fault comes every half to three seconds`,
    columns: [
      { id: "reads", title: "reads judged", unit: "reads", better: "none" },
      { id: "own", title: "older than its own invalidation", unit: "reads", better: "lower" },
      { id: "bounded", title: `older than one told as done ${BOUND_MS} ms before`, unit: "reads", better: "lower" },
      { id: "unhandled", title: "unhandled rejections", unit: "", better: "lower" },
      { id: "died", title: "processes that died", unit: "", better: "lower" },
      { id: "growth", title: "heap, per process", unit: "MB/minute", better: "lower" },
    ],
    rows,
    targets,
    notes: [
      "Faults: stalled, refused, swallowed, hanging, slow, chopped and cut connections of one process; the server frozen, flushed, restarted empty, its subscribers killed. --soak MINUTES makes ours longer; ten are what the project asks of itself.",
    ],
  };
}
