import { installForRun, readThroughContenders } from "../contenders/load-contenders.ts";
import { createPeers } from "../contenders/peer-installer.ts";
import { singleCell } from "../measure.ts";
import type { Cell, Row, Scenario, ScenarioContext, ScenarioResult, TaskContext } from "../scenario.ts";

const LOAD_MS = { quick: 200, full: 500 };
const CLOSE_MS = 1000;

interface CallersInput {
  readonly contender: string;
  readonly redisUrl: string;
  readonly namespace: string;
  readonly callers: number;
  readonly loadMs: number;
}

interface CallersOutput {
  readonly loads: number;
  readonly served: number;
  readonly slowestMs: number;
}

/** One member of the fleet: opens its cache, says that it is ready, and on the start signal sends all callers at one missing key. */
async function callers(input: unknown, task: TaskContext): Promise<CallersOutput> {
  const { contender: name, redisUrl, namespace, callers: count, loadMs } = input as CallersInput;
  const contender = readThroughContenders.find((candidate) => candidate.name === name)!;
  const cache = await contender.create({ redisUrl, namespace, ttlMs: 60_000 }, createPeers({ signal: task.signal }));
  // A first call opens connections and warms code, as in a process that has been serving for a while.
  await cache.ready();
  for (let call = 0; call < 20; call += 1) {
    await cache.getOrSet(`warm-${process.pid}-${call}`, async () => 1);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  let loads = 0;
  const load = async (): Promise<{ made: true }> => {
    loads += 1;
    await new Promise((resolve) => setTimeout(resolve, loadMs));
    return { made: true };
  };
  const started = new Promise<void>((resolve) => task.onMessage(() => resolve()));
  task.send("ready");
  await started;
  const startedAt = performance.now();
  const answers = await Promise.all(Array.from({ length: count }, async () => cache.getOrSet(`missing-${namespace}`, load)));
  const slowestMs = performance.now() - startedAt;
  const served = answers.filter((answer) => (answer as { made?: boolean } | undefined)?.made).length;
  // Writes may still be on their way, and other processes wait for them.
  await Promise.race([cache.close(), new Promise((resolve) => setTimeout(resolve, CLOSE_MS))]);
  return { loads, served, slowestMs };
}

const loadMsOf = ({ quick }: ScenarioContext): number => (quick ? LOAD_MS.quick : LOAD_MS.full);

async function measureFleet(
  context: ScenarioContext,
  contender: string,
  redisUrl: string,
  processes: number,
  count: number,
): Promise<CallersOutput> {
  const namespace = `stampede-${processes}-${contender.replaceAll(/\W+/g, "-")}`;
  let ready = 0;
  const running = Array.from({ length: processes }, () =>
    context.runTask<CallersOutput>(
      "callers",
      { contender, redisUrl, namespace, callers: count, loadMs: loadMsOf(context) } satisfies CallersInput,
      {
        timeoutMs: 30_000,
        onMessage: () => {
          ready += 1;
          if (ready === processes) for (const task of running) task.send("start");
        },
      },
    ),
  );
  const outputs = await Promise.all(running.map(({ result }) => result));
  return {
    loads: outputs.reduce((sum, { loads }) => sum + loads, 0),
    served: outputs.reduce((sum, { served }) => sum + served, 0),
    slowestMs: Math.max(...outputs.map(({ slowestMs }) => slowestMs)),
  };
}

async function run(context: ScenarioContext): Promise<ScenarioResult> {
  const { installed, unavailable } = await installForRun(
    readThroughContenders.filter(({ hasL2 }) => hasL2),
    context,
  );
  const redis = await context.redis.start();
  const count = context.quick ? 250 : 1000;
  const rows: Row[] = [];
  for (const [index, { contender, version }] of installed.entries()) {
    const cells: Record<string, Cell> = {};
    for (const processes of [1, 4]) {
      context.signal.throwIfAborted();
      context.progress.update(
        (index + processes / 8) / installed.length,
        `${contender.name}, ${processes === 1 ? "1 process" : `${processes} processes`}`,
      );
      const { loads, served, slowestMs } = await measureFleet(context, contender.name, redis.url, processes, count);
      const note = served === processes * count ? undefined : `${processes * count - served} callers got no value`;
      cells[`loads-${processes}`] = singleCell(loads, note);
      cells[`slowest-${processes}`] = singleCell(slowestMs);
    }
    rows.push({ contender: contender.name, role: contender.role, ...(version ? { version } : {}), cells });
  }
  const fleetLoads = rows.find(({ contender }) => contender === "larder")?.cells["loads-4"];
  const loads = fleetLoads?.kind === "measured" ? fleetLoads.median : Number.NaN;
  const isEveryoneServed = fleetLoads?.kind === "measured" && fleetLoads.note === undefined;
  return {
    tables: [
      {
        id: "loads",
        title: `${count} callers a process ask for one missing key; the load takes ${loadMsOf(context)} ms`,
        columns: [
          { id: "loads-1", title: "1 process", unit: "loads", better: "lower" },
          { id: "slowest-1", title: "slowest", unit: "ms", better: "lower" },
          { id: "loads-4", title: "4 processes", unit: "loads", better: "lower" },
          { id: "slowest-4", title: "slowest", unit: "ms", better: "lower" },
        ],
        rows,
        unavailable,
        targets: Number.isNaN(loads)
          ? []
          : [
              {
                contender: "larder",
                column: "loads-4",
                text: `1 load in a fleet of 4 processes (${loads})`,
                isMet: loads === 1 && isEveryoneServed,
              },
            ],
        notes: [
          "The limit is 1 load and the load's own time. Each row is a single run.",
          "larder asks Redis who loads for 50 ms at most. On a machine too busy to answer by then each process loads for itself, as when Redis is away.",
        ],
      },
    ],
  };
}

/** How many loads a rush on one missing key causes, in one process and in a fleet. */
export const stampedeScenario: Scenario = {
  name: "stampede",
  title: "Stampede: many callers, one missing key",
  describe: "How often the loader runs when many callers miss the same key at once, in one process and in four that share a Redis.",
  needs: ["redis"],
  tasks: { callers },
  run,
};
