import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type LibSql from "libsql";
import type { Bindable, Row, Sql } from "./sql.ts";

type Connection = LibSql.Database;

/** Milliseconds between two looks whether another writer has finished. */
const BUSY_RETRY_MS = 20;
/** Milliseconds that a writer waits for its turn. */
const BUSY_PATIENCE_MS = 5_000;

/**
 * SQLite, in a file that several processes may share: readers do not wait for a writer, and a writer waits for its turn. The driver is
 * synchronous, so that it must not wait by itself (`busy_timeout`): it would stop all requests meanwhile, and for nothing when the other writer is
 * the provider sync of this very process, whose transaction goes on in later turns of the event loop.
 */
export async function openSqlite(path: string): Promise<Sql> {
  const isFile = path !== ":memory:";
  if (isFile) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const { default: Database } = await import("libsql");
  const database = new Database(path);
  try {
    database.exec("PRAGMA busy_timeout = 0");
    if (isFile) await whenFree(() => database.exec("PRAGMA journal_mode = WAL"));
  } catch (error) {
    database.close();
    throw error;
  }
  let isLost = false;
  return {
    get isLost() {
      return isLost;
    },
    run: async (statement, values = []) => {
      if (!/^SELECT/i.test(statement)) return whenFree(() => write(database, statement, values));
      let prepared: LibSql.Statement | undefined;
      try {
        return await whenFree(() => {
          prepared ??= database.prepare(statement);
          return prepared.all(...values) as Row[];
        });
      } catch (error) {
        // What was refused goes on reading, see below, and cannot be ended but by running it.
        if (isBusy(error) && !isLost) {
          isLost = true;
          database.close();
        }
        throw error;
      }
    },
    close: async () => {
      if (isLost) return;
      try {
        // libsql leaves what was written in the file beside it, where a copy of the file alone would not find it.
        database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      } catch {
        // Another process reads or writes: it does so when it closes, or SQLite after so many pages.
      }
      database.close();
    },
  };
}

/**
 * A statement that libsql (0.5.29) refuses because the file is busy is not reset: it counts as under way until it is run again or collected as garbage,
 * and until then nothing else that the connection writes is committed, though it is answered as done. So the turn is asked for by `exec`, which
 * leaves nothing behind, and whoever has it is not refused any more.
 */
function write(database: Connection, statement: string, values: readonly Bindable[]): Row[] {
  if (values.length === 0) {
    database.exec(statement);
    return [];
  }
  database.exec("BEGIN IMMEDIATE");
  try {
    const prepared = database.prepare(statement);
    const rows = prepared.reader ? (prepared.all(...values) as Row[]) : [];
    if (!prepared.reader) prepared.run(...values);
    database.exec("COMMIT");
    return rows;
  } catch (error) {
    // Of some errors SQLite rolls back by itself.
    if (database.inTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

async function whenFree<T>(attempt: () => T): Promise<T> {
  const giveUpAt = performance.now() + BUSY_PATIENCE_MS;
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error) || performance.now() > giveUpAt) throw error;
    }
    await sleep(BUSY_RETRY_MS);
  }
}

function isBusy(error: unknown): boolean {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  return /SQLITE_BUSY|SQLITE_LOCKED/.test(String(code)) || String(message).includes("database is locked");
}
