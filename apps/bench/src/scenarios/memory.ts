import { createHash } from "node:crypto";
import {
  type BareCache,
  loadMemoryPeers,
  MAP_WRAPPER,
  type MemoryContender,
  OURS,
  OURS_WITH_DIGESTS,
  OURS_WITH_TTL,
  ownContenders,
} from "../contenders/memory-contenders.ts";
import { type BatchContender, type Measurement, measureInterleaved, singleCell, toRows } from "../measure.ts";
import { measureRetained } from "../measure-memory.ts";
import type { Column, Row, Scenario, ScenarioContext, ScenarioResult, Table, Target, UnavailableContender } from "../scenario.ts";
import { createSeededRandom } from "../seeded-random.ts";

/** As a gateway's keys are: `chat:` and model, then the digest. 75 characters in all. */
const PREFIX = "chat:gpt-4o:";
const DIGITS = 63;
const OPERATIONS = 4_000;
const VALUE = { role: "assistant", content: "an answer" };

function digestKey(index: number): string {
  return PREFIX + createHash("sha256").update(String(index)).digest("hex").slice(0, DIGITS);
}

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

/** Keys for one column. A fresh key is a new string whose hash V8 has not computed: what a request brings. */
function createSupplies(entries: number, seed: number): Readonly<Record<"fresh" | "same" | "setNew", Supply>> {
  const random = createSeededRandom(seed);
  const held = Array.from({ length: entries }, (_, index) => digestKey(index));
  const bytes = held.map((key) => Buffer.from(key, "latin1"));
  const pick = (): number => Math.floor(random() * entries);
  let next = entries;
  const fill = (count: number, make: () => string): string[] => Array.from({ length: count }, make);
  return {
    fresh: (count) => fill(count, () => bytes[pick()]!.toString("latin1")),
    same: (count) => fill(count, () => held[pick()]!),
    setNew: (count) =>
      fill(count, () => {
        next += 1;
        return Buffer.from(digestKey(next), "latin1").toString("latin1");
      }),
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

async function measureThroughput(
  entries: number,
  contenders: readonly MemoryContender[],
  unavailable: readonly UnavailableContender[],
  context: ScenarioContext,
  from: number,
): Promise<Table> {
  const columns: Record<string, readonly Measurement[]> = {};
  const caches = contenders.map(({ create }) => create(entries));
  const supplies = createSupplies(entries, context.seed);
  for (const cache of caches) for (let index = 0; index < entries; index += 1) cache.set(digestKey(index), VALUE);
  for (const [index, { id }] of throughputColumns.entries()) {
    const supply = supplies[id as keyof typeof supplies];
    const batches = contenders.map((contender, at): BatchContender => {
      const loop = createLoop(id === "setNew" ? "set" : "get", contender.name);
      let keys: string[] = [];
      return {
        ...contender,
        prepare: (operations) => {
          keys = supply(operations);
        },
        batch: () => loop(caches[at]!, keys, VALUE),
      };
    });
    columns[id] = await measureInterleaved(batches, {
      rounds: context.quick ? 41 : 151,
      batchMs: 5,
      warmUpMs: context.quick ? 100 : 400,
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

/** What one contender weighs and how long its longest call takes. Runs in a process of its own, with the collector at hand. */
export interface Weight {
  readonly fresh: number;
  readonly churned: number;
  readonly longestSetMs: number;
}

function weigh(input: unknown): Weight {
  const { contender, entries } = input as { readonly contender: string; readonly entries: number };
  const made = ownContenders.find(({ name }) => name === contender);
  if (!made) throw new Error(`no contender of its own is called ${contender}`);
  // The first one grows the heap and compiles: its numbers are thrown away.
  fill(made.create(1_000), 0, 2_000);
  const { bytes, built } = measureRetained(() => {
    const cache = made.create(entries);
    fill(cache, 0, entries);
    return cache;
  });
  const { bytes: added, built: longestSetMs } = measureRetained(() => fill(built, entries, 2 * entries));
  return { fresh: bytes / entries, churned: (bytes + added) / entries, longestSetMs };
}

/** Sets keys nobody else holds. @returns the longest call in milliseconds */
function fill(cache: BareCache, from: number, count: number): number {
  let longest = 0;
  for (let index = from; index < from + count; index += 1) {
    const key = Buffer.from(digestKey(index), "latin1").toString("latin1");
    const startedAt = performance.now();
    cache.set(key, VALUE);
    longest = Math.max(longest, performance.now() - startedAt);
  }
  return longest;
}

async function weighAll(entries: number, context: ScenarioContext): Promise<Table> {
  const names = [MAP_WRAPPER, OURS, OURS_WITH_TTL, OURS_WITH_DIGESTS];
  const weights = new Map<string, Weight>();
  for (const [index, contender] of names.entries()) {
    context.progress.update(0.8 + (0.2 * index) / names.length, `bytes of ${contender}`);
    const task = context.runTask<Weight>("weigh", { contender, entries }, { execArgv: ["--expose-gc"], timeoutMs: 300_000 });
    weights.set(contender, await task.result);
  }
  const rows = names.map((name): Row => {
    const { fresh, churned, longestSetMs } = weights.get(name)!;
    const cells = { fresh: singleCell(fresh), churned: singleCell(churned), longest: singleCell(longestSetMs) };
    return { contender: name, role: name === MAP_WRAPPER ? "limit" : "ours", cells };
  });
  const atMost = (contender: string, column: string, value: number, most: number): Target => ({
    contender,
    column,
    text: `<= ${most} (${value.toFixed(1)})`,
    isMet: value <= most,
  });
  const ours = weights.get(OURS)!;
  return {
    id: "memory-weight",
    title: `${entries.toLocaleString("en")} entries: bytes and pauses`,
    columns: [
      { id: "fresh", title: "an entry, just filled", unit: "bytes", better: "lower" },
      { id: "churned", title: "an entry, after twice as many sets", unit: "bytes", better: "lower" },
      { id: "longest", title: "longest set while evicting", unit: "ms", better: "lower" },
    ],
    rows,
    targets: context.quick
      ? []
      : [
          atMost(OURS, "churned", ours.churned, 180),
          atMost(OURS_WITH_DIGESTS, "churned", weights.get(OURS_WITH_DIGESTS)!.churned, 150),
          atMost(OURS, "longest", ours.longestSetMs, 5),
        ],
    notes: [
      "The key's string is counted, the value is one object shared by all. The longest set includes whatever the collector and other programs did meanwhile.",
    ],
  };
}

async function run(context: ScenarioContext): Promise<ScenarioResult> {
  const { contenders: peers, unavailable } = await loadMemoryPeers(context.peers);
  const contenders = [...ownContenders, ...peers];
  const tables = [
    await measureThroughput(1_000, contenders, unavailable, context, 0),
    await measureThroughput(100_000, contenders, unavailable, context, 0.4),
    await weighAll(context.quick ? 100_000 : 1_000_000, context),
  ];
  return { tables };
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
