import {
  CacheError,
  type Clock,
  checkDurationMs,
  checkName,
  checkOptions,
  type OptionNames,
  type RandomSource,
  systemClock,
  systemRandom,
} from "@larder/cache-core";
import { keepAlive } from "./keep-alive.ts";
import type { SnapshotStore } from "./snapshot-store.ts";
import { SerialQueue } from "./sql/serial-queue.ts";
import type { SqlDatabase, SqlQuery, SqlRow, SqlValue } from "./sql/sql-database.ts";
import { RETENTION_OPTIONS, type RetentionOptions, SqlSnapshotStore } from "./sql/sql-snapshot-store.ts";
import { openSqliteDriver, type SqliteDriver, setUpSqliteFile } from "./sql/sqlite-driver.ts";
import { sqlitePath } from "./sql/sqlite-path.ts";

/** Where the embedded store lives. */
export interface SqliteStoreOptions extends RetentionOptions {
  /** `file:` URL or path; `:memory:` for a store that ends with the process. The folder must exist. */
  readonly path: string;
  /** Milliseconds > 0 to wait for another process's write. @default 10000 */
  readonly busyTimeoutMs?: number;
  /** Milliseconds > 0 after which the lock of a runner that died may be taken. @default 30000 */
  readonly lockTtlMs?: number;
}

const OPTIONS: OptionNames<SqliteStoreOptions> = { ...RETENTION_OPTIONS, path: true, busyTimeoutMs: true, lockTtlMs: true };
const BUSY_RETRY_MS = 20;

const FREE = "DELETE FROM larder_sync_locks WHERE owner = ?";

function isBusy(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return /SQLITE_BUSY|SQLITE_LOCKED|database is locked|database table is locked/.test(`${String(code)} ${String(message)}`);
}

/**
 * SQLite through one connection. Its drivers are synchronous, so a wait for another process's lock must not happen inside them: it
 * would stop the event loop. Statements fail at once when the file is busy and are tried again from a timer.
 */
class SqliteDatabase implements SqlDatabase {
  readonly dialect = "sqlite" as const;
  readonly #driver: SqliteDriver;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #busyTimeoutMs: number;
  readonly #lockTtlMs: number;
  /** Owners of the locks held through this connection. */
  readonly #owners: Set<string> = new Set();
  /** A transaction spans several turns of the event loop; nothing else may run on its connection meanwhile. */
  readonly #queue: SerialQueue = new SerialQueue();

  private constructor(
    driver: SqliteDriver,
    options: Required<Pick<SqliteStoreOptions, "busyTimeoutMs" | "lockTtlMs">> & SqliteStoreOptions,
  ) {
    this.#driver = driver;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#busyTimeoutMs = options.busyTimeoutMs;
    this.#lockTtlMs = options.lockTtlMs;
  }

  static async open(options: SqliteStoreOptions): Promise<SqliteDatabase> {
    const path = sqlitePath(checkName("path", options.path));
    const busyTimeoutMs = checkDurationMs("busyTimeoutMs", options.busyTimeoutMs ?? 10_000);
    const lockTtlMs = checkDurationMs("lockTtlMs", options.lockTtlMs ?? 30_000);
    const driver = await openSqliteDriver(path);
    const database = new SqliteDatabase(driver, { ...options, busyTimeoutMs, lockTtlMs });
    await setUpSqliteFile(driver, path, (attempt) => database.#whenFree(attempt));
    return database;
  }

  /**
   * A write by itself is a transaction as well: what libsql (0.5.29) refuses because the file is busy counts as under way until it is run again, and
   * nothing that the connection writes afterwards can be committed. A `BEGIN` leaves nothing behind.
   */
  readonly query: SqlQuery = (statement, parameters = []) =>
    /^SELECT/i.test(statement)
      ? this.#queue.run(() => this.#whenFree(() => this.#run(statement, parameters)))
      : this.transaction((query) => query(statement, parameters));

  transaction<T>(work: (query: SqlQuery) => Promise<T>): Promise<T> {
    return this.#queue.run(async () => {
      await this.#whenFree(() => this.#driver.execute("BEGIN IMMEDIATE"));
      try {
        const result = await work(async (statement, parameters = []) => this.#run(statement, parameters));
        await this.#whenFree(() => this.#driver.execute("COMMIT"));
        return result;
      } catch (error) {
        this.#rollBack();
        throw error;
      }
    });
  }

