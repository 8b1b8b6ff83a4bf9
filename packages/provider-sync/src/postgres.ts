import { CacheError, type Clock, checkDurationMs, checkOptions, describeValue, type OptionNames, systemClock } from "@larder/cache-core";
import postgres from "postgres";
import type { SnapshotStore } from "./snapshot-store.ts";
import { withSessionLock } from "./sql/postgres-lock.ts";
import type { SqlDatabase, SqlQuery, SqlRow, SqlValue } from "./sql/sql-database.ts";
import { RETENTION_OPTIONS, type RetentionOptions, SqlSnapshotStore } from "./sql/sql-snapshot-store.ts";
import { startPatience, withPatience } from "./with-patience.ts";

/** Where the fleet's store lives. One of `url` and `client` is needed. */
export interface PostgresStoreOptions extends RetentionOptions {
  /** `postgres://` URL. The store opens and closes its own connections. @default none */
  readonly url?: string;
  /** A client of the package `postgres` without `transform`, which stays yours to end; it wins over `url`. A lock opens one connection beside it. @default none */
  readonly client?: postgres.Sql;
  /** Connections at most, when the store opens them. Integer >= 2: a lock holds one while the work runs. @default 4 */
  readonly maxConnections?: number;
  /** Milliseconds > 0 to wait for each answer of the database; then the call fails, and the store's own connections are made anew. @default 10000 */
  readonly timeoutMs?: number;
  /** Milliseconds > 0 after which the lock of a runner that lives and does nothing may be taken; one that dies frees it at once. @default 30000 */
  readonly lockTtlMs?: number;
}

const OPTIONS: OptionNames<PostgresStoreOptions> = {
  ...RETENTION_OPTIONS,
  url: true,
  client: true,
  maxConnections: true,
  timeoutMs: true,
  lockTtlMs: true,
};
/** One advisory lock for all writers of the store in a database: "larder" in ASCII. */
const WRITER_LOCK = "119182880302450";

/**
 * Said with each transaction, since a database or a role may have other defaults: a stricter level takes its snapshot before the lock is there, and
 * then neither sees what the former writer has committed nor may commit itself.
 */
const TRANSACTION = "isolation level read committed read write";

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

const DATABASE = "the catalog's database";

/** A promise of its own each time: what waits for it goes with it. */
function never(): Promise<never> {
  return new Promise(() => {});
}

/**
 * PostgreSQL through a client of the package `postgres`, which waits for ever: for a free connection, and for each answer. A network that
 * swallows packets, or a server that is frozen, would hold a run, its lock and `close()`. So every answer is waited for `timeoutMs` at
 * most. Connections on which nothing came are of no use to the next call either: the store's own are then dropped and opened anew, which
 * is also how it gets away from a server that is gone without a word.
 */
class PostgresDatabase implements SqlDatabase {
  readonly dialect = "postgres" as const;
  readonly #connect: (() => postgres.Sql) | undefined;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #lockTtlMs: number;
  /** Whole milliseconds, as a setting of the server. */
  readonly #frozenMs: number;
  #client: postgres.Sql;

  constructor(client: postgres.Sql | (() => postgres.Sql), options: PostgresStoreOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#timeoutMs = checkDurationMs("timeoutMs", options.timeoutMs ?? 10_000);
    this.#lockTtlMs = checkDurationMs("lockTtlMs", options.lockTtlMs ?? 30_000);
    this.#frozenMs = Math.ceil(Math.min(this.#timeoutMs * 3, 2_147_483_647));
    this.#connect = "unsafe" in client ? undefined : client;
    this.#client = "unsafe" in client ? client : client();
  }

  readonly query: SqlQuery = (statement, parameters) => {
    const client = this.#client;
    return this.#answered(client, run(client, statement, parameters));
  };

