import {
  type BareCache,
  loadMemoryPeers,
  MAP_WRAPPER,
  type MemoryContender,
  OURS,
  OURS_WITH_DIGESTS,
  OURS_WITH_TTL,
  ownContenders,
  tooSlowWhenLarge,
} from "../contenders/memory-contenders.ts";
import { type BatchContender, type Measurement, measureInterleaved, toRows } from "../measure.ts";
import { ratioBars } from "../plots.ts";
import type { Column, Scenario, ScenarioContext, ScenarioResult, Table, Target, UnavailableContender } from "../scenario.ts";
import { createSeededRandom } from "../seeded-random.ts";
import { drawKeys, memoryKey, VALUE } from "./memory-keys.ts";
import { weigh, weighAll } from "./memory-weight.ts";

const OPERATIONS = 4_000;

type Loop = (cache: BareCache, keys: readonly string[], value: unknown) => number;

/** A loop of its own per contender: sharing one would make its call megamorphic, which no program that uses one cache pays. */
function createLoop(operation: "get" | "set", contender: string): Loop {
  const body =
    operation === "get"
      ? "let found = 0; for (let at = 0; at < keys.length; at += 1) if (cache.get(keys[at]) !== undefined) found += 1; return found;"
      : "for (let at = 0; at < keys.length; at += 1) cache.set(keys[at], value); return keys.length;";
  return new Function("cache", "keys", "value", `${body} // ${contender}`) as Loop;
}

type Supply = (count: number) => string[];

/** Batches of one contender. @throws where it has not what it was given: a cache that finds nothing is the quickest of all */
export function batchesOf(contender: MemoryContender, cache: BareCache, operation: "get" | "set", supply: Supply): BatchContender {
  const loop = createLoop(operation, contender.name);
  let keys: string[] = [];
  return {
    ...contender,
    prepare: (operations) => {
      keys = supply(operations);
    },
    batch: () => {
      const done = loop(cache, keys, VALUE);
      if (done < keys.length) throw new Error(`${contender.name}: ${keys.length - done} of ${keys.length} gets were misses`);
      return done;
    },
  };
}

/** Keys for one column. A fresh key is a new string whose hash V8 has not computed: what a request brings. */
function createSupplies(held: readonly string[], seed: number): Readonly<Record<"fresh" | "same" | "setNew", Supply>> {
  const random = createSeededRandom(seed);
  const bytes = held.map((key) => Buffer.from(key, "latin1"));
  const pick = (): number => Math.floor(random() * held.length);
  const fill = (count: number, make: () => string): string[] => Array.from({ length: count }, make);
  return {
    fresh: (count) => fill(count, () => bytes[pick()]!.toString("latin1")),
    same: (count) => fill(count, () => held[pick()]!),
    setNew: (count) => drawKeys(count, random),
  };
}

const throughputColumns: readonly Column[] = [
  { id: "fresh", title: "hit, fresh key", unit: "ops/s", better: "higher" },
  { id: "same", title: "hit, same key object", unit: "ops/s", better: "higher" },
  { id: "setNew", title: "set of a new key, evicting", unit: "ops/s", better: "higher" },
];

interface Goal {
  readonly contender: string;
  readonly column: string;
  readonly least: number;
}

const goals: Readonly<Record<number, readonly Goal[]>> = {
  1000: [
    { contender: OURS, column: "fresh", least: 0.97 },
    { contender: OURS_WITH_DIGESTS, column: "fresh", least: 2.5 },
    { contender: OURS, column: "same", least: 0.9 },
    { contender: OURS_WITH_TTL, column: "same", least: 0.88 },
    { contender: OURS, column: "setNew", least: 0.9 },
  ],
  100000: [
    { contender: OURS, column: "fresh", least: 0.95 },
    { contender: OURS, column: "setNew", least: 1 },
  ],
};

