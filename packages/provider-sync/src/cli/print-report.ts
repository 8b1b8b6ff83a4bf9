import type { ModelChange } from "../diff-models.ts";
import type { QuarantineEntry } from "../quarantine.ts";
import type { RunReport } from "../run-report.ts";
import { formatInstant, formatRest, formatTable } from "./print-table.ts";
import { printable } from "./printable.ts";

function formatChanges(changes: readonly ModelChange[], limit: number): string {
  if (changes.length === 0) return "No changes.";
  const rows = changes
    .slice(0, limit)
    .map((change) => [change.id, change.kind, change.field ?? "", change.before ?? "", change.after ?? ""]);
  return `Changes (${changes.length})\n${formatTable(["model", "what", "field", "before", "after"], rows)}${formatRest(changes.length, limit)}`;
}

/** What is held back, as a table with the keys that `accept` takes. */
export function formatQuarantine(entries: readonly QuarantineEntry[], limit: number): string {
  if (entries.length === 0) return "Nothing is held back.";
  const rows = entries
    .slice(0, limit)
    .map((entry) => [
      entry.key,
      entry.reason,
      entry.kept ?? "",
      entry.offered ?? "unreadable",
      formatInstant(entry.since),
      formatInstant(entry.expiresAt) || "by hand",
    ]);
  const header = ["key", "reason", "kept", "offered", "since", "believed from"];
  return `Held back (${entries.length})\n${formatTable(header, rows)}${formatRest(entries.length, limit)}`;
}

function formatSources(report: RunReport): string {
  const rows = report.sources.map((source) => [
    source.source,
    source.role,
    source.outcome,
    source.models,
    source.providers,
    source.rejected.length,
    source.vanished,
    [source.outcome === "refused" && source.reason, source.detail].filter(Boolean).join(": "),
  ]);
  return formatTable(["source", "role", "outcome", "models", "providers", "rejected", "vanished", "why"], rows);
}

/** A run for people: sources, changes, quarantine, and one closing line. */
export function formatReport(report: RunReport, limit: number): string {
  const seconds = ((report.finishedAt - report.startedAt) / 1000).toFixed(1);
  const mirror = report.mirror === "none" ? "" : `, mirror ${report.mirror}`;
  const why = report.error ? `: ${printable(report.error)}` : "";
  const closing = `${report.outcome}${why} - version ${report.version}, ${report.models} models, ${seconds} s${mirror}`;
  return [formatSources(report), formatChanges(report.changes, limit), formatQuarantine(report.quarantine, limit), closing].join("\n\n");
}