  /**
   * What is asked of a connection that has closed meanwhile is never sent, and its answer never comes: postgres 3.4 would write to a
   * socket that is gone, and throw where nobody can catch it. That includes the ROLLBACK that it sends by itself when `work` fails. The
   * transaction as a whole has failed by then.
   */
  transaction<T>(work: (query: SqlQuery) => Promise<T>): Promise<T> {
    const client = this.#client;
    return new Promise((resolve, reject) => {
      let isOver = false;
      const patience = startPatience(DATABASE, this.#timeoutMs, this.#clock, (error) => {
        this.#dropConnections(client);
        reject(error);
      });
      const begun = client.begin(TRANSACTION, async (connection) => {
        const runHere = async (statement: string, parameters?: readonly SqlValue[]): Promise<SqlRow[]> => {
          if (isOver) return never();
          patience.renew();
          try {
            return await run(connection, statement, parameters);
          } catch (error) {
            // The end of the connection is told to the statement first and to the transaction a moment later.
            await new Promise((told) => setImmediate(told));
            if (isOver) return never();
            throw error;
          } finally {
            patience.renew();
          }
        };
        // A writer that freezes half-way is ended by the server, so that it does not hold up the others for ever.
        await runHere(`SET LOCAL idle_in_transaction_session_timeout = ${this.#frozenMs}`);
        // Writers one after the other: each then reads what the former one committed (READ COMMITTED takes a snapshot per statement).
        await runHere(`SELECT pg_advisory_xact_lock(${WRITER_LOCK})`);
        return { result: await work(runHere) };
      }) as Promise<{ readonly result: T }>;
      const end = (): void => {
        isOver = true;
        patience.cancel();
      };
      begun.finally(end).then(({ result }) => resolve(result), reject);
    });
  }

  /** See postgres-lock. Its session is one of the store's `maxConnections`. */
  withLock<T>(name: string, work: (signal: AbortSignal) => Promise<T>): Promise<T | "held"> {
    const options = { timeoutMs: this.#timeoutMs, ttlMs: this.#lockTtlMs, clock: this.#clock };
    return withSessionLock(oneConnectionOf(this.#client), `larder:${name}`, work, options);
  }

  async close(): Promise<void> {
    if (this.#connect) await this.#client.end({ timeout: 5 });
  }

  async #answered<T>(client: postgres.Sql, answer: Promise<T>): Promise<T> {
    try {
      return await withPatience(DATABASE, answer, this.#timeoutMs, this.#clock);
    } catch (error) {
      if (CacheError.is(error)) this.#dropConnections(client);
      throw error;
    }
  }

  /** Only once for a client: the others that wait on it fail with it. */
  #dropConnections(client: postgres.Sql): void {
    if (!this.#connect || client !== this.#client) return;
    this.#client = this.#connect();
    client.end({ timeout: 0 }).catch(() => {});
  }
}

/** A client that gives rows as the database tells them. @throws {CacheError} ERR_CACHE_INVALID_OPTION */
function checkClient(client: postgres.Sql): postgres.Sql {
  const { column, value, row } = client.options?.transform ?? {};
  if (column?.from ?? value?.from ?? row?.from)
    throw new CacheError(
      "ERR_CACHE_INVALID_OPTION",
      "client must not transform rows, as with postgres.camel: the store would not find its columns; give it a client of its own, or url",
    );
  return client;
}

/** Opens the database alone, without the store's schema: for tests of the store. */
export function openPostgresDatabase(options: PostgresStoreOptions): SqlDatabase {
  const { url, client, maxConnections = 4 } = options;
  if (client) return new PostgresDatabase(checkClient(client), options);
  if (!url) throw new CacheError("ERR_CACHE_INVALID_OPTION", "url or client must be given: where is the database?");
  if (!Number.isSafeInteger(maxConnections) || maxConnections < 2)
    throw new CacheError("ERR_CACHE_INVALID_OPTION", `maxConnections must be an integer >= 2, got ${describeValue(maxConnections)}`);
  return new PostgresDatabase(() => connect(url, maxConnections - 1), options);
}

/** A client of one connection to where another one goes, with all its settings, as that package itself makes one for listening. */
function oneConnectionOf(client: postgres.Sql): postgres.Sql {
  const settings = { ...client.options, max: 1, idle_timeout: null, max_lifetime: null, fetch_types: false };
  return postgres(settings as unknown as postgres.Options<Record<string, never>>) as unknown as postgres.Sql;
}

function connect(url: string, max: number): postgres.Sql {
  try {
    // The client asks for the types of arrays by itself, of which we have none; when its connection is ended under that query, nobody hears the error.
    return postgres(url, { max, connect_timeout: 10, fetch_types: false, onnotice: () => {} });
  } catch {
    // The parser's error quotes the URL, and with it the password.
    throw new CacheError(
      "ERR_CACHE_INVALID_OPTION",
      "url cannot be read: it must be like postgres://user:password@host:5432/database, with %-escapes",
    );
  }
}

/**
 * The store of a fleet, in PostgreSQL 13 or later.
 * @throws {CacheError} ERR_CACHE_BACKEND when the database is away; ERR_CACHE_INVALID_OPTION without `url` and `client`, or for one that cannot be used
 */
export async function createPostgresStore(options: PostgresStoreOptions): Promise<SnapshotStore> {
  checkOptions(options, OPTIONS);
  return SqlSnapshotStore.open(openPostgresDatabase(options), options);
}
