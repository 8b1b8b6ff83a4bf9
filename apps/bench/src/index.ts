// For those who read results or fill documents from them.
export type { CellChange, Movement } from "./compare-reports.ts";
export { compareReports } from "./compare-reports.ts";
export { describeRun, findTable, renderMarkdownReport, renderMarkdownTable } from "./report/markdown-report.ts";
export type { Outcome, RunReport, ScenarioReport } from "./run-report.ts";
export { parseRunReport } from "./run-report.ts";
export type {
  Cell,
  Column,
  MeasuredCell,
  MissingCell,
  Plot,
  Role,
  Row,
  ScenarioResult,
  Series,
  Table,
  Target,
  TextCell,
  UnavailableContender,
} from "./scenario.ts";
