import type { RunReport } from "./run-report.ts";
import type { Cell, Column, MeasuredCell, Row, Table } from "./scenario.ts";

/** How one cell moved between two runs. */
export type Movement = "better" | "worse" | "changed" | "level" | "added" | "removed";

/** One cell in both runs. */
export interface CellChange {
  readonly scenario: string;
  readonly table: string;
  readonly contender: string;
  readonly column: Column;
  readonly before: Cell | undefined;
  readonly after: Cell | undefined;
  readonly movement: Movement;
  /**
   * After over before, of the ratio to the limit where both have one, else of the median; `undefined` where that tells nothing: one of them is 0, or they lie
   * to either side of it.
   */
  readonly factor: number | undefined;
  /** The smallest relative change that would have been told from noise. */
  readonly noise: number | undefined;
}

interface PlacedCell {
  readonly scenario: string;
  readonly table: string;
  readonly contender: string;
  readonly column: Column;
  readonly cell: Cell;
  /** What two runs are compared by; absent where the cell has no ratio. */
  readonly ratio: number | undefined;
}

/** Below this nothing is reported: finer than a shared machine can tell. */
const SMALLEST_NOISE = 0.05;
/** Rounds of one run share its luck (where the heap lies, what was compiled when): between runs medians scatter more than within one. */
const FEW_ROUNDS = 30;
const FEW_ROUNDS_NOISE = 0.15;
/** A cell measured once has no spread to judge by. Bytes, shares and counts repeat; a time or a rate taken once tells its magnitude alone. */
const SINGLE_SAMPLE_NOISE = 0.15;
const SINGLE_TIME_NOISE = 1.5;
const TIMED_UNIT = /^(?:us|ms|s)$|\/s$|\/minute$/;

/**
 * A cell's ratio to what no change of ours can move. A table's baseline is mostly such a limit, and its ratios are paired by round. Where
 * it is a contender, it may have become faster itself, which would make all others look slower: then the medians are held to the limit's.
 */
function steadyRatio(table: Table, row: Row, column: string): number | undefined {
  const cell = row.cells[column];
  if (cell?.kind !== "measured" || cell.ratio === undefined) return undefined;
  const baseline = table.rows.find(({ contender }) => contender === table.baseline);
  const limit = table.rows.find(({ role }) => role === "limit")?.cells[column];
  if (baseline === undefined || baseline.role === "limit" || limit?.kind !== "measured") return cell.ratio;
  return cell.median / limit.median;
}

function placeCells(report: RunReport): Map<string, PlacedCell> {
  const placed = new Map<string, PlacedCell>();
  for (const { name: scenario, outcome } of report.scenarios) {
    if (outcome.status !== "measured") continue;
    for (const table of outcome.result.tables) {
      for (const row of table.rows) {
        for (const column of table.columns) {
          const cell = row.cells[column.id];
          const ratio = steadyRatio(table, row, column.id);
          const place = { scenario, table: table.id, contender: row.contender, column };
          if (cell) placed.set(JSON.stringify([scenario, table.id, row.contender, column.id]), { ...place, cell, ratio });
        }
      }
    }
  }
  return placed;
}

/** Half the quartile distance as a share of the median: two of them side by side must be exceeded to count as a change. */
function relativeSpread(cell: MeasuredCell): number {
  const share = Math.abs((cell.high - cell.low) / 2 / cell.median);
  return Number.isFinite(share) ? share : 0;
}

/** The smallest relative change that would be told from noise. */
function noiseOf(before: MeasuredCell, after: MeasuredCell, { unit }: Column): number {
  const rounds = Math.min(before.samples, after.samples);
  if (rounds < 2) return TIMED_UNIT.test(unit) ? SINGLE_TIME_NOISE : SINGLE_SAMPLE_NOISE;
  return Math.max(rounds < FEW_ROUNDS ? FEW_ROUNDS_NOISE : SMALLEST_NOISE, relativeSpread(before) + relativeSpread(after));
}

/** Differences that mean nothing beside 0, by the unit as it begins; other units are counts, where one more is one more. */
const NOTHING: ReadonlyArray<readonly [unit: string, most: number]> = [
  ["MB", 5],
  ["ms", 0.5],
  ["us", 2],
  ["%", 1],
];

function isNearNothing(from: number, to: number, { unit }: Column): boolean {
  const most = NOTHING.find(([start]) => unit.startsWith(start))?.[1] ?? 0;
  return Math.abs(to - from) <= most;
}

interface Ratios {
  readonly before: number | undefined;
  readonly after: number | undefined;
}

function compareMeasured(
  before: MeasuredCell,
  after: MeasuredCell,
  ratios: Ratios,
  column: Column,
): Pick<CellChange, "movement" | "factor" | "noise"> {
  // A ratio to the limit of its own run survives a slower machine; an absolute figure does not.
  const hasRatios = ratios.before !== undefined && ratios.after !== undefined;
  const [from, to] = hasRatios ? [ratios.before ?? 0, ratios.after ?? 0] : [before.median, after.median];
  if (from === to) return { movement: "level", factor: 1, noise: 0 };
  const noise = noiseOf(before, after, column);
  // Where one is nothing, or they lie to either side of it (growth of a heap, a difference of two times), no factor tells how far apart they are.
  const factor = to / from > 0 && Number.isFinite(to / from) ? to / from : undefined;
  const isNoise = factor === undefined ? isNearNothing(from, to, column) : Math.abs(Math.log(factor)) <= Math.log1p(noise);
  if (isNoise) return { movement: "level", factor, noise };
  if (column.better === "none") return { movement: "changed", factor, noise };
  return { movement: to > from === (column.better === "higher") ? "better" : "worse", factor, noise };
}

/** A text without its figures. */
const wordsOf = (text: string): string => text.replaceAll(/[\d.]+/g, "#");

function compareCells(before: Cell, after: Cell, ratios: Ratios, column: Column): Pick<CellChange, "movement" | "factor" | "noise"> {
  const unknown = { factor: undefined, noise: undefined };
  if (before.kind === "measured" && after.kind === "measured") return compareMeasured(before, after, ratios, column);
  if (before.kind === "missing" && after.kind === "missing") return { movement: "level", ...unknown };
  if (before.kind === "text" && after.kind === "text") {
    if (before.verdict !== after.verdict && after.verdict === "bad") return { movement: "worse", ...unknown };
    if (before.verdict !== after.verdict && after.verdict === "good") return { movement: "better", ...unknown };
    // "54 ms" and "53 ms" that keep the same promise say the same; figures that matter are measured cells.
    const isSame = before.verdict === undefined ? before.text === after.text : wordsOf(before.text) === wordsOf(after.text);
    return { movement: isSame ? "level" : "changed", ...unknown };
  }
  return { movement: "changed", ...unknown };
}

/** Every cell of two runs, side by side. */
export function compareReports(before: RunReport, after: RunReport): CellChange[] {
  const old = placeCells(before);
  const current = placeCells(after);
  const changes: CellChange[] = [];
  for (const [key, { cell, ratio, ...place }] of current) {
    const found = old.get(key);
    const former = found?.cell;
    const compared = former
      ? compareCells(former, cell, { before: found?.ratio, after: ratio }, place.column)
      : { movement: "added" as const, factor: undefined, noise: undefined };
    changes.push({ ...place, before: former, after: cell, ...compared });
  }
  for (const [key, { cell, ratio: _ratio, ...place }] of old) {
    if (!current.has(key))
      changes.push({ ...place, before: cell, after: undefined, movement: "removed", factor: undefined, noise: undefined });
  }
  return changes;
}
