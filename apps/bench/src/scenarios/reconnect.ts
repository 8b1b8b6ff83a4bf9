import { startFaultProxy } from "@larder/cache-testing";
import { readThroughContenders } from "../contenders/load-contenders.ts";
import { createPeers } from "../contenders/peer-installer.ts";
import type { ReadThroughCache } from "../contenders/read-through.ts";
import { singleCell, toMeasurements } from "../measure.ts";
import type { Cell, Row, ScenarioContext, Table, Target, TaskContext } from "../scenario.ts";
import { quantile } from "../statistics.ts";

// What a process serves whose bus is cut, and how soon it is right again. Two instances: A invalidates, B holds the entry and has its bus
// behind a proxy.
//
// Cut off: the proxy swallows every byte, so that the connection looks healthy and only silence tells. B is asked until it gives the new
// value; the last old answer, counted from the cut, is the figure. The last proof is older than the cut, so this is an upper bound of its
// age less one heartbeat.
//
// Reconnect: the proxy resets B's connections, A invalidates, the proxy lets B back in. From the instant at which it has accepted as many
// connections as B had until B gives the new value, and how many of the entries that nobody invalidated are still in B's memory. How long
// a client pauses before it tries again is in a column of its own.

const KEPT_ENTRIES = 100;
const CUT_MS = 150;
/** A read that gives the old value so long after the reconnect is a stale read. */
const GRACE_MS = 100;
const WATCHED_MS = 600;
const LONGEST_RETRY_MS = 3_000;
const SETTLE_MS = 1_300;
const PEER_TASK_TIMEOUT_MS = 120_000;

/** How long and how often. */
export interface ReconnectPlan {
  readonly giveUpMs: number;
  readonly rounds: number;
  /** Contenders side by side: they wait more than they work. */
  readonly parallel: number;
}

/** The plan of a run. Peers without a bound serve until their time to live: they are given up. */
export function planReconnects(isQuick: boolean): ReconnectPlan {
  return isQuick ? { giveUpMs: 2_000, rounds: 2, parallel: 5 } : { giveUpMs: 10_000, rounds: 9, parallel: 2 };
}

interface ReconnectInput extends ReconnectPlan {
  readonly contender: string;
  readonly redisUrl: string;
}

/** What one contender did. */
export interface ReconnectOutput {
  /** Milliseconds from the cut to the last old answer; `null` when it was still old at the end. */
  readonly cutOffMs: number | null | "hangs";
  /** Milliseconds from the reconnect to the new value, one a round; `null` = not within the time watched. */
  readonly coherentMs: ReadonlyArray<number | null> | "hangs";
  /** Milliseconds from the network's healing until all connections were back, one a round. */
  readonly retryMs: readonly number[];
  /** Reads that gave the old value later than the grace after the reconnect. */
  readonly staleReads: number;
  readonly reads: number;
  /** Entries of those nobody invalidated that stayed in memory, one a round; absent where memory cannot be looked at alone. */
  readonly kept?: readonly number[];
}

const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));
const within = (pending: Promise<unknown>, limitMs: number): Promise<unknown> => Promise.race([pending, sleep(limitMs)]);

/** A call that does not come back would hold up the whole run. */
const HANGS_MS = 1_000;

class Hangs extends Error {}

/** The same cache, whose reads fail when they take too long. */
function bounded(cache: ReadThroughCache): ReadThroughCache {
  return {
    ...cache,
    getOrSet: (key, load) => {
      const answer = cache.getOrSet(key, load);
      if (!(answer instanceof Promise)) return answer;
      const givenUp = sleep(HANGS_MS).then(() => {
        throw new Hangs();
      });
      return Promise.race([answer, givenUp]);
    },
  };
}

/** What the work gives, or the word for that a read never came back. */
async function orHangs<T>(work: Promise<T>): Promise<T | "hangs"> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Hangs) return "hangs";
    throw error;
  }
}

/** The database behind both, by key. */
class Versions {
  readonly #versions: Map<string, number> = new Map();

