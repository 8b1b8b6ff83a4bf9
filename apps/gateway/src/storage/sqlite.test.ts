import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Row, Sql } from "./sql.ts";
import { openSqlite } from "./sqlite.ts";

/** Two processes' connections to one file, and a third that keeps the writers' turn to itself. */
async function setUp(): Promise<{ one: Sql; other: Sql; holder: Database.Database }> {
  const folder = mkdtempSync(join(tmpdir(), "larder-sqlite-"));
  const path = join(folder, "gateway.db");
  const one = await openSqlite(path);
  const other = await openSqlite(path);
  await one.run("CREATE TABLE kept (id TEXT PRIMARY KEY)");
  const holder = new Database(path);
  onTestFinished(async () => {
    holder.close();
    for (const sql of [one, other]) await sql.close();
    rmSync(folder, { recursive: true });
  });
  return { one, other, holder };
}

const ids = (rows: readonly Row[]): unknown[] => rows.map((row) => row.id);

describe("a SQLite file that several processes write", () => {
  it("keeps what is written between two attempts of a write that waits, and gives its rows", async () => {
    const { one, other, holder } = await setUp();
    await one.run("INSERT INTO kept (id) VALUES (?)", ["old"]);
    holder.exec("BEGIN IMMEDIATE");
    const deleted = one.run("DELETE FROM kept WHERE id = ? RETURNING id", ["old"]);
    const table = one.run("CREATE TABLE IF NOT EXISTS more (id TEXT)");
    holder.exec("COMMIT");
    await one.run("INSERT INTO kept (id) VALUES (?)", ["new"]);
    expect(ids(await other.run("SELECT id FROM kept ORDER BY id"))).toContain("new");
    expect(ids(await deleted)).toEqual(["old"]);
    await table;
    expect(ids(await other.run("SELECT id FROM kept"))).toEqual(["new"]);
    expect(await other.run("SELECT id FROM more")).toEqual([]);
    await other.run("INSERT INTO kept (id) VALUES (?)", ["other's"]);
    expect(ids(await one.run("SELECT id FROM kept ORDER BY id"))).toEqual(["new", "other's"]);
  });

  it("leaves no transaction open behind a write that is refused", async () => {
    const { one, other } = await setUp();
    await one.run("INSERT INTO kept (id) VALUES (?)", ["twice"]);
    await expect(one.run("INSERT INTO kept (id) VALUES (?)", ["twice"])).rejects.toThrow("UNIQUE");
    await other.run("INSERT INTO kept (id) VALUES (?)", ["other's"]);
    expect(ids(await one.run("SELECT id FROM kept ORDER BY id"))).toEqual(["other's", "twice"]);
  });
});
