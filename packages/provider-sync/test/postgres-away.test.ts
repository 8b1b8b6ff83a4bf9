import { startFaultProxy, uniquePrefix } from "@larder/cache-testing";
import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type SnapshotStore, syncOnce } from "../src/index.ts";
import { createPostgresStore, openPostgresDatabase, type PostgresStoreOptions } from "../src/postgres.ts";
import type { SqlDatabase } from "../src/sql/sql-database.ts";
import { listings, ScriptedSource } from "./support/listings.ts";
import { poll } from "./support/poll.ts";
import { createTestDatabase, type TestDatabase } from "./support/stores.ts";

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase("postgres");
});
afterEach(() => database.remove());

function open(options: Partial<PostgresStoreOptions> = {}): SqlDatabase {
  const opened = openPostgresDatabase({ url: database.address, ...options });
  onTestFinished(() => opened.close());
  return opened;
}

/** Sessions that hold an advisory lock in this test's database: other tests have theirs on the same server. */
const HOLDERS =
  "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/** Holds a name until released, and tells when it has it. */
async function hold(own: SqlDatabase, name: string): Promise<{ signal: AbortSignal; release(): Promise<unknown> }> {
  return new Promise((resolve, reject) => {
    let end = (): void => {};
    const until = new Promise<void>((done) => (end = done));
    const whole = own.withLock(name, (signal) => {
      const release = (): Promise<unknown> => {
        end();
        return whole;
      };
      resolve({ signal, release });
      return until;
    });
    whole.catch(reject);
  });
}

describe("a PostgreSQL that does not answer", () => {
  it("ends calls and runs with an error in time, lets the store be closed, and is used again when it answers", async () => {
    const target = new URL(database.address);
    const proxy = await startFaultProxy(Number(target.port || 5432));
    onTestFinished(() => proxy.close());
    target.hostname = "127.0.0.1";
    target.port = String(proxy.port);
    const options = { url: target.href, timeoutMs: 700 };
    const store = await createPostgresStore(options);
    const source = new ScriptedSource(listings(100));
    expect(await syncOnce({ sources: [source], store })).toMatchObject({ outcome: "committed" });

    // Bytes are lost for good: a connection that was open then never answers again.
    await proxy.set({ kind: "black-hole" });
    const timeout = { code: "ERR_CACHE_TIMEOUT", retryable: true };
    await expect(store.state()).rejects.toMatchObject(timeout);
    await expect(store.recordAlert("a", 1)).rejects.toMatchObject(timeout);
    await expect(store.withLock("a", async () => 1)).rejects.toMatchObject(timeout);
    expect(await syncOnce({ sources: [source], store })).toMatchObject({ outcome: "failed", error: expect.stringContaining("700 ms") });

    await proxy.set({ kind: "pass" });
    expect(await syncOnce({ sources: [source], store })).toMatchObject({ outcome: "unchanged", models: 100 });
    await proxy.set({ kind: "black-hole" });
    const reading = store.latest().catch((error: unknown) => error);
    await store.close();
    expect(await reading).toMatchObject({ name: "CacheError" });
  });

  it("fails a transaction whose connection ends before its next statement, and nothing but it", async () => {
    const [own, other] = [open(), open()];
    const outcome = own.transaction(async (query) => {
      const [row] = await query("SELECT pg_backend_pid() AS session");
      await other.query("SELECT pg_terminate_backend(?::int)", [Number(row?.session)]);
      await new Promise((resolve) => setTimeout(resolve, 50));
      return query("SELECT 1 AS one");
    });
    await expect(outcome).rejects.toMatchObject({ code: expect.stringMatching(/CONNECTION_CLOSED|57P01/) });
    // What is thrown where nobody can catch it fails the test run by itself.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await own.transaction((query) => query("SELECT 2 AS two"))).toEqual([{ two: 2 }]);
  });

  it("is asked by the server's own clock to end a writer that freezes half-way", async () => {
    const [told] = await open({ timeoutMs: 700 }).transaction((query) =>
      query("SELECT current_setting('idle_in_transaction_session_timeout') AS timeout"),
    );
    expect(told).toEqual({ timeout: "2100ms" });
    const [outside] = await open().query("SELECT current_setting('idle_in_transaction_session_timeout') AS timeout");
    expect(outside).toEqual({ timeout: "0" });
  });
});

