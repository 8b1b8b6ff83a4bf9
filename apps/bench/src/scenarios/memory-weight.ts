import type { BareCache, MemoryContender } from "../contenders/memory-contenders.ts";
import { loadMemoryPeer, MAP_WRAPPER, memoryPeerNames, OURS, OURS_WITH_DIGESTS, ownContenders } from "../contenders/memory-contenders.ts";
import { createPeers } from "../contenders/peer-installer.ts";
import { singleCell } from "../measure.ts";
import { measureRetained } from "../measure-memory.ts";
import type { Row, ScenarioContext, Table, Target, TaskContext, UnavailableContender } from "../scenario.ts";
import { memoryKey, VALUE } from "./memory-keys.ts";

/** How much of it a run does. */
export interface WeightPlan {
  readonly entries: number;
  readonly peers: readonly string[];
}

/** A quick run weighs a tenth of the entries, and the two peers that are the lightest and the best known. */
export function planWeights(isQuick: boolean): WeightPlan {
  return isQuick ? { entries: 100_000, peers: ["lru-cache", "sieve-cache"] } : { entries: 1_000_000, peers: memoryPeerNames };
}

/** What one contender weighs and how long its longest call takes. */
export interface Weight {
  readonly version?: string | undefined;
  readonly fresh: number;
  readonly churned: number;
  readonly longestFillMs: number;
  readonly longestSetMs: number;
}

/** Sets keys nobody else holds. @returns the longest call in milliseconds */
function fill(cache: BareCache, from: number, count: number): number {
  let longest = 0;
  for (let index = from; index < from + count; index += 1) {
    const key = memoryKey(index);
    const startedAt = performance.now();
    cache.set(key, VALUE);
    longest = Math.max(longest, performance.now() - startedAt);
  }
  return longest;
}

async function findContender(name: string, signal: AbortSignal): Promise<MemoryContender> {
  return ownContenders.find((own) => own.name === name) ?? (await loadMemoryPeer(name, createPeers({ signal })));
}

/** Weighs one contender. Runs in a process of its own, with the collector at hand. */
export async function weigh(input: unknown, task: TaskContext): Promise<Weight> {
  const { contender, entries } = input as { readonly contender: string; readonly entries: number };
  const { create, version } = await findContender(contender, task.signal);
  // The first one grows the heap and compiles: its numbers are thrown away.
  fill(create(1_000), 0, 2_000);
  let longestFillMs = 0;
  const { bytes, built } = measureRetained(() => {
    const cache = create(entries);
    longestFillMs = fill(cache, 0, entries);
    return cache;
  });
  const { bytes: added, built: longestSetMs } = measureRetained(() => fill(built, entries, 2 * entries));
  return { version, fresh: bytes / entries, churned: (bytes + added) / entries, longestFillMs, longestSetMs };
}

function rowOf(name: string, { version, fresh, churned, longestFillMs, longestSetMs }: Weight): Row {
  const own = ownContenders.find((contender) => contender.name === name);
  return {
    contender: name,
    role: own?.role ?? "peer",
    ...(version === undefined ? {} : { version }),
    cells: {
      fresh: singleCell(fresh),
      churned: singleCell(churned),
      filling: singleCell(longestFillMs),
      longest: singleCell(longestSetMs),
    },
  };
}

function targetsOf(weights: ReadonlyMap<string, Weight>): Target[] {
  const atMost = (contender: string, column: keyof Weight & string, id: string, most: number): Target => {
    const value = Number(weights.get(contender)?.[column]);
    return { contender, column: id, text: `<= ${most} (${value.toFixed(1)})`, isMet: value <= most };
  };
  return [
    atMost(OURS, "churned", "churned", 180),
    atMost(OURS_WITH_DIGESTS, "churned", "churned", 150),
    atMost(OURS, "longestSetMs", "longest", 5),
  ];
}

/** Bytes an entry and the longest `set` of every contender, each in a process of its own. */
export async function weighAll(context: ScenarioContext, unavailable: readonly UnavailableContender[]): Promise<Table> {
  const { entries, peers } = planWeights(context.quick);
  const missing = new Set(unavailable.map(({ contender }) => contender));
  const own = ownContenders.filter(({ role }) => role !== "control").map(({ name }) => name);
  const names = [...own, ...peers.filter((name) => !missing.has(name))];
  const weights = new Map<string, Weight>();
  for (const [index, contender] of names.entries()) {
    context.progress.update(0.7 + (0.3 * index) / names.length, `bytes of ${contender}`);
    const task = context.runTask<Weight>("weigh", { contender, entries }, { execArgv: ["--expose-gc"], timeoutMs: 300_000 });
    weights.set(contender, await task.result);
  }
  return {
    id: "memory-weight",
    title: `${entries.toLocaleString("en")} entries: bytes and pauses`,
    columns: [
      { id: "fresh", title: "an entry, just filled", unit: "bytes", better: "lower" },
      { id: "churned", title: "an entry, after twice as many sets", unit: "bytes", better: "lower" },
      { id: "filling", title: "longest set while filling", unit: "ms", better: "lower" },
      { id: "longest", title: "longest set while evicting", unit: "ms", better: "lower" },
    ],
    rows: names.map((name) => rowOf(name, weights.get(name)!)),
    unavailable: unavailable.filter(({ contender }) => peers.includes(contender)),
    targets: context.quick ? [] : targetsOf(weights),
    notes: [
      `The key's string is counted, the value is one object shared by all. ${MAP_WRAPPER} is one Map. The longest set includes whatever the collector and other programs did meanwhile.`,
    ],
  };
}
