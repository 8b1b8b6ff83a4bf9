import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** A row as either database gives it. */
export type Row = Readonly<Record<string, unknown>>;
/** What may be bound to a placeholder. */
export type Bindable = string | number | null;

/** The little of SQL that the gateway needs of a database. Values are bound, never written into the text. */
export interface Sql {
  /** Runs one statement with `?` placeholders. */
  run(statement: string, values?: readonly Bindable[]): Promise<readonly Row[]>;
  close(): Promise<void>;
}

/** Opens the database of a `file:` or `postgres:` URL. Relative files are relative to `directory`. @throws when it cannot be reached */
export async function openSql(databaseUrl: string, directory: string): Promise<Sql> {
  return databaseUrl.startsWith("file:") ? openSqlite(sqlitePath(databaseUrl, directory)) : openPostgres(databaseUrl);
}

/** The file of a `file:` URL. */
export function sqlitePath(databaseUrl: string, directory: string): string {
  const path = databaseUrl.slice("file:".length).replace(/^\/\/(?=\/)/, "");
  return path === ":memory:" ? path : resolve(directory, path);
}

async function openSqlite(path: string): Promise<Sql> {
  if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const { default: Database } = await import("libsql");
  const database = new Database(path);
  // Several processes may share the file: readers do not wait for a writer, and a writer waits for its turn.
  database.exec("PRAGMA busy_timeout = 5000");
  if (path !== ":memory:") database.exec("PRAGMA journal_mode = WAL");
  return {
    run: async (statement, values = []) => {
      const prepared = database.prepare(statement);
      if (prepared.reader) return prepared.all(...values) as Row[];
      prepared.run(...values);
      return [];
    },
    close: async () => void database.close(),
  };
}

async function openPostgres(databaseUrl: string): Promise<Sql> {
  const { default: postgres } = await import("postgres");
  // Without `fetch_types: false` the client asks for the types of arrays by itself; when its connection is ended under that, nobody hears the error.
  const client = postgres(databaseUrl, { max: 4, connect_timeout: 5, idle_timeout: 60, fetch_types: false, onnotice: () => undefined });
  await client`select 1`;
  return {
    run: async (statement, values = []) => {
      let position = 0;
      const numbered = statement.replaceAll("?", () => `$${++position}`);
      return (await client.unsafe(numbered, [...values])) as unknown as Row[];
    },
    close: () => client.end({ timeout: 5 }),
  };
}
