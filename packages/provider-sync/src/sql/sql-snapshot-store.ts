import { CacheError, type Clock, checkCount, type OptionNames, type RandomSource, systemClock, systemRandom } from "@larder/cache-core";
import type { ModelChange } from "../diff-models.ts";
import { latestPlausible } from "../latest-plausible.ts";
import { emptyPulse, type Pulse } from "../pulse.ts";
import type { RunReport } from "../run-report.ts";
import { emptyContent, type Snapshot, type SnapshotHead, type SnapshotReason } from "../snapshot.ts";
import { decodeContent } from "../snapshot-codec.ts";
import type {
  CommitInput,
  CommitResult,
  CurrentHead,
  NewVersion,
  RawBody,
  RecordedChange,
  SnapshotStore,
  SyncState,
} from "../snapshot-store.ts";
import { migrate, readMeta, writeMeta } from "./migrations.ts";
import { insertBodies, packBodies, pruneBodies, selectBodies, selectLastBody } from "./raw-bodies.ts";
import type { SqlDatabase, SqlQuery, SqlRow } from "./sql-database.ts";

/** What a store keeps. */
export interface RetentionOptions {
  /** Versions kept with their content, for rollback. Integer >= 1. @default 50 */
  readonly keepVersions?: number;
  /** Versions whose changes are kept. Integer >= 1. @default 2000 */
  readonly keepChanges?: number;
  /** Run reports kept. Integer >= 1. @default 200 */
  readonly keepRuns?: number;
  /** Runs whose raw bodies are kept, compressed. Integer >= 1: the last ones serve conditional requests. @default 5 */
  readonly keepRawRuns?: number;
  /** @default the machine's */
  readonly clock?: Clock;
  /** @default the machine's */
  readonly random?: RandomSource;
}

/** Their names. */
export const RETENTION_OPTIONS: OptionNames<RetentionOptions> = {
  keepVersions: true,
  keepChanges: true,
  keepRuns: true,
  keepRawRuns: true,
  clock: true,
  random: true,
};

const HEAD = "version, created_at, digest, reason, model_count";
/** Changes of one insert: databases bound the number of parameters. */
const CHANGES_PER_INSERT = 100;

/** Changes and quarantine entries that a run's report keeps: the tables have them all. */
const TOLD_PER_RUN = 100;

/** Milliseconds that an instant may lie ahead of this machine's clock as skew between machines; further ahead the writing clock was wrong. */
const MAX_SKEW_MS = 3_600_000;

/** A backend's error without what it may quote: statements carry values. */
function backendError(error: unknown): CacheError {
  if (CacheError.is(error)) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  const told = typeof code === "string" ? code : typeof message === "string" ? message.split("\n")[0]?.slice(0, 120) : "unknown error";
  return new CacheError("ERR_CACHE_BACKEND", `the catalog's database failed: ${told}`);
}

/** How many rows are asked for: databases differ in what they make of less than none, and of half a row. `Infinity` = all. */
function checkLimit(limit: number): number {
  return limit === Number.POSITIVE_INFINITY ? Number.MAX_SAFE_INTEGER : checkCount("limit", limit, 0);
}

/** The store over SQL. One class for SQLite and PostgreSQL: what differs is in their `SqlDatabase`. */
export class SqlSnapshotStore implements SnapshotStore {
  readonly name: string;
  readonly #database: SqlDatabase;
  readonly #lineage: string;
  readonly #clock: Clock;
  readonly #keep: { readonly versions: number; readonly changes: number; readonly runs: number; readonly rawRuns: number };
  #isClosed = false;

