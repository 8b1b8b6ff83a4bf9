import { CacheError } from "@larder/cache-core";
import postgres from "postgres";
import type { SnapshotStore } from "./snapshot-store.ts";
import type { SqlDatabase, SqlQuery, SqlRow, SqlValue } from "./sql/sql-database.ts";
import { type RetentionOptions, SqlSnapshotStore } from "./sql/sql-snapshot-store.ts";

/** Where the fleet's store lives. One of `url` and `client` is needed. */
export interface PostgresStoreOptions extends RetentionOptions {
  /** `postgres://` URL. The store opens and closes its own connections. @default none */
  readonly url?: string;
  /** A client of the package `postgres`, which stays yours to end; it wins over `url`. @default none */
  readonly client?: postgres.Sql;
  /** Connections at most, when the store opens them. Integer >= 2: a lock holds one while the work runs. @default 4 */
  readonly maxConnections?: number;
}

/** One advisory lock for all writers of the store in a database: "larder" in ASCII. */
const WRITER_LOCK = "119182880302450";

/** `?` placeholders become `$1`, `$2`, …: the store's statements hold no other question marks. */
const numbered: Map<string, string> = new Map();

function toNumbered(statement: string): string {
  let text = numbered.get(statement);
  if (text === undefined) {
    let index = 0;
    text = statement.replace(/\?/g, () => {
      index += 1;
      return `$${index}`;
    });
    if (numbered.size < 500) numbered.set(statement, text);
  }
  return text;
}

type Connection = Pick<postgres.Sql, "unsafe">;

async function run(connection: Connection, statement: string, parameters: readonly SqlValue[] = []): Promise<SqlRow[]> {
  const values = parameters.map((value) =>
    value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value,
  );
  return (await connection.unsafe(toNumbered(statement), values, { prepare: values.length > 0 })) as unknown as SqlRow[];
}

class PostgresDatabase implements SqlDatabase {
  readonly dialect = "postgres" as const;
  readonly #client: postgres.Sql;
  readonly #isOwn: boolean;

  constructor(client: postgres.Sql, isOwn: boolean) {
    this.#client = client;
    this.#isOwn = isOwn;
  }

  readonly query: SqlQuery = (statement, parameters) => run(this.#client, statement, parameters);

  transaction<T>(work: (query: SqlQuery) => Promise<T>): Promise<T> {
    return this.#client.begin(async (connection) => {
      // Writers one after the other: each then reads what the former one committed (READ COMMITTED takes a snapshot per statement).
      await connection.unsafe(`SELECT pg_advisory_xact_lock(${WRITER_LOCK})`);
      return work((statement, parameters) => run(connection, statement, parameters));
    }) as Promise<T>;
  }

  /**
   * A session's advisory lock: PostgreSQL frees it when the connection ends, so that a runner that dies holds nobody up. Should the
   * connection break while the work runs, another runner may start; the commit tells them apart, so that costs requests alone.
   */
  async withLock<T>(name: string, work: (signal: AbortSignal) => Promise<T>): Promise<T | "held"> {
    const connection = await this.#client.reserve();
    try {
      const [row] = await run(connection, "SELECT pg_try_advisory_lock(hashtextextended(?, 0)) AS locked", [`larder:${name}`]);
      if (row?.locked !== true) return "held";
      try {
        return await work(new AbortController().signal);
      } finally {
        await run(connection, "SELECT pg_advisory_unlock(hashtextextended(?, 0))", [`larder:${name}`]).catch(() => {});
      }
    } finally {
      connection.release();
    }
  }

  async close(): Promise<void> {
    if (this.#isOwn) await this.#client.end({ timeout: 5 });
  }
}

/** Opens the database alone, without the store's schema: for tests of the store. */
export function openPostgresDatabase(options: PostgresStoreOptions): SqlDatabase {
  const { url, client, maxConnections = 4 } = options;
  if (client) return new PostgresDatabase(client, false);
  if (!url) throw new CacheError("ERR_CACHE_INVALID_OPTION", "url or client must be given: where is the database?");
  const own = postgres(url, { max: Math.max(2, maxConnections), connect_timeout: 10, onnotice: () => {} });
  return new PostgresDatabase(own, true);
}

/**
 * The store of a fleet, in PostgreSQL 13 or later.
 * @throws {CacheError} ERR_CACHE_BACKEND when the database is away; ERR_CACHE_INVALID_OPTION without `url` and `client`
 */
export async function createPostgresStore(options: PostgresStoreOptions): Promise<SnapshotStore> {
  return SqlSnapshotStore.open(openPostgresDatabase(options), options);
}
