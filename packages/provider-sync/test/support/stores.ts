import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { uniquePrefix } from "@larder/cache-testing";
import postgres from "postgres";
import type { SnapshotStore } from "../../src/index.ts";
import { openPostgresDatabase } from "../../src/postgres.ts";
import type { SqlDatabase } from "../../src/sql/sql-database.ts";
import { type RetentionOptions, SqlSnapshotStore } from "../../src/sql/sql-snapshot-store.ts";
import { openSqliteDatabase } from "../../src/sqlite.ts";

/** A database of a test's own, which several stores may open, as several processes would. */
export interface TestDatabase {
  readonly dialect: "sqlite" | "postgres";
  /** What `openDatabase` in a child process takes. */
  readonly address: string;
  openDatabase(): Promise<SqlDatabase>;
  openStore(options?: RetentionOptions): Promise<SnapshotStore>;
  remove(): Promise<void>;
}

/** Opens the database at an address made by `createTestDatabase`. */
export async function openDatabase(address: string): Promise<SqlDatabase> {
  if (!address.startsWith("postgres")) return openSqliteDatabase({ path: address });
  return openPostgresDatabase({ url: address, maxConnections: 3 });
}

function postgresUrl(): string {
  const url = process.env.LARDER_POSTGRES_URL ?? process.env.DATABASE_URL;
  if (!url?.startsWith("postgres"))
    throw new Error(
      "these tests need a PostgreSQL: run them through `node scripts/with-redis.mjs node scripts/with-postgres.mjs vitest run`",
    );
  return url;
}

async function createPostgresDatabase(): Promise<{ address: string; remove: () => Promise<void> }> {
  const name = uniquePrefix("larder").replaceAll("-", "_");
  const admin = postgres(postgresUrl(), { max: 1, onnotice: () => {} });
  await admin.unsafe(`CREATE DATABASE ${name}`);
  const url = new URL(postgresUrl());
  url.pathname = `/${name}`;
  const remove = async (): Promise<void> => {
    await admin.unsafe(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await admin.end();
  };
  return { address: url.href, remove };
}

async function createSqliteFile(): Promise<{ address: string; remove: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "larder-sync-"));
  return { address: join(folder, "catalog.db"), remove: async () => rmSync(folder, { recursive: true, force: true }) };
}

/** A fresh database of the dialect. */
export async function createTestDatabase(dialect: "sqlite" | "postgres"): Promise<TestDatabase> {
  const { address, remove } = dialect === "postgres" ? await createPostgresDatabase() : await createSqliteFile();
  const opened: SnapshotStore[] = [];
  return {
    dialect,
    address,
    openDatabase: () => openDatabase(address),
    openStore: async (options = {}) => {
      const store = await SqlSnapshotStore.open(await openDatabase(address), options);
      opened.push(store);
      return store;
    },
    remove: async () => {
      for (const store of opened) await store.close();
      await remove();
    },
  };
}
