import type { QuarantineEntry, SourceReport, SyncEvent, SyncEvents } from "@larder/provider-sync";
import type { Log } from "../telemetry/log.ts";

/** Entries named in one line; `GET /admin/sync/quarantine` has them all. */
const MAX_NAMED = 10;
/** Names come from upstreams. */
const MAX_NAME = 200;

type Lines = { readonly [Name in keyof SyncEvents]?: (log: Log, event: SyncEvents[Name]) => void };

const lines: Lines = {
  "source-finished": (log, { report }) => logSource(log, report),
  "quarantine-added": (log, { entries }) => logHeld(log, entries),
  "snapshot-damaged": (log, { versions }) =>
    log.error({ versions }, "stored versions of the provider catalog are damaged; an older one is used"),
  "mirror-finished": (log, { outcome }) => {
    if (outcome === "failed") log.warn("the provider catalog could not be mirrored to Redis; the next run tries again");
  },
  "run-finished": (log, { report: { outcome, isComplete, models, version, error } }) => {
    const told = { outcome, isComplete, models, version, ...(error !== undefined && { reason: error }) };
    if (outcome === "failed") log.warn(told, "provider sync failed");
    else log.info(told, "provider sync");
  },
  "catalog-stale": (log, { ageMs, isStoreAway }) => {
    const told = { isStoreAway, ...(Number.isFinite(ageMs) && { ageMs }) };
    log.warn(told, "the provider catalog is stale: no complete sync for too long");
  },
  "run-skipped": (log, { reason }) => log.debug({ reason }, "provider sync skipped: another process runs it"),
};

/** Writes down what sync does, and why it does not: a list that is refused for days looks, without a reason, like one that did not change. */
export function logSync(log: Log, event: SyncEvent): void {
  lines[event.type]?.(log, event as never);
}

function logSource(log: Log, { source, role, outcome, reason, detail, rejected }: SourceReport): void {
  const why = { source, role, ...(reason !== undefined && { reason }), ...(detail !== undefined && { detail }) };
  if (outcome === "failed") log.warn(why, "a provider source could not be read; its last good list stays");
  else if (outcome === "refused") log.warn(why, "a provider source's list is not believed; its last good list stays");
  else if (rejected.length > 0) log.info({ source, rejected: rejected.length }, "a provider source listed items that cannot be used");
}

function logHeld(log: Log, entries: readonly QuarantineEntry[]): void {
  const held = entries.slice(0, MAX_NAMED).map((entry) => `${entry.key.slice(0, MAX_NAME)}: ${entry.reason}`);
  log.warn({ count: entries.length, held }, "provider sync holds back what upstreams offer; accept it with POST /admin/sync/accept");
}