/**
 * A quick run shows the order of the rows; a full one tells a tenth from noise. Warmed for less, code is measured that the optimizer has not
 * reached; at 100,000 entries it has been warmed by the table before.
 */
export function planThroughput(isQuick: boolean, entries: number): { readonly rounds: number; readonly warmUpMs: number } {
  if (!isQuick) return { rounds: 61, warmUpMs: 400 };
  return entries > 10_000 ? { rounds: 11, warmUpMs: 70 } : { rounds: 15, warmUpMs: 300 };
}

async function measureThroughput(
  entries: number,
  contenders: readonly MemoryContender[],
  unavailable: readonly UnavailableContender[],
  context: ScenarioContext,
  from: number,
): Promise<Table> {
  const columns: Record<string, readonly Measurement[]> = {};
  const caches = contenders.map(({ create }) => create(entries));
  const held = Array.from({ length: entries }, (_, index) => memoryKey(index));
  const supplies = createSupplies(held, context.seed);
  // Strings of its own for each cache: a lookup must compare them with what a request brings.
  for (const cache of caches) {
    for (let index = 0; index < entries; index += 1) cache.set(memoryKey(index), VALUE);
    // Lets Ctrl-C be heard.
    await new Promise((resolve) => setImmediate(resolve));
    context.signal.throwIfAborted();
  }
  for (const [index, { id }] of throughputColumns.entries()) {
    const supply = supplies[id as keyof typeof supplies];
    const batches = contenders.map((contender, at) => batchesOf(contender, caches[at]!, id === "setNew" ? "set" : "get", supply));
    columns[id] = await measureInterleaved(batches, {
      ...planThroughput(context.quick, entries),
      batchMs: 5,
      operations: OPERATIONS,
      baseline: MAP_WRAPPER,
      seed: context.seed,
      signal: context.signal,
      onRound: (done) => context.progress.update(from + (0.4 * (index + done)) / throughputColumns.length, `${entries} entries, ${id}`),
    });
  }
  return {
    id: `memory-${entries}`,
    title: `${entries.toLocaleString("en")} entries, keys of 75 characters`,
    columns: throughputColumns,
    rows: toRows(columns),
    baseline: MAP_WRAPPER,
    unavailable,
    targets: (goals[entries] ?? []).map((goal) => toTarget(goal, columns)),
    notes: ["Default options apart from maxEntries and what a row names."],
  };
}

function toTarget({ contender, column, least }: Goal, columns: Readonly<Record<string, readonly Measurement[]>>): Target {
  const ratio = columns[column]?.find(({ name }) => name === contender)?.cell.ratio ?? 0;
  return { contender, column, text: `>= ${least} of the ${MAP_WRAPPER} (${ratio.toFixed(2)})`, isMet: ratio >= least };
}

async function run(context: ScenarioContext): Promise<ScenarioResult> {
  const { contenders: peers, unavailable } = await loadMemoryPeers(context.peers, context.quick);
  const contenders = [...ownContenders, ...peers];
  const slow = contenders.flatMap(({ name }) => tooSlowWhenLarge(name) ?? []);
  const quickEnough = contenders.filter(({ name }) => !tooSlowWhenLarge(name));
  const missing = [...unavailable, ...slow];
  const tables = [
    await measureThroughput(1_000, contenders, unavailable, context, 0),
    await measureThroughput(100_000, quickEnough, missing, context, 0.4),
    await weighAll(context, missing),
  ];
  const plots = tables.slice(0, 2).map((table) => ratioBars(table, `${table.title}: beside a bare wrapper round Map`));
  return { tables, plots };
}

/** Reads, writes, bytes and pauses of caches in memory. */
export const memoryScenario: Scenario = {
  name: "memory",
  title: "Caches in memory",
  describe:
    "Hits and evicting sets of MemoryCache and its peers, against a bare wrapper round Map; bytes an entry and the longest set at a million entries.",
  tasks: { weigh },
  run,
};
