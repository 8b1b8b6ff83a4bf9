import { CacheError } from "@larder/cache-core";
import type { SqlRow, SqlValue } from "./sql-database.ts";

/** One open SQLite file. Synchronous, as both drivers are. */
export interface SqliteDriver {
  /** Runs one statement. @returns its rows, none for a write */
  run(statement: string, parameters: readonly SqlValue[]): SqlRow[];
  /** Runs one statement without parameters or rows. */
  execute(statement: string): void;
  close(): void;
}

/** What `libsql` and `node:sqlite` have in common. */
interface Connection {
  exec(statement: string): unknown;
  prepare(statement: string): { all(...parameters: SqlValue[]): unknown[]; run(...parameters: SqlValue[]): unknown };
  close(): void;
}

type ConnectionClass = new (path: string) => Connection;

/** A variable, so that no bundler resolves a package that may not be there. */
const LIBSQL = "libsql";

async function loadConnectionClass(): Promise<ConnectionClass> {
  // Not `import()`: that of a name that a bundler does not know finds nothing in webpack's bundle, and Jest refuses it in CommonJS.
  const builtIn = process.getBuiltinModule("node:sqlite") as { DatabaseSync: ConnectionClass } | undefined;
  if (builtIn) return builtIn.DatabaseSync;
  try {
    const loaded = (await import(/* webpackIgnore: true */ LIBSQL)) as { default: ConnectionClass };
    return loaded.default;
  } catch (error) {
    throw new CacheError("ERR_CACHE_BACKEND", whyNoDriver(error), { retryable: false, cause: error });
  }
}

/** Who has libsql, and an environment that does not let it be imported, is not told to install it. */
function whyNoDriver(error: unknown): string {
  const { code } = error as { code?: unknown };
  const isMissing = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
  return isMissing
    ? "no SQLite driver: install the package libsql, or run Node 22.13 or later"
    : "no SQLite driver: libsql could not be imported here (Jest refuses import() in CommonJS): run Node 22.13 or later";
}

class ConnectionDriver implements SqliteDriver {
  readonly #connection: Connection;
  /** Statements by text: the store has a few dozen. */
  readonly #statements: Map<string, ReturnType<Connection["prepare"]>> = new Map();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  run(statement: string, parameters: readonly SqlValue[]): SqlRow[] {
    let prepared = this.#statements.get(statement);
    if (!prepared) {
      prepared = this.#connection.prepare(statement);
      if (/^(SELECT|INSERT|DELETE|UPDATE)/i.test(statement)) this.#statements.set(statement, prepared);
    }
    if (/^SELECT/i.test(statement)) return prepared.all(...parameters) as SqlRow[];
    prepared.run(...parameters);
    return [];
  }

  execute(statement: string): void {
    this.#connection.exec(statement);
  }

  close(): void {
    this.#statements.clear();
    try {
      // libsql leaves what was written in the file beside it, where a copy of the file alone would not find it.
      this.#connection.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch {
      // Another process reads or writes: it does so when it closes, or SQLite after so many pages.
    }
    this.#connection.close();
  }
}

/** What the file refused, without its path. */
function cannotOpen(error: unknown): CacheError {
  // libsql's code may be an empty text, and its message names the path.
  const { code } = error as { code?: unknown };
  const told = typeof code === "string" && code !== "" ? ` (${code})` : "";
  return new CacheError(
    "ERR_CACHE_BACKEND",
    `cannot open the SQLite file${told}: is it a database, in a folder that exists and may be written to?`,
  );
}

/** Opens a file with whichever driver is there. @throws {CacheError} ERR_CACHE_BACKEND when there is none, or the file cannot be opened */
export async function openSqliteDriver(path: string): Promise<SqliteDriver> {
  const Connection = await loadConnectionClass();
  try {
    return new ConnectionDriver(new Connection(path));
  } catch (error) {
    throw cannotOpen(error);
  }
}

/**
 * Settles how the file is written: one writer and readers that do not wait for it; a commit that was answered survives a power cut. The first
 * to come changes the file itself, alone: `whenFree` has the others wait for that.
 * @throws {CacheError} ERR_CACHE_BACKEND when it is no database, or may not be written to
 */
export async function setUpSqliteFile(driver: SqliteDriver, path: string, whenFree: (attempt: () => void) => Promise<void>): Promise<void> {
  const statements = [
    "PRAGMA busy_timeout = 0",
    ...(path === ":memory:" ? [] : ["PRAGMA journal_mode = WAL"]),
    "PRAGMA synchronous = FULL",
  ];
  try {
    for (const statement of statements) await whenFree(() => driver.execute(statement));
  } catch (error) {
    driver.close();
    throw cannotOpen(error);
  }
}