describe.each(["repeatable read", "serializable"])("a PostgreSQL whose transactions are %s by default", (level) => {
  it("takes the store's schema from processes that start together, and puts their runs in order", async () => {
    const strict = new URL(database.address);
    strict.searchParams.set("default_transaction_isolation", level);
    const stores = await Promise.all([1, 2, 3].map(() => createPostgresStore({ url: strict.href, maxConnections: 2 })));
    onTestFinished(() => Promise.all(stores.map((store) => store.close())).then(() => {}));
    const reports = await Promise.all(
      stores.map((store, index) => syncOnce({ sources: [new ScriptedSource(listings(100 + index), `source-${index}`)], store })),
    );
    expect(reports.map(({ outcome, version }) => [outcome, version]).sort()).toEqual([1, 2, 3].map((version) => ["committed", version]));
  });
});

describe("a PostgreSQL role that may not create tables", () => {
  /** Opens a store as a new role with these rights on the tables that are there. */
  async function withRole(rights: string, work: (store: SnapshotStore) => Promise<void>): Promise<void> {
    const role = uniquePrefix("role").replaceAll("-", "_");
    const admin = postgres(database.address, { max: 1, onnotice: () => {} });
    await admin.unsafe(`REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE ${role} LOGIN PASSWORD '${role}'`);
    try {
      await admin.unsafe(`GRANT ${rights} ON ALL TABLES IN SCHEMA public TO ${role}`);
      const url = new URL(database.address);
      [url.username, url.password] = [role, role];
      const store = await createPostgresStore({ url: url.href });
      await work(store).finally(() => store.close());
    } finally {
      await admin.unsafe(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      await admin.end();
    }
  }
  const source = new ScriptedSource(listings(120));

  it("opens the store of a schema that is up to date, and syncs where it may write", async () => {
    await syncOnce({ sources: [source], store: await database.openStore() });
    await withRole("SELECT, INSERT, UPDATE, DELETE", async (store) => {
      expect(await syncOnce({ sources: [new ScriptedSource(listings(121))], store })).toMatchObject({ outcome: "committed", version: 2 });
    });
  });

  it("reads a catalog where it may read alone, and a sync fails and says so", async () => {
    await syncOnce({ sources: [source], store: await database.openStore() });
    await withRole("SELECT", async (store) => {
      expect(await store.latest()).toMatchObject({ version: 1, modelCount: 120 });
      expect(await syncOnce({ sources: [source], store })).toMatchObject({ outcome: "failed", error: expect.stringContaining("42501") });
    });
  });
});

describe("the runner's lock in PostgreSQL", () => {
  it("is taken from a session that holds it and says nothing for its time to live", async () => {
    const frozen = postgres(database.address, { max: 1, onnotice: () => {} });
    onTestFinished(() => frozen.end({ timeout: 0 }));
    await frozen.unsafe("SELECT pg_advisory_lock(hashtextextended('larder:sync', 0))");
    expect(await open().withLock("sync", async () => "mine")).toBe("held");
    const own = open({ lockTtlMs: 400 });
    // By the server's clock, which is the one that judges.
    await own.query("SELECT pg_sleep(0.5)");
    expect(await own.withLock("sync", async () => "mine")).toBe("mine");
  });

  it("stays with a runner that goes on saying that it lives, and ends with its session at once", async () => {
    const holder = await hold(open({ lockTtlMs: 300 }), "sync");
    const other = open();
    const words = new Set<string>();
    const listen = async (): Promise<number> => {
      const [row] = await other.query(`SELECT state_change::text AS spoken FROM pg_stat_activity WHERE pid IN (${HOLDERS})`);
      words.add(String(row?.spoken));
      return words.size;
    };
    await poll(listen, { interval: 20 }).toBeGreaterThan(3);
    expect(await other.withLock("sync", async () => "mine")).toBe("held");
    expect(holder.signal.aborted).toBe(false);
    await other.query(`SELECT pg_terminate_backend(pid) FROM (${HOLDERS}) holders`);
    await poll(() => other.withLock("sync", async () => "mine"), { interval: 10 }).toBe("mine");
    await poll(() => holder.signal.aborted).toBe(true);
    await holder.release();
    expect(await other.withLock("sync", async () => "mine")).toBe("mine");
  });

  it("needs none of the connections of a caller's client, which may have one alone", async () => {
    const client = postgres(database.address, { max: 1, onnotice: () => {} });
    onTestFinished(() => client.end({ timeout: 0 }));
    const store = await createPostgresStore({ client });
    const source = new ScriptedSource(listings(100));
    const locked = await Promise.all([1, 2].map(() => store.withLock("sync", () => syncOnce({ sources: [source], store }))));
    expect(locked).toContainEqual(expect.objectContaining({ outcome: "committed" }));
    await store.close();
    expect(await client`SELECT 1 AS alive`).toHaveLength(1);
  });
});
