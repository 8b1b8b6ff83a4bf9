import { resolve } from "node:path";

/** A row as either database gives it. */
export type Row = Readonly<Record<string, unknown>>;
/** What may be bound to a placeholder. */
export type Bindable = string | number | null;

/** The little of SQL that the gateway needs of a database. Values are bound, never written into the text. */
export interface Sql {
  /** Whether it has been given up, and must be opened anew. */
  readonly isLost: boolean;
  /** Runs one statement with `?` placeholders. Rejects after some seconds at most. */
  run(statement: string, values?: readonly Bindable[]): Promise<readonly Row[]>;
  close(): Promise<void>;
}

/** SQLite's name for a database that is no file. */
const IN_MEMORY = ":memory:";

/** The file of a `file:` URL, as larder-sync finds it: `file:///` begins a URL, in which spaces and the like are escaped; behind `file:` alone stands a path as it is. */
export function sqlitePath(databaseUrl: string, directory: string): string {
  const path = databaseUrl.startsWith("file:///") ? unescaped(databaseUrl.slice("file://".length)) : databaseUrl.slice("file:".length);
  return path === IN_MEMORY ? path : resolve(directory, path);
}

/** Whether a URL names no file but a database of the process alone, which ends with it. */
export function isInMemory(databaseUrl: string): boolean {
  return databaseUrl.startsWith("file:") && sqlitePath(databaseUrl, "") === IN_MEMORY;
}

/** What is no escaped text was written as it is. */
function unescaped(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
