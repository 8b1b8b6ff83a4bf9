import type { Cell, Plot, Row, Series, Table } from "./scenario.ts";

const measuredOf = (cell: Cell | undefined) => (cell?.kind === "measured" ? cell : undefined);

function seriesOf(row: Row, points: ReadonlyArray<readonly [number, number]>): Series[] {
  return points.length > 0 ? [{ name: row.contender, role: row.role, points }] : [];
}

/** A group of bars a column, a bar a contender: how each stands to the table's baseline. */
export function ratioBars(table: Table, title: string): Plot {
  return {
    id: table.id,
    title,
    kind: "bars",
    xLabel: "",
    yLabel: `ratio to ${table.baseline ?? "the limit"}`,
    labels: table.columns.map((column) => column.title),
    series: table.rows.flatMap((row) => {
      const ratios = table.columns.map(({ id }) => measuredOf(row.cells[id])?.ratio);
      return seriesOf(
        row,
        ratios.flatMap((ratio, index) => (ratio === undefined ? [] : [[index, ratio] as const])),
      );
    }),
  };
}

/** A line a contender over columns that stand for growing sizes. @param xOf the size that a column stands for */
export function linesOverColumns(table: Table, xOf: (column: string) => number, plot: Omit<Plot, "id" | "kind" | "series">): Plot {
  return {
    ...plot,
    id: table.id,
    kind: "line",
    series: table.rows.flatMap((row) =>
      seriesOf(
        row,
        table.columns.flatMap(({ id }) => {
          const median = measuredOf(row.cells[id])?.median;
          return median === undefined ? [] : [[xOf(id), median] as const];
        }),
      ),
    ),
  };
}
