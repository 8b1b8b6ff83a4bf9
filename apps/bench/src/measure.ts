import type { MeasuredCell, Role, Row } from "./scenario.ts";
import { createSeededRandom, shuffled } from "./seeded-random.ts";
import { sink } from "./sink.ts";
import { isInside, median, type NoiseFloor, noiseFloor, pairedRatios, spreadOf } from "./statistics.ts";

// How throughput is measured
//
// Contenders are not measured one after the other: on a shared machine whoever runs in the quiet minute wins. Each is calibrated to a
// batch of about `batchMs`, and then every round runs one batch of each, in an order shuffled anew. A round's ratio is taken between
// batches of the same round, so that a slow moment hits both sides, and the row shows the median of those ratios (paired medians).
// What the machine cannot tell apart is shown by a control: a bare wrapper round the baseline. Rows inside its scatter are ties.
//
// Warm-up runs all contenders in turn before anything counts, so that shared call sites are as polymorphic for the first as for the
// last: a contender measured alone gets its calls inlined and looks up to twice as fast as in a program that uses more than one.

/** One contender of a throughput measurement. */
export interface BatchContender {
  readonly name: string;
  readonly role: Role;
  readonly version?: string;
  readonly note?: string;
  /**
   * Does the operation `operations` times. Keep the loop in this function (never a callback per operation), build inputs outside the
   * clock in `prepare`, and return something that depends on every result: it goes into the sink.
   */
  batch(operations: number): unknown | Promise<unknown>;
  /** Called before each batch, outside the clock, with the batch's number of operations. */
  prepare?(operations: number): void | Promise<void>;
}

/** How long and how often. */
export interface InterleavedOptions {
  /** Rounds that count, >= 1. */
  readonly rounds: number;
  /** Target duration of one batch in milliseconds, > 0. 10 to 50 is sensible. */
  readonly batchMs: number;
  /** Milliseconds each contender runs before anything counts. @default 4 * batchMs */
  readonly warmUpMs?: number;
  /** Fixed number of operations for every batch instead of the calibrated one. Needed where the work depends on the count. @default calibrated */
  readonly operations?: number;
  /** Contender whose batches are the denominator. Absent: no ratios, no ties. */
  readonly baseline?: string;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Called after each round with the share done, 0 to 1. @default nobody */
  readonly onRound?: (done: number) => void;
}

/** What one contender did. */
export interface Measurement {
  readonly name: string;
  readonly role: Role;
  readonly version: string | undefined;
  readonly note: string | undefined;
  /** Operations per second, one a round. Rounds of all contenders are paired by index. */
  readonly samples: readonly number[];
  readonly cell: MeasuredCell;
}

interface Calibrated {
  readonly contender: BatchContender;
  readonly operations: number;
  readonly samples: number[];
}

/** Runs one batch. @returns milliseconds */
async function timeBatch(contender: BatchContender, operations: number): Promise<number> {
  // Asking before awaiting keeps a synchronous batch free of a turn of the event loop inside the clock.
  const preparing = contender.prepare?.(operations);
  if (preparing instanceof Promise) await preparing;
  const startedAt = performance.now();
  const result = contender.batch(operations);
  const value = result instanceof Promise ? await result : result;
  const elapsedMs = performance.now() - startedAt;
  sink.swallow(value);
  return elapsedMs;
}

/** Grows the batch until it lasts about `batchMs`. */
async function calibrate(contender: BatchContender, batchMs: number): Promise<number> {
  let operations = 1;
  while (true) {
    const elapsedMs = await timeBatch(contender, operations);
    if (elapsedMs >= batchMs / 2 || operations >= 1e9) return Math.max(1, Math.round((operations * batchMs) / Math.max(elapsedMs, 0.001)));
    operations *= elapsedMs < batchMs / 20 ? 10 : 2;
  }
}

