import { createHash } from "node:crypto";
import { packBytes, unpackBytes } from "../snapshot-codec.ts";
import type { RawBody } from "../snapshot-store.ts";
import type { SqlQuery, SqlRow } from "./sql-database.ts";

/** A raw body ready to be stored: hashed and packed outside the transaction. */
export interface PackedBody {
  readonly raw: RawBody;
  readonly hash: string;
  readonly body: Uint8Array;
}

/** Packs bodies for storing. Equal bodies are stored once, however many runs fetched them. */
export function packBodies(bodies: readonly RawBody[]): Promise<PackedBody[]> {
  return Promise.all(
    bodies.map(async (raw) => ({ raw, hash: createHash("sha256").update(raw.bytes).digest("hex"), body: await packBytes(raw.bytes) })),
  );
}

/** Stores the bodies of one run. `now`: bodies of a later instant, noted by a clock that was ahead, become older than these. */
export async function insertBodies(query: SqlQuery, runId: string, packed: readonly PackedBody[], now: number): Promise<void> {
  if (packed.length === 0) return;
  const firstAt = Math.min(...packed.map(({ raw }) => raw.fetchedAt));
  await query("UPDATE larder_sync_fetches SET fetched_at = ? WHERE fetched_at > ?", [firstAt - 1, now]);
  for (const { raw, hash, body } of packed) {
    const [known] = await query("SELECT 1 AS known FROM larder_sync_bodies WHERE hash = ?", [hash]);
    if (!known) await query("INSERT INTO larder_sync_bodies (hash, body) VALUES (?, ?)", [hash, body]);
    await query(
      "INSERT INTO larder_sync_fetches (run_id, source, url, hash, fetched_at, etag, last_modified) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, source, url) DO NOTHING",
      [runId, raw.source, raw.url, hash, raw.fetchedAt, raw.etag ?? null, raw.lastModified ?? null],
    );
  }
}

/** Drops the bodies of all but the last `keepRuns` runs that fetched any. */
export async function pruneBodies(query: SqlQuery, keepRuns: number): Promise<void> {
  const runs = await query("SELECT run_id, MAX(fetched_at) AS at FROM larder_sync_fetches GROUP BY run_id ORDER BY at DESC");
  const old = runs.slice(keepRuns);
  for (const { run_id } of old) await query("DELETE FROM larder_sync_fetches WHERE run_id = ?", [String(run_id)]);
  if (old.length > 0) await query("DELETE FROM larder_sync_bodies WHERE hash NOT IN (SELECT hash FROM larder_sync_fetches)");
}

const COLUMNS =
  "f.source, f.url, f.fetched_at, f.etag, f.last_modified, b.body FROM larder_sync_fetches f JOIN larder_sync_bodies b ON b.hash = f.hash";

async function toRawBody(row: SqlRow): Promise<RawBody> {
  return {
    source: String(row.source),
    url: String(row.url),
    fetchedAt: Number(row.fetched_at),
    ...(row.etag !== null && { etag: String(row.etag) }),
    ...(row.last_modified !== null && { lastModified: String(row.last_modified) }),
    bytes: await unpackBytes(row.body as Uint8Array),
  };
}

/** The last body of a source's URL; `undefined` when it is gone or damaged: then it is fetched anew. */
export async function selectLastBody(query: SqlQuery, source: string, url: string): Promise<RawBody | undefined> {
  const rows = await query(`SELECT ${COLUMNS} WHERE f.source = ? AND f.url = ? ORDER BY f.fetched_at DESC LIMIT 1`, [source, url]);
  return rows[0] && toRawBody(rows[0]).catch(() => undefined);
}

/** The bodies of one run. */
export async function selectBodies(query: SqlQuery, runId: string): Promise<RawBody[]> {
  const rows = await query(`SELECT ${COLUMNS} WHERE f.run_id = ? ORDER BY f.source, f.url`, [runId]);
  return Promise.all(rows.map(toRawBody));
}
