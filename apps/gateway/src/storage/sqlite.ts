import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Row, Sql } from "./sql.ts";

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
  return {
    isLost: false,
    run: (statement, values = []) =>
      whenFree(() => {
        const prepared = database.prepare(statement);
        if (prepared.reader) return prepared.all(...values) as Row[];
        prepared.run(...values);
        return [];
      }),
    close: async () => {
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
