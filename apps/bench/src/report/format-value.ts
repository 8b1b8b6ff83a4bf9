import type { Cell, MeasuredCell, Table, Target } from "../scenario.ts";

const MAGNITUDES: ReadonlyArray<readonly [number, string]> = [
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

/** Two or three significant digits, without an exponent down to a millionth. */
function significant(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 100 || Number.isInteger(value)) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  if (size >= 1) return value.toFixed(2);
  if (size >= 0.1) return value.toFixed(3);
  return size >= 1e-6 ? value.toPrecision(2) : value.toExponential(1);
}

/** A figure as a person reads it: `12.4M`, `0.231`, `57.3`. Units that are not counts a second keep their thousands. */
export function formatValue(value: number, unit: string): string {
  // Files of earlier releases hold `null` for a figure that was none.
  if (!Number.isFinite(value)) return value === Number.POSITIVE_INFINITY ? "∞" : "n/a";
  const isRate = unit.endsWith("/s") || unit === "";
  const magnitude = isRate
    ? MAGNITUDES.find(([from]) => Math.abs(value) >= from * 10 || (from >= 1e6 && Math.abs(value) >= from))
    : undefined;
  return magnitude ? significant(value / magnitude[0]) + magnitude[1] : significant(value);
}

/** `0.97x`. */
export function formatRatio(ratio: number): string {
  if (!Number.isFinite(ratio)) return "n/a";
  if (ratio < 0.1) return `${significant(ratio)}x`;
  return `${ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2)}x`;
}

/** Half the distance between the quartiles, as a share of the median: `±3%`. Empty for a single sample. */
export function formatSpread(cell: MeasuredCell): string {
  const share = spreadOf(cell);
  return share === undefined ? "" : `±${Math.round(share * 100)}%`;
}

/** Half the distance between the quartiles, as a share of the median; `undefined` for a single measurement. */
export function spreadOf(cell: MeasuredCell): number | undefined {
  if (cell.samples < 2 || cell.median === 0) return undefined;
  const share = Math.abs((cell.high - cell.low) / 2 / cell.median);
  return Number.isFinite(share) ? share : undefined;
}

/** `≈` behind a ratio that the noise floor cannot tell from 1. */
export function tieMark(cell: MeasuredCell): string {
  return cell.isTie ? "≈" : "";
}

/** The whole cell in one line, for tables of text. */
export function formatCell(cell: Cell | undefined, unit: string): string {
  if (!cell) return "";
  if (cell.kind === "text") return cell.text;
  if (cell.kind === "missing") return "–";
  const ratio = cell.ratio === undefined ? "" : ` ${formatRatio(cell.ratio)}${tieMark(cell)}`;
  return `${formatValue(cell.median, unit)}${ratio}`;
}

/** `1:05`, `0:07`, `1:02:03`. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1000));
  const two = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** A target by the column's title, as a reader of the table sees it. */
export function describeTarget(table: Table, { contender, column, text }: Target): string {
  const title = table.columns.find(({ id }) => id === column)?.title ?? column;
  return `${contender}, ${title}: ${text}`;
}

/** Why cells of a table are empty, one sentence for each: a dash alone says nothing on paper or on a phone. */
export function describeMissing(table: Table): string[] {
  return table.rows.flatMap((row) =>
    table.columns.flatMap(({ id, title }) => {
      const cell = row.cells[id];
      return cell?.kind === "missing" ? [`– ${row.contender}, ${title}: ${cell.why}`] : [];
    }),
  );
}

/** What was remarked on single figures, such as how many got no answer: a figure without it says more than was measured. */
export function describeRemarks(table: Table): string[] {
  return table.rows.flatMap((row) =>
    table.columns.flatMap(({ id, title }) => {
      const cell = row.cells[id];
      return cell?.kind === "measured" && cell.note !== undefined ? [`${row.contender}, ${title}: ${cell.note}`] : [];
    }),
  );
}
