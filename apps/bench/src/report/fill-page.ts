import type { RunReport } from "../run-report.ts";
import { describeRun, findTable, renderMarkdownTable } from "./markdown-report.ts";

const MARKED = /(<!-- bench ([\w-]+)\/([\w-]+) -->\n)[\s\S]*?(<!-- \/bench -->)/g;

/**
 * Puts a run's tables between a page's markers, `<!-- bench SCENARIO/TABLE -->` and `<!-- /bench -->`, each with a line on when and where it
 * was measured. What the run did not measure stays as it is.
 */
export function fillPage(page: string, report: RunReport): string {
  return page.replace(MARKED, (whole: string, opening: string, scenario: string, id: string, closing: string) => {
    const table = findTable(report, scenario, id);
    if (!table) return whole;
    return `${opening}\n${table.title}. ${describeRun(report)}\n\n${renderMarkdownTable(table)}\n\n${closing}`;
  });
}
