import type { MaybePromise } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { installContenders } from "../contenders/load-contenders.ts";
import type { ReadThroughCache } from "../contenders/read-through.ts";
import { larder, MAX_ENTRIES } from "../contenders/read-through-larder.ts";
import { readThroughPeers } from "../contenders/read-through-peers.ts";
import { type BatchContender, type Measurement, measureInterleaved, toRows } from "../measure.ts";
import type { Scenario, ScenarioContext, ScenarioResult, Table, Target } from "../scenario.ts";
import { median, pairedRatios } from "../statistics.ts";
import { chatAnswer } from "../workload-values.ts";

const KEYS = 1000;
const VALUE_BYTES = 8192;
const TTL_MS = 3_600_000;
const LIMIT = "raw Map.get";
const MEMORY = "larder MemoryCache.get";

const keyOf = (index: number): string => `chat:gpt-4o-mini:${String(index).padStart(56, "0")}`;
const neverCalled = async (): Promise<never> => {
  throw new Error("a hit must not load");
};

interface Identity {
  readonly role: BatchContender["role"];
  readonly version?: string | undefined;
  readonly note?: string | undefined;
}

/** Awaits only what is a promise: what a hot path does with `MaybePromise`. */
function asHit(name: string, cache: ReadThroughCache, keys: readonly string[], identity: Identity): BatchContender {
  return {
    name,
    ...definedOf(identity),
    batch: async (operations) => {
      let last: unknown;
      for (let index = 0; index < operations; index += 1) {
        const answer: MaybePromise<unknown> = cache.getOrSet(keys[index % KEYS]!, neverCalled);
        last = answer instanceof Promise ? await answer : answer;
      }
      return last;
    },
  };
}

function definedOf(identity: Identity): Pick<BatchContender, "role" | "version" | "note"> {
  const { role, version, note } = identity;
  return { role, ...(version === undefined ? {} : { version }), ...(note === undefined ? {} : { note }) };
}

function syncBatch(name: string, identity: Identity, read: (key: string) => unknown, keys: readonly string[]): BatchContender {
  return {
    name,
    ...definedOf(identity),
    batch: (operations) => {
      let last: unknown;
      for (let index = 0; index < operations; index += 1) last = read(keys[index % KEYS]!);
      return last;
    },
  };
}

async function measureHits(
  contenders: readonly BatchContender[],
  context: ScenarioContext,
  from: number,
  baseline: string,
): Promise<Measurement[]> {
  return measureInterleaved(contenders, {
    rounds: context.quick ? 15 : 60,
    batchMs: context.quick ? 12 : 25,
    baseline,
    seed: context.seed,
    signal: context.signal,
    onRound: (done) => context.progress.update(from + done / 2, "hits in the first tier"),
  });
}

async function run(context: ScenarioContext): Promise<ScenarioResult> {
  const { installed, unavailable } = await installContenders([larder, ...readThroughPeers], context.peers);
  const keys = Array.from({ length: KEYS }, (_, index) => keyOf(index));
  const values = new Map(keys.map((key) => [key, chatAnswer(VALUE_BYTES, key)]));
  // Made as the composition makes its own: what is compared is the composition, not the options.
  const memory = new MemoryCache<unknown>({ maxEntries: MAX_ENTRIES, ttlMs: TTL_MS });
  const again = new MemoryCache<unknown>({ maxEntries: MAX_ENTRIES, ttlMs: TTL_MS });
  for (const [key, value] of values) for (const cache of [memory, again]) cache.set(key, value);
  const caches: Array<{ cache: ReadThroughCache; entry: (typeof installed)[number] }> = [];
  try {
    for (const entry of installed) {
      const cache = await entry.contender.create({ namespace: "bench", ttlMs: TTL_MS }, context.peers);
      caches.push({ cache, entry });
      for (const key of keys) await cache.getOrSet(key, async () => values.get(key));
    }
    const identityOf = ({ contender, version }: (typeof installed)[number]) => ({ role: contender.role, version, note: contender.note });
    const limit = (): BatchContender => syncBatch(LIMIT, { role: "limit" }, (key) => values.get(key), keys);
    const readThrough = await measureHits(
      [limit(), ...caches.map(({ cache, entry }) => asHit(entry.contender.name, cache, keys, identityOf(entry)))],
      context,
      0,
      LIMIT,
    );
    const sync = await measureHits(
      [
        limit(),
        syncBatch(
          MEMORY,
          { role: "limit", note: "the first tier alone, with the composition's own options: the limit of a composition" },
          (key) => memory.get(key),
          keys,
        ),
        syncBatch(`${MEMORY}, again`, { role: "control" }, (key) => again.get(key), keys),
        ...caches.flatMap(({ cache, entry }) =>
          cache.getSync ? [syncBatch(entry.contender.name, identityOf(entry), cache.getSync, keys)] : [],
        ),
      ],
      context,
      0.5,
      MEMORY,
    );
    return { tables: [readThroughTable(readThrough, unavailable), syncTable(sync)] };
  } finally {
    for (const { cache } of caches) await cache.close();
    memory.close();
    again.close();
  }
}

const samplesOf = (measurements: readonly Measurement[], name: string): readonly number[] =>
  measurements.find((measurement) => measurement.name === name)?.samples ?? [];

function readThroughTable(measurements: Measurement[], unavailable: Table["unavailable"]): Table {
  const ratio = median(pairedRatios(samplesOf(measurements, "larder"), samplesOf(measurements, "layered-loader")));
  const text = `level with or ahead of layered-loader (${ratio.toFixed(2)}x)`;
  const targets: Target[] = Number.isNaN(ratio) ? [] : [{ contender: "larder", column: "hit", text, isMet: ratio >= 0.97 }];
  return {
    id: "get-or-set",
    title: "getOrSet, hit in the first tier: 1,000 keys of 73 characters, objects of 8 KB, one caller",
    columns: [{ id: "hit", title: "hits", unit: "ops/s", better: "higher" }],
    rows: toRows({ hit: measurements }),
    baseline: LIMIT,
    targets,
    ...(unavailable ? { unavailable } : {}),
    notes: [
      "Promises are awaited where a library gives one. Instances without Redis: what a hit in memory costs does not depend on it.",
      "Defaults, which differ in what a reader gets: bentocache, cacheable and cache-manager copy the value of 8 KB for each, larder, layered-loader and async-cache-dedupe hand out the one that they hold.",
    ],
  };
}

function syncTable(measurements: Measurement[]): Table {
  const ratio = measurements.find(({ name }) => name === "larder")?.cell.ratio;
  return {
    id: "sync-get",
    title: "The synchronous path through the composition, same keys and objects",
    columns: [{ id: "hit", title: "hits", unit: "ops/s", better: "higher" }],
    rows: toRows({ hit: measurements }),
    baseline: MEMORY,
    targets:
      ratio === undefined
        ? []
        : [{ contender: "larder", column: "hit", text: `>= 0.8 of MemoryCache.get (${ratio.toFixed(2)}x)`, isMet: ratio >= 0.8 }],
  };
}

/** What a hit costs in a composition of tiers, beside its peers. */
export const tieredScenario: Scenario = {
  name: "tiered",
  title: "Composed tiers: a hit in memory through the whole cache",
  describe:
    "What getOrSet costs when the first tier has the value, beside the other read-through caches, against a raw Map and larder's own first tier.",
  run,
};
