import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ManualClock, waitUntil } from "@larder/cache-testing";
import { describe, expect, it, onTestFinished } from "vitest";
import type { SqlDatabase } from "./sql/sql-database.ts";
import { openSqliteDriver } from "./sql/sqlite-driver.ts";
import { sqlitePath } from "./sql/sqlite-path.ts";
import { createSqliteStore, openSqliteDatabase } from "./sqlite.ts";

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "larder-sqlite-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

describe("the runner's lock in SQLite", () => {
  const ttlMs = 30_000;
  async function setUp(): Promise<{ clock: ManualClock; holder: SqlDatabase; other: SqlDatabase }> {
    const clock = new ManualClock();
    const path = join(folder(), "catalog.db");
    await (await createSqliteStore({ path })).close();
    const open = (): Promise<SqlDatabase> => openSqliteDatabase({ path, clock, lockTtlMs: ttlMs });
    return { clock, holder: await open(), other: await open() };
  }
  /** Takes the name and never gives it back, as a process that dies. */
  async function holdForEver(database: SqlDatabase): Promise<AbortSignal> {
    return new Promise((resolve) => {
      void database.withLock("sync", (signal) => {
        resolve(signal);
        return new Promise(() => {});
      });
    });
  }

  it("is not held for a month by a process that died while the clock was a month ahead", async () => {
    const { clock, holder, other } = await setUp();
    clock.jumpWall(30 * 86_400_000);
    await holdForEver(holder);
    expect(await other.withLock("sync", async () => "mine")).toBe("held");
    clock.jumpWall(-30 * 86_400_000);
    expect(await other.withLock("sync", async () => "mine")).toBe("mine");
  });

  it("is told as lost by a holder whose file is away for longer than it lasts", async () => {
    const { clock, holder } = await setUp();
    const signal = await holdForEver(holder);
    await holder.query("ALTER TABLE larder_sync_locks RENAME TO away");
    for (let renewals = 0; renewals < 2; renewals += 1) await clock.advanceAsync(ttlMs / 3);
    expect(signal.aborted).toBe(false);
    for (let renewals = 0; renewals < 2; renewals += 1) await clock.advanceAsync(ttlMs / 3);
    expect(signal.aborted).toBe(true);
  });
});

describe("the path of a SQLite file", () => {
  it("is the one that its URL names, where spaces and letters are escaped in it, and a path as it is", async () => {
    const path = join(folder(), "catalog of ü.db");
    await (await createSqliteStore({ path: pathToFileURL(path).href })).close();
    expect(existsSync(path)).toBe(true);
    const named = [`file:${path}`, `file://${path}`, path, "file:a%20b.db", "file:///100%/a.db", ":memory:", "file::memory:"].map(
      sqlitePath,
    );
    expect(named).toEqual([path, path, path, "a%20b.db", "/100%/a.db", ":memory:", ":memory:"]);
  });
});

describe("a SQLite file whose store was closed", () => {
  it("holds all of it: a copy of the file alone is a backup", async () => {
    const path = join(folder(), "catalog.db");
    const store = await createSqliteStore({ path });
    await store.recordAlert("told", 7);
    await store.close();
    copyFileSync(path, `${path}.copy`);
    const copy = await createSqliteStore({ path: `${path}.copy` });
    expect(await copy.alertedAt("told")).toBe(7);
    await copy.close();
  });
});

describe("a SQLite file that another process is making or writing to", () => {
  it("is waited for when it is opened, as later", async () => {
    const clock = new ManualClock();
    const path = join(folder(), "catalog.db");
    const other = await openSqliteDriver(path);
    other.execute("BEGIN EXCLUSIVE");
    const opening = createSqliteStore({ path, clock });
    await waitUntil("it waits", () => clock.pendingTimers > 0);
    other.execute("COMMIT");
    other.close();
    await clock.advanceAsync(100);
    const store = await opening;
    expect(await store.head()).toBe(undefined);
    await store.close();
  });

  it("keeps what is written after a write for which it was busy too long", async () => {
    const clock = new ManualClock();
    const path = join(folder(), "catalog.db");
    const database = await openSqliteDatabase({ path, clock, busyTimeoutMs: 1_000 });
    await database.query("CREATE TABLE kept (id TEXT)");
    const other = await openSqliteDriver(path);
    other.execute("BEGIN IMMEDIATE");
    const refused = expect(database.query("INSERT INTO kept (id) VALUES (?)", ["refused"])).rejects.toThrow("locked");
    await waitUntil("it waits", () => clock.pendingTimers > 0);
    await clock.advanceAsync(2_000);
    await refused;
    other.execute("COMMIT");
    await database.query("INSERT INTO kept (id) VALUES ('kept')");
    expect(other.run("SELECT id FROM kept", [])).toEqual([{ id: "kept" }]);
    other.close();
    await database.close();
  });

  it("is not made for bad options", async () => {
    const path = join(folder(), "catalog.db");
    await expect(createSqliteStore({ path, busyTimeoutMs: 0 })).rejects.toMatchObject({ code: "ERR_CACHE_INVALID_OPTION" });
    expect(existsSync(path)).toBe(false);
  });
});

describe("a SQLite file that cannot be opened", () => {
  it.each(["missing-folder/catalog.db", "text.db"])("is told with what to look at: %s", async (name) => {
    const path = folder();
    writeFileSync(join(path, "text.db"), "no database ".repeat(100));
    await expect(createSqliteStore({ path: join(path, name) })).rejects.toThrow(/^\[ERR_CACHE_BACKEND] .*(folder that exists|failed: \S)/);
  });
});
