import type { Cell, Column, Row, Table, Target } from "../scenario.ts";
import { describeMissing, describeRemarks, describeTarget, formatRatio, formatSpread, formatValue, tieMark } from "./format-value.ts";
import type { TerminalStyle } from "./terminal-style.ts";

/** The parts of a cell that are aligned by themselves. */
interface CellParts {
  readonly value: string;
  readonly spread: string;
  readonly ratio: string;
  readonly verdict: "good" | "bad" | "neutral";
}

interface LaidOutColumn {
  readonly column: Column;
  /** One line, or several where the terminal is narrow. */
  readonly heading: readonly string[];
  readonly cells: readonly CellParts[];
  readonly widths: { readonly value: number; readonly spread: number; readonly ratio: number };
  readonly width: number;
  /** Words stand on the left, figures on the right. */
  readonly isText: boolean;
}

const GAP = "  ";

function partsOf(cell: Cell | undefined, column: Column): CellParts {
  if (!cell) return { value: "", spread: "", ratio: "", verdict: "neutral" };
  if (cell.kind === "text") return { value: cell.text, spread: "", ratio: "", verdict: cell.verdict ?? "neutral" };
  if (cell.kind === "missing") return { value: "–", spread: "", ratio: "", verdict: "neutral" };
  const ratio = cell.ratio === undefined ? "" : formatRatio(cell.ratio) + (tieMark(cell) || " ");
  return { value: formatValue(cell.median, column.unit), spread: formatSpread(cell), ratio, verdict: "neutral" };
}

/** Width as a terminal counts it: one column a character, none for what joins or follows another. */
function widthOf(text: string): number {
  return [...text].length;
}

const longest = (texts: readonly string[]): number => Math.max(0, ...texts.map(widthOf));
const left = (text: string, width: number): string => text + " ".repeat(Math.max(0, width - widthOf(text)));
const right = (text: string, width: number): string => " ".repeat(Math.max(0, width - widthOf(text))) + text;

/** Breaks a text at spaces into lines of at most `width`, or longer where a word is. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && widthOf(last) + 1 + widthOf(word) <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** How much of a column a narrow terminal is spared. */
interface Narrowing {
  readonly hasSpread: boolean;
  readonly isHeadingWrapped: boolean;
}

/** Lines of a heading are not made shorter than this for the sake of narrow figures: three words a line read better than one. */
const LEAST_HEADING_WIDTH = 12;

function layOut(column: Column, rows: readonly Row[], { hasSpread, isHeadingWrapped }: Narrowing): LaidOutColumn {
  const cells = rows.map((row) => {
    const parts = partsOf(row.cells[column.id], column);
    return hasSpread ? parts : { ...parts, spread: "" };
  });
  const widths = {
    value: longest(cells.map((cell) => cell.value)),
    spread: longest(cells.map((cell) => cell.spread)),
    ratio: longest(cells.map((cell) => cell.ratio)),
  };
  const inner = [widths.value, widths.spread, widths.ratio].filter((width) => width > 0).reduce((sum, width) => sum + width + 1, -1);
  const title = column.unit ? `${column.title} [${column.unit}]` : column.title;
  const heading = isHeadingWrapped ? wrapText(title, Math.max(inner, LEAST_HEADING_WIDTH)) : [title];
  const isText = !rows.some((row) => row.cells[column.id]?.kind === "measured");
  return { column, heading, cells, widths, width: Math.max(longest(heading), inner), isText };
}

function renderParts(parts: CellParts, { widths, width, isText }: LaidOutColumn, style: TerminalStyle): string {
  if (widths.spread === 0 && widths.ratio === 0) {
    const padded = isText ? left(parts.value, width) : right(parts.value, width);
    return parts.verdict === "good" ? style.good(padded) : parts.verdict === "bad" ? style.bad(padded) : padded;
  }
  const pieces = [right(parts.value, widths.value)];
  if (widths.spread > 0) pieces.push(style.dim(right(parts.spread, widths.spread)));
  if (widths.ratio > 0) pieces.push(right(parts.ratio, widths.ratio));
  const used = [widths.value, widths.spread, widths.ratio].filter((part) => part > 0).reduce((sum, part) => sum + part + 1, -1);
  return " ".repeat(Math.max(0, width - used)) + pieces.join(" ");
}

