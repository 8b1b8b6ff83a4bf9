import { existsSync } from "node:fs";
import { CacheError } from "@larder/cache-core";
import type { SnapshotStore } from "../snapshot-store.ts";
import type { SqlDatabase } from "../sql/sql-database.ts";
import { sqlitePath } from "../sql/sqlite-path.ts";
import type { CliArguments } from "./arguments.ts";

type Asked = Pick<CliArguments, "database" | "command" | "isDryRun">;

/** Whether the store's tables are there; it makes them where they are not. What else goes wrong here says so when the store is opened, but for no answer: that is not waited for twice. */
async function hasTables(database: SqlDatabase): Promise<boolean> {
  const statement =
    database.dialect === "postgres"
      ? "SELECT 1 AS there WHERE to_regclass('larder_sync_meta') IS NOT NULL"
      : "SELECT 1 AS there FROM sqlite_master WHERE name = 'larder_sync_meta'";
  try {
    return (await database.query(statement)).length > 0;
  } catch (error) {
    if (CacheError.is(error)) throw error;
    return true;
  } finally {
    await database.close();
  }
}

async function isCatalog(address: string, isPostgres: boolean): Promise<boolean> {
  if (isPostgres) return hasTables((await import("../postgres.ts")).openPostgresDatabase({ url: address }));
  return hasTables(await (await import("../sqlite.ts")).openSqliteDatabase({ path: sqlitePath(address) }));
}

/** A store that nothing is kept in: what a dry run starts from where there is no catalog. */
async function emptyStore(): Promise<SnapshotStore> {
  return (await import("../sqlite.ts")).createSqliteStore({ path: ":memory:" });
}

/**
 * Opens the store. A run alone makes what is not there: a mistyped address would be an empty catalog, and another program's database would get
 * tables from a look at it.
 */
export async function openStore({ database, command, isDryRun }: Asked): Promise<SnapshotStore> {
  const isPostgres = /^postgres(ql)?:/.test(database);
  const path = isPostgres ? "" : sqlitePath(database);
  const isMaking = command === "sync" && !isDryRun;
  if (!isMaking && path !== ":memory:") {
    const isFile = isPostgres || existsSync(path);
    if (!isFile && command !== "sync") throw new Error("there is no such SQLite file: see --database; larder-sync alone makes one");
    const isThere = isFile && (await isCatalog(database, isPostgres));
    if (!isThere && command !== "sync")
      throw new Error("there is no catalog in this database: see --database; larder-sync alone makes one");
    if (!isThere) return emptyStore();
  }
  if (isPostgres) return (await import("../postgres.ts")).createPostgresStore({ url: database });
  return (await import("../sqlite.ts")).createSqliteStore({ path });
}
