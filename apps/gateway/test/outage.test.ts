import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startFaultProxy, uniquePrefix } from "@larder/cache-testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { FakePostgres } from "./support/fake-postgres.ts";
import { type Bed, chat, startBed } from "./support/start.ts";

describe("a database that is away when the gateway starts", () => {
  it("keeps a gateway with virtual keys from being ready until it has been there, and no other", async () => {
    const home = await startBed();
    // Where the database's folder should be there is a file.
    const blocker = join(home.directory, "blocked");
    writeFileSync(blocker, "");
    const settings = { databaseUrl: "file:blocked/gateway.db", masterKey: "ab".repeat(32) } as const;
    const keyed = await home.peer({ ...settings, auth: "keys" });
    const open = await home.peer({ ...settings, auth: "none" });
    const readiness = async (bed: Bed): Promise<unknown> => {
      const answer = await fetch(`${bed.url}/readyz`);
      return [answer.status, ((await answer.json()) as { status: string }).status];
    };
    expect(await readiness(keyed)).toEqual([503, "starting"]);
    expect(await readiness(open)).toEqual([200, "ready"]);
    rmSync(blocker);
    await vi.waitUntil(async () => (await fetch(`${keyed.url}/readyz`)).status === 200, { timeout: 10_000, interval: 50 });
    expect((await keyed.admin("POST", "/admin/keys", { tenant: "t" })).status).toBe(201);
    for (const bed of [open, keyed, home]) await bed.close();
  });
});

describe("a database that goes and comes back", () => {
  it("is told as away and as there again although nobody asks for anything", async () => {
    let postgres = new FakePostgres();
    const databaseUrl = await postgres.listen();
    const bed = await startBed({ databaseUrl, masterKey: "ab".repeat(32) });
    const isThere = async (): Promise<boolean> =>
      ((await (await fetch(`${bed.url}/readyz`)).json()) as { backends: { database: boolean } }).backends.database;
    const gauge = async (): Promise<string | undefined> =>
      /^larder_backend_up\{backend="database"\} (\d)$/m.exec(await (await fetch(`${bed.url}/metrics`)).text())?.[1];
    expect([await isThere(), await gauge()]).toEqual([true, "1"]);
    await postgres.close();
    await vi.waitUntil(async () => !(await isThere()), { timeout: 15_000, interval: 50 });
    postgres = new FakePostgres();
    await postgres.listen(Number(new URL(databaseUrl).port));
    await vi.waitUntil(async () => (await gauge()) === "1", { timeout: 30_000, interval: 50 });
    await bed.close();
    await postgres.close();
  });
});

describe("a Redis that goes bad under load", () => {
  let proxy: Awaited<ReturnType<typeof startFaultProxy>>;
  let bed: Bed;
  beforeAll(async () => {
    proxy = await startFaultProxy(Number(new URL(process.env.REDIS_URL as string).port || 6379));
    bed = await startBed({ redisUrl: proxy.url, redisPrefix: uniquePrefix() });
  });
  afterAll(async () => {
    await bed.close();
    await proxy.close();
  });

  it.each([{ kind: "stall" }, { kind: "refuse" }, { kind: "black-hole" }, { kind: "corrupt", every: 7 }, { kind: "pass" }] as const)(
    "answers every request while it does this: $kind",
    async (fault) => {
      await bed.post("/v1/chat/completions", chat(`known ${fault.kind}`));
      await proxy.set(fault);
      const statuses = await Promise.all(
        Array.from({ length: 40 }, async (_, index) => {
          const text = index % 2 === 0 ? `known ${fault.kind}` : `new ${fault.kind} ${index}`;
          const response = await bed.post("/v1/chat/completions", chat(text, { stream: index % 4 > 1 }));
          await response.text();
          return `${response.status} ${index % 2 === 0 ? response.headers.get("x-larder-cache") : ""}`.trim();
        }),
      );
      expect([...new Set(statuses)].sort()).toEqual(["200", "200 HIT"]);
    },
  );

  it("an invalidation is obeyed here at once although Redis cannot hear it, and says that peers have not", async () => {
    await bed.post("/v1/chat/completions", chat("dropped in the dark"));
    await proxy.set({ kind: "refuse" });
    const answer = await bed.admin("POST", "/admin/cache/invalidate", { all: true });
    expect(await answer.json()).toMatchObject({ propagated: false });
    expect((await bed.post("/v1/chat/completions", chat("dropped in the dark"))).headers.get("x-larder-cache")).toBe("MISS");
    await proxy.set({ kind: "pass" });
  });

  it("a virtual key that is withdrawn says whether peers know", async () => {
    const make = async (): Promise<string> =>
      ((await (await bed.admin("POST", "/admin/keys", { tenant: "t" })).json()) as { id: string }).id;
    const withdraw = async (id: string): Promise<unknown> => (await bed.admin("DELETE", `/admin/keys/${id}`)).json();
    await vi.waitFor(async () => expect(await withdraw(await make())).toMatchObject({ deleted: true, propagated: true }), {
      timeout: 10_000,
    });
    const id = await make();
    await proxy.set({ kind: "refuse" });
    expect(await withdraw(id)).toMatchObject({ deleted: true, propagated: false });
    const { entries } = (await (await bed.admin("GET", "/admin/audit")).json()) as { entries: Array<{ action: string; detail: string }> };
    expect(JSON.parse(entries.find(({ action }) => action === "key.delete")?.detail ?? "{}")).toMatchObject({ id, propagated: false });
    await proxy.set({ kind: "pass" });
  });
});