async function warmUp(calibrated: readonly Calibrated[], batchMs: number, warmUpMs: number, signal: AbortSignal): Promise<void> {
  const turns = Math.max(1, Math.round(warmUpMs / batchMs));
  for (let turn = 0; turn < turns; turn += 1) {
    for (const { contender, operations } of calibrated) {
      signal.throwIfAborted();
      await timeBatch(contender, operations);
    }
  }
}

/** Measures operations per second of all contenders side by side, as told at the top of this file. */
export async function measureInterleaved(contenders: readonly BatchContender[], options: InterleavedOptions): Promise<Measurement[]> {
  const { rounds, batchMs, warmUpMs = 4 * batchMs, seed, signal } = options;
  const random = createSeededRandom(seed);
  const calibrated: Calibrated[] = [];
  for (const contender of contenders) {
    signal.throwIfAborted();
    const operations = options.operations ?? (await calibrate(contender, batchMs));
    calibrated.push({ contender, operations, samples: [] });
  }
  await warmUp(calibrated, batchMs, warmUpMs, signal);
  // The first calibration saw cold code: repeat it, now that every contender is compiled.
  const warm: Calibrated[] = [];
  for (const { contender, operations } of calibrated) {
    warm.push({ contender, operations: options.operations === undefined ? await calibrate(contender, batchMs) : operations, samples: [] });
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const { contender, operations, samples } of shuffled(warm, random)) {
      signal.throwIfAborted();
      samples.push((operations * 1000) / Math.max(await timeBatch(contender, operations), 1e-6));
    }
    options.onRound?.((round + 1) / rounds);
    // Lets signals, timers and the terminal have their turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return toMeasurements(
    warm.map(({ contender, samples }) => ({ contender, samples })),
    options.baseline,
  );
}

/** A contender's identity, as far as a row shows it. */
export type Named = Pick<BatchContender, "name" | "role" | "version" | "note">;

/**
 * Turns paired samples (one a round, any unit) into cells with medians, ratios to the baseline and ties. For scenarios that time by
 * themselves: latencies, hit ratios over traces, bytes.
 */
export function toMeasurements(
  sampled: ReadonlyArray<{ readonly contender: Named; readonly samples: readonly number[] }>,
  baseline: string | undefined,
): Measurement[] {
  const base = sampled.find(({ contender }) => contender.name === baseline)?.samples;
  const controls = sampled.filter(({ contender }) => contender.role === "control");
  const floor = base && controls.length > 0 ? noiseFloor(controls.flatMap(({ samples }) => pairedRatios(samples, base))) : undefined;
  return sampled.map(({ contender, samples }) => ({
    name: contender.name,
    role: contender.role,
    version: contender.version,
    note: contender.note,
    samples,
    cell: toCell(samples, base, floor),
  }));
}

function toCell(samples: readonly number[], base: readonly number[] | undefined, floor: NoiseFloor | undefined): MeasuredCell {
  const spread = spreadOf(samples);
  if (!base) return { kind: "measured", ...spread };
  const ratio = median(pairedRatios(samples, base));
  return { kind: "measured", ...spread, ratio, ...(floor ? { isTie: isInside(floor, ratio) } : {}) };
}

/** A single figure without rounds, for example a count of loads. */
export function singleCell(value: number, note?: string): MeasuredCell {
  return { kind: "measured", median: value, low: value, high: value, samples: 1, ...(note === undefined ? {} : { note }) };
}

/** Joins the measurements of several columns into rows: one row per contender, in the order of first appearance. */
export function toRows(columns: Readonly<Record<string, readonly Measurement[]>>): Row[] {
  const rows = new Map<string, { role: Role; version?: string; note?: string; cells: Record<string, MeasuredCell> }>();
  for (const [column, measurements] of Object.entries(columns)) {
    for (const { name, role, version, note, cell } of measurements) {
      const row = rows.get(name) ?? {
        role,
        ...(version === undefined ? {} : { version }),
        ...(note === undefined ? {} : { note }),
        cells: {},
      };
      row.cells[column] = cell;
      rows.set(name, row);
    }
  }
  return [...rows].map(([contender, row]) => ({ contender, ...row }));
}
