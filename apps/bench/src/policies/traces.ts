import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { ScenarioUnavailable } from "../scenario.ts";
import { createSeededRandom } from "../seeded-random.ts";

/** A sequence of accesses; keys are dense integers from 0. */
export interface Trace {
  readonly name: string;
  readonly keys: Int32Array;
  /** How many different keys there are. */
  readonly universe: number;
}

const ENDING = ".txt.gz";

/** The names of a folder's traces; none where there is no such folder. */
export async function traceNames(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(ENDING)).sort();
}

/** Reads every `*.txt.gz` of a folder: one key a line, whatever it looks like. @throws {ScenarioUnavailable} naming the one that is no gzip */
export async function readTraces(folder: string): Promise<Trace[]> {
  return Promise.all(
    (await traceNames(folder)).map(async (name) => {
      const packed = await readFile(join(folder, name));
      return toTrace(name.slice(0, -ENDING.length), unpack(name, packed).split("\n").filter(Boolean));
    }),
  );
}

function unpack(name: string, packed: Buffer): string {
  try {
    return gunzipSync(packed).toString();
  } catch {
    throw new ScenarioUnavailable(`the trace ${name} is no gzip, or not a whole one`, "compress it again with gzip, or take it away");
  }
}

function toTrace(name: string, keys: readonly string[]): Trace {
  const numbers = new Map<string, number>();
  const dense = Int32Array.from(keys, (key) => {
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, numbers.size);
    return numbers.size - 1;
  });
  return { name, keys: dense, universe: numbers.size };
}

/** Workloads for where no traces are at hand: popularity by Zipf's law, the same broken by scans, and popularity that drifts. */
export function synthesizeTraces(accesses: number, seed: number): Trace[] {
  const random = createSeededRandom(seed);
  const zipf = createZipf(20_000, 0.9, random);
  const steady = Array.from({ length: accesses }, () => zipf());
  const scanned = Array.from({ length: accesses }, (_, index) => (index % 20_000 < 5_000 ? `scan:${index}` : String(zipf())));
  const drifting = Array.from({ length: accesses }, (_, index) => `${zipf() + Math.floor(index / 20)}`);
  return [
    toTrace("synthetic zipf 0.9", steady.map(String)),
    toTrace("synthetic zipf with scans", scanned),
    toTrace("synthetic drift", drifting),
  ];
}

function createZipf(universe: number, skew: number, random: () => number): () => number {
  const cumulative = new Float64Array(universe);
  let total = 0;
  for (let rank = 0; rank < universe; rank += 1) {
    total += 1 / (rank + 1) ** skew;
    cumulative[rank] = total;
  }
  return () => {
    const wanted = random() * total;
    let low = 0;
    let high = universe - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
