import { openSql } from "./open-sql.ts";
import type { Row, Sql } from "./sql.ts";

/** A provider as it is kept: its credential sealed. */
export interface StoredProvider {
  readonly id: string;
  /** Everything but the credential, as JSON. */
  readonly settings: string;
  /** Sealed credential; `null` when it has none. */
  readonly sealedKey: string | null;
  /** Epoch milliseconds. */
  readonly updatedAt: number;
}

/** A virtual key as it is kept: hashed. */
export interface StoredKey {
  readonly id: string;
  /** Digest of the key, see `hashKey`: the key itself is kept nowhere. */
  readonly hash: string;
  readonly tenant: string;
  readonly name: string;
  /** Limits as JSON. */
  readonly limits: string;
  /** The beginning of the key, to recognise it by: at most 4 characters after its prefix. */
  readonly hint: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
}

/** One line of the audit trail: who did what to what. Never a value. */
export interface AuditEntry {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly detail: string;
}

const SCHEMA = [
  "CREATE TABLE IF NOT EXISTS gateway_providers (id TEXT PRIMARY KEY, settings TEXT NOT NULL, sealed_key TEXT, updated_at BIGINT NOT NULL)",
  `CREATE TABLE IF NOT EXISTS gateway_keys (id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, name TEXT NOT NULL,
   limits TEXT NOT NULL, hint TEXT NOT NULL, created_at BIGINT NOT NULL)`,
  "CREATE TABLE IF NOT EXISTS gateway_audit (at BIGINT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL)",
  "CREATE INDEX IF NOT EXISTS gateway_audit_at ON gateway_audit (at)",
];
/** Works where the tables are there. */
const TABLES_ARE_THERE = "SELECT 1 FROM gateway_providers, gateway_keys, gateway_audit LIMIT 0";
/** Milliseconds after a failed attempt to open the database until the next one. */
const REOPEN_AFTER_MS = 2_000;
/** Milliseconds for which the outcome of a use tells whether the database works. */
const KNOWN_FOR_MS = 2_000;

/**
 * The gateway's database of record: providers, virtual keys, audit trail. It may be away when the gateway starts and whenever it likes: it is
 * opened at the first use, and again when that failed. The first use waits for it; once it was away, every other is refused at once until it has been
 * opened behind: what says nothing would keep request after request waiting.
 */
export class GatewayStore {
  readonly #databaseUrl: string;
  readonly #directory: string;
  readonly #onChange: (isUp: boolean, code: unknown) => void;
  #sql: Sql | undefined;
  #opening: Promise<Sql> | undefined;
  /** Whether the last attempt to open it failed, or it was lost since. */
  #wasAway = false;
  #isClosed = false;
  #retryAt = 0;
  #isUp: boolean | undefined;
  #knownAt = 0;
  #hasBeenUp = false;

  /** @param onChange told whenever it begins or ceases to work, with the driver's code for the reason: its texts may quote what is secret */
  constructor(databaseUrl: string, directory: string, onChange: (isUp: boolean, code: unknown) => void = () => undefined) {
    this.#databaseUrl = databaseUrl;
    this.#directory = directory;
    this.#onChange = onChange;
  }

  /** Whether the last use worked; `lookBehind` sees to it that there was one. */
  get isUp(): boolean {
    return this.#isUp ?? false;
  }

  /** Whether any use has worked. */
  get hasBeenUp(): boolean {
    return this.#hasBeenUp;
  }

