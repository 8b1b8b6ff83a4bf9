import { randomUUID } from "node:crypto";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@larder/cache-testing";
import Database from "libsql";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createSettings } from "../src/config/read-settings.ts";
import { Sealer } from "../src/security/sealer.ts";
import { GatewayStore, type StoredProvider } from "../src/storage/gateway-store.ts";
import { openPostgres } from "../src/storage/postgres.ts";
import { createLog } from "../src/telemetry/log.ts";
import { PooledUpstream } from "../src/upstream/pooled-upstream.ts";
import { ProviderDirectory } from "../src/upstream/provider-directory.ts";
import { slotOf } from "../src/upstream/provider-secrets.ts";
import { FakePostgres } from "./support/fake-postgres.ts";
import { chat, startBed, until } from "./support/start.ts";

let postgres: FakePostgres;
let directory: string;
beforeEach(() => {
  postgres = new FakePostgres();
  directory = mkdtempSync(join(tmpdir(), "larder-database-"));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await postgres.close();
  rmSync(directory, { recursive: true, force: true });
});

const key = (name: string): Parameters<GatewayStore["addKey"]>[0] => ({
  ...{ id: randomUUID(), hash: name, tenant: "t", name, limits: "{}", hint: "abcd", createdAt: 1 },
});

describe("a PostgreSQL that is frozen", () => {
  it("is waited for a while, and then given up with its connections", async () => {
    const sql = await openPostgres(await postgres.listen(), 500);
    expect(await sql.run("SELECT 1")).toHaveLength(0);
    expect([sql.isLost, postgres.connections.size]).toEqual([false, 1]);
    postgres.isFrozen = true;
    await expect(sql.run("SELECT 1")).rejects.toMatchObject({ code: "ERR_DATABASE_TIMEOUT" });
    expect(sql.isLost).toBe(true);
    await until(() => postgres.connections.size === 0);
  });

  it("keeps no request waiting where providers are known", async () => {
    const frozen = new Promise<StoredProvider[]>(() => undefined);
    let reads = 0;
    const listProviders = (): Promise<StoredProvider[]> => {
      reads += 1;
      return reads === 1 ? Promise.resolve([]) : frozen;
    };
    const upstream = new PooledUpstream({ connections: 1 });
    const providers = new ProviderDirectory({
      settings: createSettings({ providerConfigTtlMs: 1 }),
      store: { listProviders } as unknown as GatewayStore,
      sealer: new Sealer(Buffer.alloc(32)),
      bus: undefined,
      trusted: upstream,
      guarded: upstream,
      log: createLog("silent"),
    });
    const known = await providers.table();
    await vi.waitUntil(() => providers.table() instanceof Promise, { timeout: 15_000 });
    expect(await providers.table()).toBe(known);
    expect(reads).toBe(2);
    await providers.close();
    await upstream.close();
  });
});

describe("a database that is gone right after a save", () => {
  const sealer = new Sealer(Buffer.alloc(32));
  const rowOf = (id: string, apiKey: string): StoredProvider => ({
    ...{ id, settings: JSON.stringify({ baseUrl: "http://127.0.0.1:9", hasApiKey: true }), updatedAt: 1 },
    sealedKey: sealer.seal(apiKey, slotOf(id)),
  });

  // Regression: what was read last was used for as long as the database was away, the credential that had been rotated with it.
  it("is missed by nobody who asks for what was saved and removed here", async () => {
    const reads: Array<{ resolve(rows: StoredProvider[]): void; reject(error: Error): void }> = [];
    const listProviders = (): Promise<StoredProvider[]> => new Promise((resolve, reject) => reads.push({ resolve, reject }));
    const upstream = new PooledUpstream({ connections: 1 });
    const providers = new ProviderDirectory({
      ...{ settings: createSettings(), store: { listProviders } as unknown as GatewayStore, sealer, bus: undefined },
      ...{ trusted: upstream, guarded: upstream, log: createLog("silent") },
    });
    const keysIn = async (asked: ReturnType<typeof providers.table>): Promise<Array<string | undefined>> => {
      const table = await asked;
      return ["kept", "removed", "rotated"].map((id) => table.providers.get(id)?.apiKey?.reveal());
    };
    const former = [rowOf("kept", "sk-kept"), rowOf("removed", "sk-removed"), rowOf("rotated", "sk-former")];
    const first = providers.table();
    reads[0]?.resolve(former);
    expect(await keysIn(first)).toEqual(["sk-kept", "sk-removed", "sk-former"]);

    await providers.invalidate();
    const overtaken = providers.table();
    await providers.changed("rotated", rowOf("rotated", "sk-new"));
    await providers.changed("removed", undefined);
    const next = providers.table();
    reads[1]?.resolve(former);
    await overtaken;
    reads[2]?.reject(new Error("away"));
    expect(await keysIn(next)).toEqual(["sk-kept", undefined, "sk-new"]);
    await providers.close();
    await upstream.close();
  });

  // Regression: the write failed for who made it, and the former credential or key was used here and by peers for as long as it was kept.
  it("is asked anew when the answer to the save was lost, although it had been done", async () => {
    const bed = await startBed({ auth: "keys", allowedPrivateHosts: ["127.0.0.1"] });
    const save = (apiKey: string): Promise<Response> =>
      bed.admin("PUT", "/admin/providers/rotated", { apiKey, baseUrl: bed.upstream.url, models: ["rotated-model"] });
    const made = await bed.admin("POST", "/admin/keys", { tenant: "t" });
    const { id, key: virtualKey } = (await made.json()) as { id: string; key: string };
    const ask = async (text: string): Promise<[number, string | undefined]> => {
      const sent = chat(text, { model: "rotated-model" });
      const { status } = await bed.post("/v1/chat/completions", sent, { authorization: `Bearer ${virtualKey}` });
      return [status, bed.upstream.seen.splice(0).at(-1)?.headers.authorization];
    };
    expect([(await save("sk-former")).status, await ask("before")]).toEqual([200, [200, "Bearer sk-former"]]);

    answerIsLost("putProvider");
    expect([(await save("sk-new")).status, await ask("after")]).toEqual([503, [200, "Bearer sk-new"]]);
    answerIsLost("deleteProvider");
    const removed = await bed.admin("DELETE", "/admin/providers/rotated");
    expect([removed.status, await ask("removed")]).toEqual([503, [200, "Bearer sk-upstream-canary-7f3a9c"]]);
    answerIsLost("deleteKey");
    const withdrawn = await bed.admin("DELETE", `/admin/keys/${id}`);
    expect([withdrawn.status, await ask("withdrawn")]).toEqual([503, [401, undefined]]);
    await bed.close();
  });
});

