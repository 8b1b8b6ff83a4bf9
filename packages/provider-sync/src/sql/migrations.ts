import { CacheError } from "@larder/cache-core";
import type { SqlDatabase, SqlQuery } from "./sql-database.ts";

/**
 * The schema, one list entry per version of it; applied entries are never edited. Tables carry a prefix because a gateway keeps its own
 * in the same database. `{bytes}` and `{long}` stand for the dialect's types.
 */
const migrations: readonly (readonly string[])[] = [
  [
    "CREATE TABLE larder_sync_snapshots (version {long} PRIMARY KEY, created_at {long} NOT NULL, digest TEXT NOT NULL, reason TEXT NOT NULL, model_count {long} NOT NULL, body {bytes} NOT NULL)",
    "CREATE TABLE larder_sync_changes (version {long} NOT NULL, position {long} NOT NULL, created_at {long} NOT NULL, model_id TEXT NOT NULL, change TEXT NOT NULL, PRIMARY KEY (version, position))",
    "CREATE INDEX larder_sync_changes_model ON larder_sync_changes (model_id, version)",
    "CREATE TABLE larder_sync_runs (id TEXT PRIMARY KEY, started_at {long} NOT NULL, report TEXT NOT NULL)",
    "CREATE TABLE larder_sync_bodies (hash TEXT PRIMARY KEY, body {bytes} NOT NULL)",
    "CREATE TABLE larder_sync_fetches (run_id TEXT NOT NULL, source TEXT NOT NULL, url TEXT NOT NULL, hash TEXT NOT NULL, fetched_at {long} NOT NULL, etag TEXT, last_modified TEXT, PRIMARY KEY (run_id, source, url))",
    "CREATE INDEX larder_sync_fetches_url ON larder_sync_fetches (source, url, fetched_at)",
    "CREATE TABLE larder_sync_alerts (name TEXT PRIMARY KEY, sent_at {long} NOT NULL)",
    "CREATE TABLE larder_sync_locks (name TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at {long} NOT NULL)",
  ],
];

const META = "CREATE TABLE IF NOT EXISTS larder_sync_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)";

/** One value of the meta table. */
export async function readMeta(query: SqlQuery, key: string): Promise<string | undefined> {
  const [row] = await query("SELECT value FROM larder_sync_meta WHERE key = ?", [key]);
  return row === undefined ? undefined : String(row.value);
}

/** Sets one value of the meta table. */
export async function writeMeta(query: SqlQuery, key: string, value: string): Promise<void> {
  await query("INSERT INTO larder_sync_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", [
    key,
    value,
  ]);
}

/** The version of the schema that is there. @throws {CacheError} ERR_CACHE_BACKEND when it is of a later release */
async function appliedSchema(query: SqlQuery): Promise<number> {
  const applied = Number((await readMeta(query, "schema")) ?? 0);
  if (applied <= migrations.length) return applied;
  const told = `the database has schema ${applied} of a later release; this one knows ${migrations.length}`;
  throw new CacheError("ERR_CACHE_BACKEND", told, { retryable: false });
}

/** The lineage of a database whose schema is up to date; `undefined` when there is something to do. */
async function currentLineage({ query }: SqlDatabase): Promise<string | undefined> {
  try {
    return (await appliedSchema(query)) === migrations.length ? await readMeta(query, "lineage") : undefined;
  } catch (error) {
    // A later release, or no answer. Anything else may be that there are no tables yet.
    if (CacheError.is(error)) throw error;
    return undefined;
  }
}

/**
 * Brings the schema up to date, in one transaction; processes that start together do it one after the other. Where it is up to date nothing
 * is written: a role that may not create tables, or only read, and a standby that nobody writes to can be opened as well.
 * @returns the lineage
 */
export async function migrate(database: SqlDatabase, newLineage: () => string): Promise<string> {
  return (await currentLineage(database)) ?? createSchema(database, newLineage);
}

function createSchema(database: SqlDatabase, newLineage: () => string): Promise<string> {
  const types = database.dialect === "postgres" ? { bytes: "BYTEA", long: "BIGINT" } : { bytes: "BLOB", long: "INTEGER" };
  return database.transaction(async (query) => {
    await query(META);
    const applied = await appliedSchema(query);
    for (const statements of migrations.slice(applied)) {
      for (const statement of statements) await query(statement.replaceAll("{bytes}", types.bytes).replaceAll("{long}", types.long));
    }
    if (applied < migrations.length) await writeMeta(query, "schema", String(migrations.length));
    const known = await readMeta(query, "lineage");
    if (known !== undefined) return known;
    const lineage = newLineage();
    await writeMeta(query, "lineage", lineage);
    return lineage;
  });
}