  private constructor(database: SqlDatabase, lineage: string, options: RetentionOptions) {
    this.name = database.dialect;
    this.#database = database;
    this.#lineage = lineage;
    this.#clock = options.clock ?? systemClock;
    this.#keep = {
      versions: checkCount("keepVersions", options.keepVersions ?? 50),
      changes: checkCount("keepChanges", options.keepChanges ?? 2000),
      runs: checkCount("keepRuns", options.keepRuns ?? 200),
      rawRuns: checkCount("keepRawRuns", options.keepRawRuns ?? 5),
    };
  }

  /** Migrates the schema and opens the store. @throws {CacheError} ERR_CACHE_BACKEND when the database is away */
  static async open(database: SqlDatabase, options: RetentionOptions = {}): Promise<SqlSnapshotStore> {
    const { clock = systemClock, random = systemRandom } = options;
    // A later store's lineage is greater: mirrors prefer it.
    const newLineage = (): string => `${String(clock.wallNow()).padStart(15, "0")}-${random.token()}`;
    try {
      return new SqlSnapshotStore(database, await migrate(database, newLineage), options);
    } catch (error) {
      await database.close();
      throw backendError(error);
    }
  }

  async head(): Promise<CurrentHead | undefined> {
    return this.#guarded(async () => {
      const [row] = await this.#database.query(`SELECT ${HEAD} FROM larder_sync_snapshots ORDER BY version DESC LIMIT 1`);
      return row && this.#toCurrent(this.#toHead(row), await this.#pulse(this.#database.query));
    });
  }

  async latest(): Promise<(Snapshot & CurrentHead) | undefined> {
    return this.#guarded(async () => {
      const { snapshot } = await this.#newestReadable(this.#database.query);
      return snapshot && this.#toCurrent(snapshot, await this.#pulse(this.#database.query));
    });
  }

  async state(): Promise<SyncState> {
    return this.#guarded(async () => {
      // The pulse first: when a commit comes in between, its revision is the older one and our own commit is a conflict.
      const pulse = await this.#pulse(this.#database.query);
      const { head, snapshot, damaged } = await this.#newestReadable(this.#database.query);
      return { head, content: snapshot?.content ?? emptyContent, pulse, damaged };
    });
  }

  pulse(): Promise<Pulse> {
    return this.#guarded(() => this.#pulse(this.#database.query));
  }

  async commit(input: CommitInput): Promise<CommitResult> {
    return this.#guarded(async () => {
      const packed = await packBodies(input.rawBodies);
      return this.#database.transaction(async (query) => {
        const [top] = await query(`SELECT ${HEAD} FROM larder_sync_snapshots ORDER BY version DESC LIMIT 1`);
        const { revision } = await this.#pulse(query);
        const version = top ? Number(top.version) : 0;
        if (version !== input.basedOn.version || revision !== input.basedOn.revision) return { outcome: "conflict" };
        const head = input.next ? await this.#insertVersion(query, version + 1, input.next) : top && this.#toHead(top);
        await insertBodies(query, input.runId, packed, this.#clock.wallNow());
        if (packed.length > 0) await pruneBodies(query, this.#keep.rawRuns);
        await writeMeta(query, "pulse", JSON.stringify({ ...input.pulse, revision: revision + 1 }));
        return { outcome: "committed", head };
      });
    });
  }

  async read(version: number): Promise<Snapshot | undefined> {
    return this.#guarded(async () => {
      // Databases differ in what they make of other numbers.
      if (!Number.isSafeInteger(version)) return undefined;
      const [row] = await this.#database.query(`SELECT ${HEAD}, body FROM larder_sync_snapshots WHERE version = ?`, [version]);
      return row && this.#toSnapshot(row);
    });
  }

  async history(limit = 20): Promise<SnapshotHead[]> {
    return this.#guarded(async () => {
      const rows = await this.#database.query(`SELECT ${HEAD} FROM larder_sync_snapshots ORDER BY version DESC LIMIT ?`, [
        checkLimit(limit),
      ]);
      return rows.map((row) => this.#toHead(row));
    });
  }

  async changes(filter: { readonly version?: number; readonly id?: string; readonly limit?: number } = {}): Promise<RecordedChange[]> {
    const { version, id, limit = 1000 } = filter;
    const conditions = [...(version === undefined ? [] : ["version = ?"]), ...(id === undefined ? [] : ["model_id = ?"])];
    const parameters = [...(version === undefined ? [] : [version]), ...(id === undefined ? [] : [id.toLowerCase()]), checkLimit(limit)];
    const where = conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : "";
    const statement = `SELECT version, created_at, change FROM larder_sync_changes ${where} ORDER BY version DESC, position LIMIT ?`;
    const rows = await this.#guarded(() => this.#database.query(statement, parameters));
    return rows.map((row) => ({
      version: Number(row.version),
      createdAt: Number(row.created_at),
      ...(JSON.parse(String(row.change)) as ModelChange),
    }));
  }

  async recordRun(report: RunReport): Promise<void> {
    const kept = { ...report, changes: report.changes.slice(0, TOLD_PER_RUN), quarantine: report.quarantine.slice(0, TOLD_PER_RUN) };
    await this.#guarded(() =>
      this.#database.transaction(async (query) => {
        // A run noted by a clock that was ahead would be the last one, and outlive all later ones, until that time has come.
        await query("UPDATE larder_sync_runs SET started_at = ? WHERE started_at > ?", [report.startedAt - 1, report.finishedAt]);
        await query(
          "INSERT INTO larder_sync_runs (id, started_at, report) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET report = excluded.report",
          [report.id, report.startedAt, JSON.stringify(kept)],
        );
        await query("DELETE FROM larder_sync_runs WHERE id NOT IN (SELECT id FROM larder_sync_runs ORDER BY started_at DESC, id LIMIT ?)", [
          this.#keep.runs,
        ]);
      }),
    );
  }

  async runs(limit = 20): Promise<RunReport[]> {
    const rows = await this.#guarded(() =>
      this.#database.query("SELECT report FROM larder_sync_runs ORDER BY started_at DESC, id LIMIT ?", [checkLimit(limit)]),
    );
    return rows.map((row) => JSON.parse(String(row.report)) as RunReport);
  }

  lastBody(source: string, url: string): Promise<RawBody | undefined> {
    return this.#guarded(() => selectLastBody(this.#database.query, source, url));
  }

  rawBodies(runId: string): Promise<RawBody[]> {
    return this.#guarded(() => selectBodies(this.#database.query, runId));
  }

  async alertedAt(name: string): Promise<number | undefined> {
    const [row] = await this.#guarded(() => this.#database.query("SELECT sent_at FROM larder_sync_alerts WHERE name = ?", [name]));
    return row && Number(row.sent_at);
  }

  async recordAlert(name: string, at: number): Promise<void> {
    const statement =
      "INSERT INTO larder_sync_alerts (name, sent_at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET sent_at = excluded.sent_at";
    await this.#guarded(() => this.#database.query(statement, [name, at]));
  }

  withLock<T>(name: string, work: (signal: AbortSignal) => Promise<T>): Promise<T | "held"> {
    if (this.#isClosed) return Promise.reject(new CacheError("ERR_CACHE_CLOSED", "the catalog's store is closed"));
    let hasBegun = false;
    const begin = (signal: AbortSignal): Promise<T> => {
      hasBegun = true;
      return work(signal);
    };
    return this.#database.withLock(name, begin).catch((error: unknown) => {
      throw hasBegun ? error : backendError(error);
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#database.close();
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new CacheError("ERR_CACHE_CLOSED", "the catalog's store is closed");
    try {
      return await work();
    } catch (error) {
      throw backendError(error);
    }
  }

  async #insertVersion(query: SqlQuery, version: number, next: NewVersion): Promise<SnapshotHead> {
    const { encoded, createdAt, reason, modelCount, changes } = next;
    await query("INSERT INTO larder_sync_snapshots (version, created_at, digest, reason, model_count, body) VALUES (?, ?, ?, ?, ?, ?)", [
      version,
      createdAt,
      encoded.digest,
      reason,
      modelCount,
      encoded.body,
    ]);
    for (let from = 0; from < changes.length; from += CHANGES_PER_INSERT) {
      const part = changes.slice(from, from + CHANGES_PER_INSERT);
      const values = part.flatMap((change, offset) => [version, from + offset, createdAt, change.id, JSON.stringify(change)]);
      const rows = part.map(() => "(?, ?, ?, ?, ?)").join(", ");
      await query(`INSERT INTO larder_sync_changes (version, position, created_at, model_id, change) VALUES ${rows}`, values);
    }
    await query("DELETE FROM larder_sync_snapshots WHERE version <= ?", [version - this.#keep.versions]);
    await query("DELETE FROM larder_sync_changes WHERE version <= ?", [version - this.#keep.changes]);
    return { lineage: this.#lineage, version, createdAt, digest: encoded.digest, reason, modelCount };
  }

  /** Passes over damaged versions: a body that cannot be read must not stop every later run (seeds W4.9). */
  async #newestReadable(
    query: SqlQuery,
  ): Promise<{ readonly head: SnapshotHead | undefined; readonly snapshot: Snapshot | undefined; readonly damaged: number[] }> {
    const damaged: number[] = [];
    let head: SnapshotHead | undefined;
    let below = Number.MAX_SAFE_INTEGER;
    for (;;) {
      const [row] = await query(`SELECT ${HEAD}, body FROM larder_sync_snapshots WHERE version < ? ORDER BY version DESC LIMIT 1`, [below]);
      if (!row) return { head, snapshot: undefined, damaged };
      head ??= this.#toHead(row);
      below = Number(row.version);
      try {
        return { head, snapshot: await this.#toSnapshot(row), damaged };
      } catch {
        damaged.push(below);
      }
    }
  }

  async #pulse(query: SqlQuery): Promise<Pulse> {
    const stored = await readMeta(query, "pulse");
    if (stored === undefined) return emptyPulse;
    try {
      const pulse = JSON.parse(stored) as Pulse;
      return Array.isArray(pulse.sources) && Number.isSafeInteger(pulse.revision) ? pulse : emptyPulse;
    } catch {
      return emptyPulse;
    }
  }

  #toHead(row: SqlRow): SnapshotHead {
    return {
      lineage: this.#lineage,
      version: Number(row.version),
      createdAt: Number(row.created_at),
      digest: String(row.digest),
      reason: String(row.reason) as SnapshotReason,
      modelCount: Number(row.model_count),
    };
  }

  #toCurrent<Head extends SnapshotHead>(head: Head, pulse: Pulse): Head & CurrentHead {
    const checkedAt = latestPlausible([head.createdAt, pulse.checkedAt ?? 0], this.#clock.wallNow(), MAX_SKEW_MS);
    return { ...head, checkedAt };
  }

  async #toSnapshot(row: SqlRow): Promise<Snapshot> {
    const head = this.#toHead(row);
    return { ...head, content: await decodeContent({ body: row.body as Uint8Array, digest: head.digest }) };
  }
}
