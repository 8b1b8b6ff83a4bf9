import { MemoryCache } from "@larder/cache-memory";
import { singleCell } from "../measure.ts";
import { linesOverColumns } from "../plots.ts";
import { countBeladyHits } from "../policies/belady.ts";
import { peerPolicies } from "../policies/peer-policies.ts";
import { readTraces, synthesizeTraces, type Trace } from "../policies/traces.ts";
import {
  type MeasuredCell,
  type Row,
  type Scenario,
  type ScenarioContext,
  type ScenarioResult,
  ScenarioUnavailable,
  type Table,
  type Target,
} from "../scenario.ts";

const SIZES = [0.001, 0.01, 0.1, 0.3] as const;
/** Smaller caches are all noise. */
const LEAST_ENTRIES = 16;
/** The longest trace that a quick run plays. */
const QUICK_ACCESSES = 60_000;
const OURS = "larder MemoryCache";
const OPTIMUM = "Belady's optimum";
/** Peers that targets are held against: all that are simulated. */
const RIVALS = Object.keys(peerPolicies);
/** The largest share of unique keys at which no trace may be far behind, and by how many points. */
const STRICT_SIZE = 0.1;
const MOST_BEHIND = 3;

/** The class that users get, with default options, read through as users do. */
function playOurs(trace: Trace, names: readonly string[], capacity: number): number {
  const cache = new MemoryCache<number>({ maxEntries: capacity });
  let hits = 0;
  for (const key of trace.keys) {
    if (cache.get(names[key]!) === undefined) cache.set(names[key]!, key);
    else hits += 1;
  }
  cache.close();
  return hits;
}

function playPeer(trace: Trace, name: string, capacity: number): number {
  const policy = peerPolicies[name]!(capacity, trace.universe);
  let hits = 0;
  for (const key of trace.keys) if (policy.access(key)) hits += 1;
  return hits;
}

/** Hit ratios in percent of all contenders on one trace at one size. */
function playAll(trace: Trace, names: readonly string[], capacity: number): Map<string, number> {
  const percent = (hits: number): number => (100 * hits) / trace.keys.length;
  const ratios = new Map([[OURS, percent(playOurs(trace, names, capacity))]]);
  for (const name of Object.keys(peerPolicies)) ratios.set(name, percent(playPeer(trace, name, capacity)));
  ratios.set(OPTIMUM, percent(countBeladyHits(trace.keys, capacity, trace.universe)));
  return ratios;
}

interface Played {
  readonly size: number;
  readonly trace: Trace;
  readonly capacity: number;
  readonly ratios: ReadonlyMap<string, number>;
}

const columnOf = (size: number): string => `${size * 100}%`;
const roleOf = (name: string): Row["role"] => (name === OURS ? "ours" : name === OPTIMUM ? "limit" : "peer");
const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function ratiosAt(played: readonly Played[], size: number, name: string): number[] {
  return played.filter((entry) => entry.size === size).map(({ ratios }) => ratios.get(name)!);
}

function createMeansTable(played: readonly Played[], kind: string): Table {
  const sizes = SIZES.filter((size) => played.some((entry) => entry.size === size));
  const contenders = [OURS, ...Object.keys(peerPolicies), OPTIMUM];
  const rows = contenders.map((name): Row => {
    const cells: Record<string, MeasuredCell> = {};
    for (const size of sizes) cells[columnOf(size)] = singleCell(meanOf(ratiosAt(played, size, name)));
    return { contender: name, role: roleOf(name), cells };
  });
  return {
    id: "hit-ratio",
    title: `Mean hit ratio by size of the cache, ${kind}`,
    columns: sizes.map((size) => {
      const count = played.filter((entry) => entry.size === size).length;
      return { id: columnOf(size), title: `${columnOf(size)} of keys, ${count} traces`, unit: "%", better: "higher" };
    }),
    rows,
    targets: sizes.flatMap((size) => createTargets(played, size)),
    notes: [
      `Sizes are shares of a trace's different keys; caches of fewer than ${LEAST_ENTRIES} entries are left out.`,
      "Ours is the class itself with default options; peers are our own simulations, each held to a naive model, not their authors' code.",
    ],
  };
}

