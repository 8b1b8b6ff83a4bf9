/** A value of a column or parameter. */
export type SqlValue = string | number | null | Uint8Array;

/** A row by column name. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** Runs one statement with `?` placeholders. */
export type SqlQuery = (statement: string, parameters?: readonly SqlValue[]) => Promise<SqlRow[]>;

/** The little that the store asks of a database, so that SQLite and PostgreSQL share one store. */
export interface SqlDatabase {
  readonly dialect: "sqlite" | "postgres";
  readonly query: SqlQuery;
  /** Runs `work` in one transaction that excludes all other writers of the store, in this and other processes. */
  transaction<T>(work: (query: SqlQuery) => Promise<T>): Promise<T>;
  /** Elects one holder of a name among all processes on the database; see `RunnerLock`. */
  withLock<T>(name: string, work: (signal: AbortSignal) => Promise<T>): Promise<T | "held">;
  close(): Promise<void>;
}