/** Puts as many columns side by side as fit, the rest below. */
function intoBlocks(columns: readonly LaidOutColumn[], nameWidth: number, width: number): LaidOutColumn[][] {
  const blocks: LaidOutColumn[][] = [[]];
  let used = nameWidth;
  for (const column of columns) {
    const block = blocks.at(-1)!;
    if (block.length > 0 && used + GAP.length + column.width > width) {
      blocks.push([column]);
      used = nameWidth + GAP.length + column.width;
    } else {
      block.push(column);
      used += GAP.length + column.width;
    }
  }
  return blocks;
}

const nameOf = (row: Row): string => (row.version ? `${row.contender} ${row.version}` : row.contender);

function renderBlock(table: Table, block: readonly LaidOutColumn[], nameWidth: number, style: TerminalStyle): string[] {
  const height = Math.max(...block.map(({ heading }) => heading.length));
  const headings = Array.from({ length: height }, (_, line) =>
    // The last line of every heading stands just above the figures.
    [
      left("", nameWidth),
      ...block.map(({ heading, width, isText }) => (isText ? left : right)(heading[line - height + heading.length] ?? "", width)),
    ]
      .join(GAP)
      .trimEnd(),
  );
  const lines = table.rows.map((row, index) => {
    const name = left(nameOf(row), nameWidth);
    const painted = row.role === "ours" ? style.ours(name) : row.role === "control" || row.role === "limit" ? style.dim(name) : name;
    return [painted, ...block.map((column) => renderParts(column.cells[index]!, column, style))].join(GAP).trimEnd();
  });
  return [...headings.map(style.dim), ...lines];
}

/** What stands under a table: its rows' remarks, who could not take part, the figures asked for, the notes. */
function footnotes(table: Table, style: TerminalStyle): string[] {
  return [
    ...(table.baseline
      ? [`x = ratio to ${table.baseline}${hasTies(table) ? "; ≈ = inside the noise floor that the control row shows" : ""}`]
      : []),
    ...table.rows.flatMap((row) => (row.note ? [`${row.contender}: ${row.note}`] : [])),
    ...describeMissing(table),
    ...describeRemarks(table),
    ...(table.unavailable ?? []).map(({ contender, why, install }) => `not measured: ${contender}, ${why}; ${install}`),
    ...(table.notes ?? []),
  ]
    .flatMap((line) => indented(line, style).map(style.dim))
    .concat((table.targets ?? []).flatMap((target) => renderTarget(table, target, style)));
}

/** A remark under a table, its further lines indented a little more. */
function indented(line: string, { width }: TerminalStyle): string[] {
  return wrapText(line, width - 4).map((part, index) => `${index === 0 ? "  " : "    "}${part}`);
}

function hasTies(table: Table): boolean {
  return table.rows.some((row) => Object.values(row.cells).some((cell) => cell.kind === "measured" && cell.isTie));
}

function renderTarget(table: Table, target: Target, style: TerminalStyle): string[] {
  const lines = indented(`${target.isMet ? "reached" : "not reached"}: ${describeTarget(table, target)}`, style);
  return lines.map(target.isMet ? style.good : style.bad);
}

const NO_SPREADS = "± has no room in so narrow a terminal: --html and --json have it";

/** Widest first. */
const NARROWINGS: readonly Narrowing[] = [
  { hasSpread: true, isHeadingWrapped: false },
  { hasSpread: true, isHeadingWrapped: true },
  { hasSpread: false, isHeadingWrapped: true },
];

/**
 * A table in aligned text, as wide as the terminal and no wider: headings wrap first, then columns move below. Spreads go last, and not unsaid:
 * without its noise a figure says more than was measured.
 */
export function renderTextTable(table: Table, style: TerminalStyle): string {
  const nameWidth = longest(table.rows.map(nameOf));
  const [open, wrapped, bare] = NARROWINGS.map((narrowing) => table.columns.map((column) => layOut(column, table.rows, narrowing)));
  const widthOfAll = (columns: readonly LaidOutColumn[]): number => columns.reduce((sum, { width }) => sum + GAP.length + width, nameWidth);
  const fitsAlone = (column: LaidOutColumn): boolean => widthOfAll([column]) <= style.width;
  const columns = widthOfAll(open!) <= style.width ? open! : wrapped!.every(fitsAlone) ? wrapped! : bare!;
  const blocks = intoBlocks(columns, nameWidth, style.width);
  const lines = blocks.flatMap((block, index) => [...(index > 0 ? [""] : []), ...renderBlock(table, block, nameWidth, style)]);
  const unsaid = columns === bare && wrapped!.some(({ widths }) => widths.spread > 0) ? indented(NO_SPREADS, style).map(style.dim) : [];
  return [...wrapText(table.title, style.width).map(style.bold), ...lines, ...unsaid, ...footnotes(table, style)].join("\n");
}