/** The next such write is done, and its answer does not come. */
function answerIsLost(method: "putProvider" | "deleteProvider" | "deleteKey"): void {
  const write = GatewayStore.prototype[method] as (...given: unknown[]) => Promise<unknown>;
  vi.spyOn(GatewayStore.prototype, method).mockImplementationOnce(async function (this: GatewayStore, ...given: unknown[]) {
    await write.apply(this, given);
    throw new Error("the connection broke");
  });
}

describe("a PostgreSQL that was away", () => {
  it("is opened behind, while whoever needs it is refused at once, and told as there as soon as it is", async () => {
    const port = await freePort();
    const told: boolean[] = [];
    const store = new GatewayStore(`postgres://u:p@127.0.0.1:${port}/x`, directory, (isUp) => void told.push(isUp));
    expect(await store.check()).toBe(false);
    await postgres.listen(port);
    postgres.isFrozen = true;
    // The next attempt comes to nothing as long as the server says nothing, and nobody waits for it.
    await vi.waitUntil(async () => !(await store.check()) && postgres.connections.size > 0, { timeout: 10_000, interval: 50 });
    for (let round = 0; round < 3; round += 1) await expect(store.listKeys()).rejects.toThrow("not available");
    postgres.isFrozen = false;
    for (const connection of postgres.connections) connection.destroy();
    await vi.waitUntil(async () => store.isUp || (await store.check()), { timeout: 10_000, interval: 50 });
    expect(await store.listKeys()).toEqual([]);
    expect(told).toEqual([false, true]);
    await store.close();
  });
});

it("a PostgreSQL whose tables other processes make at the same time is there, and nobody is told otherwise", async () => {
  postgres.isRacing = true;
  const told: boolean[] = [];
  const store = new GatewayStore(await postgres.listen(), directory, (isUp) => void told.push(isUp));
  expect([await store.check(), told]).toEqual([true, []]);
  await store.close();
});

// It was away for ever: nobody with a virtual key was let in.
it("a PostgreSQL that lets nobody make tables, since it is a standby or the role may not, is used where they are there", async () => {
  postgres.mayMakeTables = false;
  const told: boolean[] = [];
  const store = new GatewayStore(await postgres.listen(), directory, (isUp) => void told.push(isUp));
  expect([await store.check(), await store.listKeys(), told]).toEqual([true, [], []]);
  await store.close();
});

describe("an SQLite file in which somebody else writes", () => {
  it("is written to when that is done, and stops nothing meanwhile", async () => {
    const store = new GatewayStore("file:shared.db", directory);
    await store.addKey(key("before"));
    const other = new Database(join(directory, "shared.db"));
    other.exec("BEGIN IMMEDIATE");
    const written = store.addKey(key("after"));
    // The transaction of the provider sync, in this very process, goes on in a later turn.
    await new Promise((resolve) => setImmediate(resolve));
    other.exec("COMMIT");
    other.close();
    await written;
    expect(await store.listKeys()).toHaveLength(2);
    await store.close();
  });
});

// All of it stood in the file beside it, and a backup of the file that the settings name was an empty database.
it("a SQLite file that was closed holds by itself all that was written", async () => {
  const store = new GatewayStore("file:gateway.db", directory, () => {});
  await store.addKey(key("kept"));
  await store.close();
  copyFileSync(join(directory, "gateway.db"), join(directory, "backup.db"));
  const backup = new GatewayStore("file:backup.db", directory, () => {});
  expect(await backup.listKeys()).toMatchObject([{ name: "kept" }]);
  await backup.close();
});