function createTargets(played: readonly Played[], size: number): Target[] {
  const column = columnOf(size);
  const ours = meanOf(ratiosAt(played, size, OURS));
  const best = Math.max(...RIVALS.map((name) => meanOf(ratiosAt(played, size, name))));
  const text = `>= the best peer's mean (${ours.toFixed(2)} against ${best.toFixed(2)})`;
  const targets: Target[] = [{ contender: OURS, column, text, isMet: ours >= best }];
  if (size > STRICT_SIZE) return targets;
  const gaps = played.filter((entry) => entry.size === size).map(({ ratios }) => bestRival(ratios) - ratios.get(OURS)!);
  const worst = Math.max(...gaps);
  targets.push({
    contender: OURS,
    column,
    text: `no trace more than ${MOST_BEHIND} points behind (${worst.toFixed(2)})`,
    isMet: worst <= MOST_BEHIND,
  });
  return targets;
}

function bestRival(ratios: ReadonlyMap<string, number>): number {
  return Math.max(...RIVALS.map((name) => ratios.get(name)!));
}

function createTraceTable(played: readonly Played[]): Table {
  const shown = [OURS, ...RIVALS, OPTIMUM];
  return {
    id: "hit-ratio-traces",
    title: "Hit ratio by trace",
    columns: [
      { id: "entries", title: "entries", unit: "", better: "none" },
      ...shown.map((name) => ({ id: name, title: name, unit: "%", better: "higher" as const })),
    ],
    rows: played.map(({ size, trace, capacity, ratios }) => ({
      contender: `${trace.name}, ${columnOf(size)}`,
      role: "peer",
      cells: {
        entries: singleCell(capacity),
        ...Object.fromEntries(shown.map((name) => [name, singleCell(ratios.get(name)!)])),
      },
    })),
  };
}

function nothingPlayed(given: number, asked: number): ScenarioUnavailable {
  return asked < given
    ? new ScenarioUnavailable(`no trace is as short as a quick run wants it, ${QUICK_ACCESSES} accesses`, "run without --quick")
    : new ScenarioUnavailable(
        `no trace has keys enough for a cache of ${LEAST_ENTRIES} entries`,
        `give some with ${Math.ceil(LEAST_ENTRIES / Math.max(...SIZES))} different keys or more`,
      );
}

async function run(context: ScenarioContext): Promise<ScenarioResult> {
  const accesses = context.quick ? 50_000 : 400_000;
  const isReal = context.tracesFolder !== undefined;
  const all = context.tracesFolder === undefined ? synthesizeTraces(accesses, context.seed) : await readTraces(context.tracesFolder);
  const traces = context.quick ? all.filter((trace) => trace.keys.length <= QUICK_ACCESSES) : all;
  const played: Played[] = [];
  let done = 0;
  for (const trace of traces) {
    const names = Array.from({ length: trace.universe }, (_, key) => `block:${key}`);
    for (const size of SIZES) {
      const capacity = Math.round(trace.universe * size);
      done += 1;
      if (capacity < LEAST_ENTRIES) continue;
      context.signal.throwIfAborted();
      context.progress.update(done / (traces.length * SIZES.length), `${trace.name}, ${columnOf(size)}`);
      played.push({ size, trace, capacity, ratios: playAll(trace, names, capacity) });
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  // Tables without a row would say that all was measured.
  if (played.length === 0) throw nothingPlayed(all.length, traces.length);
  const kind = isReal ? `${traces.length} traces` : `${traces.length} synthetic workloads`;
  const leftOut = all.length - traces.length;
  const notes = isReal
    ? leftOut > 0
      ? [`Left out of a quick run: ${leftOut} of ${all.length} traces, which are longer than ${QUICK_ACCESSES} accesses.`]
      : []
    : ["No folder of traces was given or found: these are synthetic workloads, which flatter policies that rank by frequency."];
  const means = createMeansTable(played, kind);
  const plot = linesOverColumns(means, Number.parseFloat, {
    title: means.title,
    xLabel: "size of the cache, % of the keys",
    yLabel: "hits, %",
    xScale: "log",
  });
  return { tables: [means, createTraceTable(played)], plots: [plot], notes };
}

/** How often what is asked for is there. */
export const hitRatioScenario: Scenario = {
  name: "hit-ratio",
  title: "Hit ratio",
  describe: "MemoryCache itself on cache traces, or synthetic workloads without them, against ten simulated policies and Belady's optimum.",
  run,
};