  /**
   * A row with an expiry, renewed while the work runs. The processes share a machine, so its wall clock serves them all; an expiry that no
   * holder could have set by the clock as it is now was set by one that was ahead, and does not count.
   */
  async withLock<T>(name: string, work: (signal: AbortSignal) => Promise<T>): Promise<T | "held"> {
    const owner = this.#random.token();
    if (!(await this.#claim(name, owner))) return "held";
    this.#owners.add(owner);
    const lost = new AbortController();
    let cancelTimer = (): void => {};
    let provenAt = this.#clock.now();
    const lose = (): void => lost.abort(new CacheError("ERR_CACHE_ABORTED", "the sync lock was lost"));
    const renew = (): void => {
      const askedAt = this.#clock.now();
      this.#claim(name, owner).then(
        (isOurs) => {
          if (!isOurs) return lose();
          provenAt = askedAt;
          schedule();
        },
        // The file may be free again before the lock ends; past its end another one may hold it.
        () => (this.#clock.now() - provenAt >= this.#lockTtlMs ? lose() : schedule()),
      );
    };
    const schedule = (): void => {
      if (!isOver) cancelTimer = this.#clock.setTimer(renew, this.#lockTtlMs / 3);
    };
    let isOver = false;
    schedule();
    try {
      return await work(lost.signal);
    } finally {
      isOver = true;
      cancelTimer();
      this.#owners.delete(owner);
      await this.query(FREE, [owner]).catch(() => {});
    }
  }

  /** Frees the locks of runs under way: nothing of them can be stored any more, and the next process need not wait for their end. */
  async close(): Promise<void> {
    for (const owner of this.#owners) await this.query(FREE, [owner]).catch(() => {});
    await this.#queue.run(async () => this.#driver.close());
  }

  async #claim(name: string, owner: string): Promise<boolean> {
    const now = this.#clock.wallNow();
    await this.query(
      "INSERT INTO larder_sync_locks AS held (name, owner, expires_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at WHERE held.owner = excluded.owner OR held.expires_at <= ? OR held.expires_at > ?",
      [name, owner, now + this.#lockTtlMs, now, now + 10 * this.#lockTtlMs],
    );
    const [row] = await this.query("SELECT owner FROM larder_sync_locks WHERE name = ?", [name]);
    return row?.owner === owner;
  }

  #run(statement: string, parameters: readonly SqlValue[]): SqlRow[] {
    return this.#driver.run(statement, parameters);
  }

  #rollBack(): void {
    try {
      this.#driver.execute("ROLLBACK");
    } catch {
      // SQLite rolled back by itself.
    }
  }

  async #whenFree<T>(attempt: () => T): Promise<T> {
    const giveUpAt = this.#clock.now() + this.#busyTimeoutMs;
    for (;;) {
      try {
        return attempt();
      } catch (error) {
        if (!isBusy(error) || this.#clock.now() >= giveUpAt) throw error;
        await keepAlive(() => new Promise<void>((resolve) => void this.#clock.setTimer(resolve, BUSY_RETRY_MS)));
      }
    }
  }
}

/** Opens the database alone, without the store's schema: for tests of the store. */
export function openSqliteDatabase(options: SqliteStoreOptions): Promise<SqlDatabase> {
  return SqliteDatabase.open(options);
}

/**
 * The embedded store, in one file: `node:sqlite` where the runtime has it, else the peer dependency `libsql`. Several processes of one
 * machine may share the file.
 * @throws {CacheError} ERR_CACHE_BACKEND when the file cannot be opened or no driver is there
 */
export async function createSqliteStore(options: SqliteStoreOptions): Promise<SnapshotStore> {
  checkOptions(options, OPTIONS);
  return SqlSnapshotStore.open(await openSqliteDatabase(options), options);
}
