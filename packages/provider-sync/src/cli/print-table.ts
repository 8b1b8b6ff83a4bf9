import { printable } from "./printable.ts";

/** Columns of text, aligned; numbers to the right. Cells come from upstreams, so nothing in them reaches the terminal but text. */
export function formatTable(header: readonly string[], rows: ReadonlyArray<ReadonlyArray<string | number>>): string {
  const text = rows.map((row) => row.map((cell) => printable(String(cell))));
  const widths = header.map((title, column) => Math.max(title.length, ...text.map((row) => row[column]?.length ?? 0)));
  const isNumeric = header.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === "number"));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (isNumeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...text.map(line)].join("\n");
}

/** An instant for people. */
export function formatInstant(at: number | undefined): string {
  return at === undefined ? "" : new Date(at).toISOString().slice(0, 16).replace("T", " ");
}

/** What is beyond the limit, in words. */
export function formatRest(total: number, limit: number): string {
  return total > limit ? `\n… ${total - limit} more (--limit)` : "";
}