  readonly load = async (key: string): Promise<{ readonly version: number }> => ({ version: this.#versions.get(key) ?? 1 });

  raise(key: string): void {
    this.#versions.set(key, 2);
  }
}

async function isOld(cache: ReadThroughCache, key: string, versions: Versions): Promise<boolean> {
  const answer = (await cache.getOrSet(key, versions.load)) as { version?: number } | undefined;
  return answer?.version === 1;
}

interface Pair {
  readonly a: ReadThroughCache;
  readonly b: ReadThroughCache;
  readonly busOfB: Awaited<ReturnType<typeof startFaultProxy>>;
  readonly versions: Versions;
}

async function cutOff({ a, b, busOfB, versions }: Pair, giveUpMs: number): Promise<number | null> {
  const key = "cut-off";
  for (const cache of [a, b]) await cache.getOrSet(key, versions.load);
  await sleep(SETTLE_MS / 2);
  await busOfB.set({ kind: "black-hole" });
  const cutAt = performance.now();
  versions.raise(key);
  void a.invalidate(key).catch(() => {});
  let lastOldMs = 0;
  while (performance.now() - cutAt < giveUpMs) {
    const askedAt = performance.now();
    if (!(await isOld(b, key, versions))) return lastOldMs;
    lastOldMs = askedAt - cutAt;
    await sleep(1);
  }
  return null;
}

interface Round {
  readonly retryMs: number;
  readonly coherentMs: number | null;
  readonly staleReads: number;
  readonly reads: number;
  readonly kept: number | undefined;
}

async function reconnect({ a, b, busOfB, versions }: Pair, round: number): Promise<Round> {
  const key = `reconnect-${round}`;
  const kept = Array.from({ length: KEPT_ENTRIES }, (_, index) => `kept-${round}-${index}`);
  for (const cache of [a, b]) await cache.getOrSet(key, versions.load);
  for (const each of kept) await b.getOrSet(each, versions.load);
  await sleep(300);
  const connections = busOfB.openConnections;
  await busOfB.set({ kind: "refuse" });
  await sleep(CUT_MS / 2);
  versions.raise(key);
  void a.invalidate(key).catch(() => {});
  await sleep(CUT_MS / 2);
  await busOfB.heal();
  const healedAt = performance.now();
  while (busOfB.openConnections < connections && performance.now() - healedAt < LONGEST_RETRY_MS) await sleep(1);
  const backAt = performance.now();
  let [coherentMs, staleReads, reads]: [number | null, number, number] = [null, 0, 0];
  while (performance.now() - backAt < WATCHED_MS) {
    const askedMs = performance.now() - backAt;
    reads += 1;
    if (!(await isOld(b, key, versions))) coherentMs ??= askedMs;
    else if (askedMs > GRACE_MS) staleReads += 1;
    await sleep(1);
  }
  const { getSync } = b;
  const held = getSync && kept.map((each) => getSync(each)).filter((value) => value !== undefined && !(value instanceof Promise)).length;
  return { retryMs: backAt - healedAt, coherentMs, staleReads, reads, kept: held };
}

/** Puts one contender to it, in a process of its own: some do not survive a reset. */
export async function reconnectTask(input: unknown, task: TaskContext): Promise<ReconnectOutput> {
  const { contender: name, redisUrl, giveUpMs, rounds } = input as ReconnectInput;
  const contender = readThroughContenders.find((candidate) => candidate.name === name)!;
  const peers = createPeers({ signal: task.signal });
  // What peers log about the trouble that we make would bury the table.
  for (const method of ["log", "warn", "error"] as const) console[method] = () => {};
  process.on("unhandledRejection", () => {});
  const busOfB = await startFaultProxy(Number(new URL(redisUrl).port));
  const setting = { namespace: `reconnect-${name.replaceAll(/\W+/g, "-")}`, ttlMs: 600_000 };
  const a = bounded(await contender.create({ ...setting, redisUrl }, peers));
  const b = bounded(await contender.create({ ...setting, redisUrl, busUrl: busOfB.url }, peers));
  const pair: Pair = { a, b, busOfB, versions: new Versions() };
  await within(Promise.all([a.ready(), b.ready()]), 2_000);
  const played: Round[] = [];
  const rejoined = await orHangs(
    (async () => {
      for (let round = 0; round < rounds; round += 1) {
        task.signal.throwIfAborted();
        played.push(await reconnect(pair, round));
        await sleep(SETTLE_MS);
      }
    })(),
  );
  const kept = played.flatMap((round) => (round.kept === undefined ? [] : [round.kept]));
  return {
    cutOffMs: await orHangs(cutOff(pair, giveUpMs)),
    coherentMs: rejoined ?? played.map((round) => round.coherentMs),
    retryMs: played.map((round) => round.retryMs),
    staleReads: played.reduce((sum, round) => sum + round.staleReads, 0),
    reads: played.reduce((sum, round) => sum + round.reads, 0),
    ...(kept.length > 0 ? { kept } : {}),
  };
}

const HANGS: Cell = { kind: "text", text: `a read hangs > ${HANGS_MS / 1_000} s`, verdict: "bad" };
const UNTIL_TTL: Cell = { kind: "text", text: "until its time to live is over", verdict: "bad" };

function coherentCell(contender: string, samples: ReconnectOutput["coherentMs"]): Cell {
  if (samples === "hangs") return HANGS;
  const seen = samples.filter((sample) => sample !== null);
  if (seen.length < samples.length) return UNTIL_TTL;
  return toMeasurements([{ contender: { name: contender, role: "ours" }, samples: seen }], undefined)[0]!.cell;
}

function cellsOf(contender: string, output: ReconnectOutput): Row["cells"] {
  const { cutOffMs, coherentMs, retryMs, staleReads, reads, kept } = output;
  return {
    "cut-off": cutOffMs === "hangs" ? HANGS : cutOffMs === null ? UNTIL_TTL : singleCell(cutOffMs),
    retry: retryMs.length > 0 ? singleCell(quantile(retryMs, 0.5)) : HANGS,
    coherent: coherentCell(contender, coherentMs),
    stale: singleCell(staleReads, `of ${reads} reads`),
    kept: kept ? singleCell(quantile(kept, 0.5)) : { kind: "missing", why: "has no look into memory alone" },
  };
}

async function rowOf(
  context: ScenarioContext,
  contender: (typeof readThroughContenders)[number],
  version: string | undefined,
): Promise<Row> {
  const { name, role } = contender;
  const row = { contender: name, role, ...(version ? { version } : {}) };
  const redis = await context.redis.start();
  try {
    const input: ReconnectInput = { contender: name, redisUrl: redis.url, ...planReconnects(context.quick) };
    const task = context.runTask<ReconnectOutput>("reconnect", input, { timeoutMs: PEER_TASK_TIMEOUT_MS, isQuiet: true });
    return { ...row, cells: cellsOf(name, await task.result) };
  } catch (error) {
    context.signal.throwIfAborted();
    if (role === "ours") throw error;
    return { ...row, cells: { "cut-off": { kind: "text", text: "the process dies", verdict: "bad" } } };
  } finally {
    await redis.stop();
  }
}

function targetsOf(rows: readonly Row[]): Target[] {
  const goals = [
    { column: "cut-off", most: 1_000, text: "at most maxStalenessMs, 1000 ms" },
    { column: "coherent", most: 100, text: "<= 100 ms" },
    { column: "stale", most: 0, text: "no stale read after the reconnect" },
  ];
  return rows
    .filter(({ role }) => role === "ours")
    .flatMap(({ contender, cells }) => [
      ...goals.map(({ column, most, text }): Target => {
        const cell = cells[column];
        const value = cell?.kind === "measured" ? cell.median : Number.POSITIVE_INFINITY;
        return { contender, column, text: `${text} (${value.toFixed(0)})`, isMet: value <= most };
      }),
      ...keptTarget(contender, cells.kept),
    ]);
}

function keptTarget(contender: string, cell: Cell | undefined): Target[] {
  const kept = cell?.kind === "measured" ? cell.median : 0;
  return [{ contender, column: "kept", text: `valid entries kept (${kept} of ${KEPT_ENTRIES})`, isMet: kept === KEPT_ENTRIES }];
}

/** Every contender that has a bus, cut off and let back in. */
export async function measureReconnects(
  context: ScenarioContext,
  contenders: ReadonlyArray<{ readonly contender: (typeof readThroughContenders)[number]; readonly version: string | undefined }>,
  unavailable: Table["unavailable"],
): Promise<Table> {
  const rows: Row[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < contenders.length; index = next++) {
      const { contender, version } = contenders[index]!;
      context.progress.update(0.8 + (0.2 * index) / contenders.length, `${contender.name}, cut off`);
      rows[index] = await rowOf(context, contender, version);
    }
  };
  await Promise.all(Array.from({ length: planReconnects(context.quick).parallel }, work));
  return {
    id: "reconnect",
    title: "A process whose bus is cut, and let back in",
    columns: [
      { id: "cut-off", title: "cut off: old value served for", unit: "ms", better: "lower" },
      { id: "retry", title: "healed to all connections back", unit: "ms", better: "lower" },
      { id: "coherent", title: "from there to the new value", unit: "ms", better: "lower" },
      { id: "stale", title: `old reads later than ${GRACE_MS} ms after it`, unit: "reads", better: "lower" },
      { id: "kept", title: `other entries kept, of ${KEPT_ENTRIES}`, unit: "entries", better: "higher" },
    ],
    rows,
    ...(unavailable ? { unavailable } : {}),
    targets: targetsOf(rows),
    notes: [
      `Cut off: its bus gets and sends nothing, though the connection looks open; given up after ${planReconnects(context.quick).giveUpMs} ms. Reconnect: reset, away for ${CUT_MS} ms while another process invalidates.`,
    ],
  };
}