  async listProviders(): Promise<StoredProvider[]> {
    return (await this.#run("SELECT id, settings, sealed_key, updated_at FROM gateway_providers ORDER BY id")).map(toProvider);
  }

  /** Saves a provider in the place of what was known of it, if anything was. @returns whether that was still so: another save meanwhile wins */
  async putProvider({ id, settings, sealedKey, updatedAt }: StoredProvider, known: StoredProvider | undefined): Promise<boolean> {
    const rows = known
      ? await this.#run(
          `UPDATE gateway_providers SET settings = ?, sealed_key = ?, updated_at = ?
           WHERE id = ? AND settings = ? AND COALESCE(sealed_key, '') = ? RETURNING id`,
          [settings, sealedKey, updatedAt, id, known.settings, known.sealedKey ?? ""],
        )
      : await this.#run(
          `INSERT INTO gateway_providers (id, settings, sealed_key, updated_at) VALUES (?, ?, ?, ?)
           ON CONFLICT (id) DO NOTHING RETURNING id`,
          [id, settings, sealedKey, updatedAt],
        );
    return rows.length > 0;
  }

  /** Puts a credential's new envelope in the place of an old one. @returns whether it was still that one: a save meanwhile wins */
  async resealProvider(id: string, from: string, to: string): Promise<boolean> {
    const statement = "UPDATE gateway_providers SET sealed_key = ? WHERE id = ? AND sealed_key = ? RETURNING id";
    return (await this.#run(statement, [to, id, from])).length > 0;
  }

  /** @returns whether it was there */
  async deleteProvider(id: string): Promise<boolean> {
    return (await this.#run("DELETE FROM gateway_providers WHERE id = ? RETURNING id", [id])).length > 0;
  }

  async listKeys(): Promise<StoredKey[]> {
    return (await this.#run("SELECT * FROM gateway_keys ORDER BY created_at, id")).map(toKey);
  }

  async findKey(hash: string): Promise<StoredKey | undefined> {
    return (await this.#run("SELECT * FROM gateway_keys WHERE hash = ?", [hash])).map(toKey)[0];
  }

  async addKey(key: StoredKey): Promise<void> {
    await this.#run("INSERT INTO gateway_keys (id, hash, tenant, name, limits, hint, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)", [
      key.id,
      key.hash,
      key.tenant,
      key.name,
      key.limits,
      key.hint,
      key.createdAt,
    ]);
  }

  async findKeyById(id: string): Promise<StoredKey | undefined> {
    return (await this.#run("SELECT * FROM gateway_keys WHERE id = ?", [id])).map(toKey)[0];
  }

  /** @returns whether it was there */
  async deleteKey(id: string): Promise<boolean> {
    return (await this.#run("DELETE FROM gateway_keys WHERE id = ? RETURNING id", [id])).length > 0;
  }

  async addAudit(entry: AuditEntry): Promise<void> {
    await this.#run("INSERT INTO gateway_audit (at, actor, action, detail) VALUES (?, ?, ?, ?)", [
      entry.at,
      entry.actor,
      entry.action,
      entry.detail,
    ]);
  }

  /** The newest entries first. */
  async listAudit(limit: number): Promise<AuditEntry[]> {
    const rows = await this.#run("SELECT at, actor, action, detail FROM gateway_audit ORDER BY at DESC LIMIT ?", [limit]);
    return rows.map((row) => ({ at: Number(row.at), actor: String(row.actor), action: String(row.action), detail: String(row.detail) }));
  }

  /** Whether the database answers now. */
  async check(): Promise<boolean> {
    try {
      await this.#run("SELECT 1 AS one");
    } catch {}
    return this.isUp;
  }

  /** Has it looked, behind whoever asks, whether the database works, unless somebody has used it a moment ago: what was true then need not be any more. */
  lookBehind(): void {
    if (performance.now() - this.#knownAt < KNOWN_FOR_MS) return;
    this.#knownAt = performance.now();
    void this.check();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening?.catch(() => undefined);
    await this.#sql?.close().catch(() => undefined);
  }

  async #run(statement: string, values?: ReadonlyArray<string | number | null>): Promise<readonly Row[]> {
    try {
      const rows = await (await this.#opened()).run(statement, values);
      this.#tell(true);
      return rows;
    } catch (error) {
      this.#tell(false, codeOf(error));
      // The driver's own error may quote the statement's values.
      throw new Error("the database of record is not available");
    }
  }

  #tell(isUp: boolean, code?: unknown): void {
    const wasUp = this.#isUp;
    this.#isUp = isUp;
    this.#knownAt = performance.now();
    this.#hasBeenUp ||= isUp;
    // That it works from the beginning is nothing to tell.
    if (wasUp !== isUp && (wasUp !== undefined || !isUp)) this.#onChange(isUp, code);
  }

  async #opened(): Promise<Sql> {
    if (this.#sql && !this.#sql.isLost) return this.#sql;
    if (this.#sql) this.#wasAway = true;
    this.#sql = undefined;
    if (!this.#opening && performance.now() >= this.#retryAt) this.#open();
    if (!this.#opening || this.#wasAway) throw new Error("the database was not available a moment ago");
    return this.#opening;
  }

  #open(): void {
    const opening = this.#prepare();
    this.#opening = opening;
    opening.then(
      (sql) => {
        this.#opening = undefined;
        this.#sql = sql;
        this.#wasAway = false;
        this.#tell(true);
      },
      (error: unknown) => {
        this.#opening = undefined;
        this.#wasAway = true;
        this.#retryAt = performance.now() + REOPEN_AFTER_MS;
        this.#tell(false, codeOf(error));
      },
    );
  }

  async #prepare(): Promise<Sql> {
    if (this.#isClosed) throw new Error("the store is closed");
    const sql = await openSql(this.#databaseUrl, this.#directory);
    try {
      await makeTables(sql);
      return sql;
    } catch (error) {
      await sql.close().catch(() => undefined);
      throw error;
    }
  }
}

/** PostgreSQL refuses to make what is there, `IF NOT EXISTS` or not: a role that may make nothing, and all on a standby or a database that is read alone. */
async function makeTables(sql: Sql): Promise<void> {
  try {
    // And of several processes that make the same at a time all but one, once that one has made it.
    for (const statement of SCHEMA) await sql.run(statement).catch(() => sql.run(statement));
  } catch (error) {
    await sql.run(TABLES_ARE_THERE).catch(() => {
      throw error;
    });
  }
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown } | undefined)?.code;
}

function toProvider(row: Row): StoredProvider {
  const sealedKey = row.sealed_key === null || row.sealed_key === undefined ? null : String(row.sealed_key);
  return { id: String(row.id), settings: String(row.settings), sealedKey, updatedAt: Number(row.updated_at) };
}

function toKey(row: Row): StoredKey {
  const { id, hash, tenant, name, limits, hint } = row;
  const createdAt = Number(row.created_at);
  return {
    id: String(id),
    hash: String(hash),
    tenant: String(tenant),
    name: String(name),
    limits: String(limits),
    hint: String(hint),
    createdAt,
  };
}
