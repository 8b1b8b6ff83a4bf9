import { randomBytes } from "node:crypto";
import { uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { keyIdOf, Sealer } from "../src/security/sealer.ts";
import { GatewayStore, type StoredProvider } from "../src/storage/gateway-store.ts";
import { type Bed, chat, startBed, until } from "./support/start.ts";

const CANARY = "sk-canary-rotated-5h2k";
const newKey = (): string => randomBytes(32).toString("hex");
const idOf = (key: string): string => keyIdOf(Buffer.from(key, "hex"));

const open: Array<{ close(): Promise<void> }> = [];
afterEach(async () => {
  for (const item of open.splice(0).reverse()) await item.close();
});
const keep = <T extends { close(): Promise<void> }>(item: T): T => {
  open.push(item);
  return item;
};

/** A provider with a credential, saved by a gateway with this master key. */
async function saveWith(masterKey: string, settings: Parameters<typeof startBed>[0] = {}): Promise<{ bed: Bed; store: GatewayStore }> {
  const bed = keep(await startBed({ masterKey, allowedPrivateHosts: ["127.0.0.1"], ...settings }));
  const body = { apiKey: CANARY, baseUrl: bed.upstream.url, models: ["rotated-model"], headers: { "api-key": `${CANARY}-header` } };
  expect((await bed.admin("PUT", "/admin/providers/rotated", body)).status).toBe(200);
  return { bed, store: keep(new GatewayStore("file:.larder/gateway.db", bed.directory)) };
}

const rowOf = async (store: GatewayStore): Promise<StoredProvider> => (await store.listProviders())[0] as StoredProvider;
const sealedBy = async (store: GatewayStore): Promise<string | undefined> => (await rowOf(store)).sealedKey?.split(".")[1];
const ask = (bed: Bed, text: string): Promise<Response> => bed.post("/v1/chat/completions", chat(text, { model: "rotated-model" }));

describe("a new LARDER_MASTER_KEY beside the previous one", () => {
  it("seals stored credentials anew, without a request or a restart in between, and the previous one is needed no more", async () => {
    const [former, next] = [newKey(), newKey()];
    const { bed, store } = await saveWith(former);
    expect(await sealedBy(store)).toBe(idOf(former));
    const { updatedAt } = await rowOf(store);
    const rotated = keep(await bed.peer({ masterKey: next, previousMasterKeys: [former] }));
    await until(() => rotated.logs.some((line) => line.includes("sealed anew")));
    expect([await sealedBy(store), (await rowOf(store)).updatedAt]).toEqual([idOf(next), updatedAt]);
    expect(rotated.logs.join("\n")).not.toContain(CANARY);
    const after = keep(await bed.peer({ masterKey: next }));
    for (const gateway of [rotated, after]) {
      expect((await ask(gateway, `as ${gateway.url}`)).status).toBe(200);
      const { authorization, "api-key": apiKey } = bed.upstream.seen.at(-1)?.headers ?? {};
      expect([authorization, apiKey]).toEqual([`Bearer ${CANARY}`, `${CANARY}-header`]);
    }
    expect(after.logs.some((line) => line.includes("sealed anew"))).toBe(false);
  });

  it("and without the previous one the provider cannot be used, nothing is sealed anew, and all others go on", async () => {
    const [former, next] = [newKey(), newKey()];
    const { bed, store } = await saveWith(former);
    const blind = keep(await bed.peer({ masterKey: next }));
    expect((await blind.post("/v1/chat/completions", chat("others go on"))).status).toBe(200);
    const { calls } = bed.upstream;
    const refused = await ask(blind, "not by another provider");
    expect(refused.headers.get("retry-after")).toBe("60");
    expect([refused.status, await refused.text(), bed.upstream.calls]).toEqual([503, expect.stringContaining("master key"), calls]);
    const { providers } = (await (await blind.admin("GET", "/admin/providers")).json()) as { providers: Array<Record<string, unknown>> };
    expect(providers.find(({ id }) => id === "rotated")).toMatchObject({ hasApiKey: false, isSealed: true, isBreakerOpen: false });
    expect(blind.logs.some((line) => line.includes("was sealed with another master key"))).toBe(true);
    expect(await sealedBy(store)).toBe(idOf(former));
  });

  it("and without the previous one a save must bring the key and the headers anew, and the provider is used again", async () => {
    const { bed } = await saveWith(newKey());
    const blind = keep(await bed.peer({ masterKey: newKey() }));
    const save = async (input: object) => {
      const response = await blind.admin("PUT", "/admin/providers/rotated", {
        baseUrl: bed.upstream.url,
        models: ["rotated-model"],
        ...input,
      });
      return [response.status, JSON.stringify(await response.json())];
    };
    for (const input of [{}, { apiKey: "sk-another" }, { headers: {} }]) {
      const [status, told] = await save(input);
      expect([status, told]).toEqual([400, expect.stringContaining("send apiKey and headers")]);
    }
    expect((await save({ apiKey: "sk-another", headers: {} }))[0]).toBe(200);
    expect((await ask(blind, "saved with the key of now")).status).toBe(200);
    expect(bed.upstream.seen.at(-1)?.headers.authorization).toBe("Bearer sk-another");
  });

  it("a save that comes in between wins over the sealing anew", async () => {
    const former = newKey();
    const { store } = await saveWith(former);
    const { sealedKey } = await rowOf(store);
    const saved = new Sealer(Buffer.from(former, "hex")).seal("sk-saved-meanwhile", "provider:rotated");
    const row = await rowOf(store);
    expect(await store.putProvider({ ...row, sealedKey: saved }, row)).toBe(true);
    expect(await store.resealProvider("rotated", sealedKey as string, "v1.stale")).toBe(false);
    expect((await rowOf(store)).sealedKey).toBe(saved);
    expect(await store.resealProvider("rotated", saved, "v1.fresh")).toBe(true);
  });

  it("a provider's key that is saved while another save leaves it out stays, also where that one is written later", async () => {
    const { bed } = await saveWith(newKey());
    const peer = keep(await bed.peer());
    const save = (gateway: Bed, input: object): Promise<Response> =>
      gateway.admin("PUT", "/admin/providers/rotated", { baseUrl: bed.upstream.url, models: ["rotated-model"], ...input });
    const write = GatewayStore.prototype.putProvider;
    const writing = vi.spyOn(GatewayStore.prototype, "putProvider").mockImplementationOnce(async function (this: GatewayStore, ...told) {
      expect((await save(peer, { apiKey: "sk-saved-in-between" })).status).toBe(200);
      return write.apply(this, told);
    });
    onTestFinished(() => writing.mockRestore());
    expect((await save(bed, { displayName: "renamed" })).status).toBe(200);
    expect((await ask(bed, "with both changes")).status).toBe(200);
    expect(bed.upstream.seen.at(-1)?.headers.authorization).toBe("Bearer sk-saved-in-between");
    expect(await (await bed.admin("GET", "/admin/providers/rotated")).json()).toMatchObject({ displayName: "renamed" });
  });

  it("a provider whose settings cannot be read is saved anew with all that belongs to it", async () => {
    const { bed, store } = await saveWith(newKey());
    const row = await rowOf(store);
    // As after the way back from a release that knows more kinds.
    expect(await store.putProvider({ ...row, settings: JSON.stringify({ baseUrl: bed.upstream.url, kind: "another" }) }, row)).toBe(true);
    const save = (input: object): Promise<Response> =>
      bed.admin("PUT", "/admin/providers/rotated", { baseUrl: bed.upstream.url, models: ["rotated-model"], ...input });
    expect((await save({})).status).toBe(400);
    expect((await save({ apiKey: "sk-saved-anew", headers: {} })).status).toBe(200);
    expect((await ask(bed, "saved anew")).status).toBe(200);
    expect(bed.upstream.seen.at(-1)?.headers.authorization).toBe("Bearer sk-saved-anew");
  });

  // Its models, and all that is asked for under its id, went to the default upstream: prompts to somebody for whom they were not, in the name of another.
  it("a provider whose settings cannot be read keeps its models, is told in the list, and nobody else is asked in its place", async () => {
    const { bed, store } = await saveWith(newKey());
    const row = await rowOf(store);
    const later = { baseUrl: bed.upstream.url, kind: "another", models: ["rotated-model", { name: "one" }], displayName: "Later" };
    expect(await store.putProvider({ ...row, settings: JSON.stringify(later) }, row)).toBe(true);
    const peer = keep(await bed.peer());
    const { calls } = bed.upstream;
    for (const model of ["rotated-model", "rotated/anything"]) {
      const refused = await peer.post("/v1/chat/completions", chat(model, { model }));
      expect([refused.status, await refused.text(), bed.upstream.calls]).toEqual([
        503,
        expect.stringContaining("settings cannot be read"),
        calls,
      ]);
    }
    const { providers } = (await (await peer.admin("GET", "/admin/providers")).json()) as { providers: Array<Record<string, unknown>> };
    const told = { id: "rotated", displayName: "Later", models: ["rotated-model"], isUnreadable: true };
    expect(providers.find(({ id }) => id === "rotated")).toMatchObject(told);
    const single = await peer.admin("GET", "/admin/providers/rotated");
    expect([single.status, await single.json()]).toEqual([200, expect.objectContaining(told)]);
    expect((await peer.post("/v1/chat/completions", chat("others go on"))).status).toBe(200);
  });

  it("of a provider whose settings are no JSON the id is kept", async () => {
    const { bed, store } = await saveWith(newKey());
    const row = await rowOf(store);
    expect(await store.putProvider({ ...row, settings: "{" }, row)).toBe(true);
    const peer = keep(await bed.peer());
    expect((await peer.post("/v1/chat/completions", chat("x", { model: "rotated/anything" }))).status).toBe(503);
    expect(await (await peer.admin("GET", "/admin/providers/rotated")).json()).toMatchObject({ models: [], isUnreadable: true });
  });

  it("what is given as previous must be keys", async () => {
    await expect(startBed({ masterKey: newKey(), previousMasterKeys: ["canary"] })).rejects.toThrow(
      /LARDER_MASTER_KEY_PREVIOUS(?!.*canary)/s,
    );
  });
});

describe("a fleet on one Redis that rotates", () => {
  it("shares answers and invalidations while both keys are in use", async () => {
    const [former, next] = [newKey(), newKey()];
    const redis = { redisUrl: process.env.REDIS_URL as string, redisPrefix: uniquePrefix() };
    expect(redis.redisUrl, "this test needs a real Redis").toBeTruthy();
    // First everyone learns the new key, then everyone uses it: here one process has gone on and the other has not yet.
    const one = keep(await startBed({ ...redis, masterKey: former, previousMasterKeys: [next] }));
    const two = keep(await one.peer({ masterKey: next, previousMasterKeys: [former, next] }));
    const verdict = async (bed: Bed, text: string, headers: Record<string, string> = {}): Promise<string | null> =>
      (await bed.post("/v1/chat/completions", chat(text), headers)).headers.get("x-larder-cache");
    for (const [from, to] of [
      [one, two],
      [two, one],
    ] as const) {
      const text = `rotating from ${from.url}`;
      // The write to Redis is off the answer's path, and goes without where Redis is slow: made anew until it is there.
      for (let told: string | null = null; told !== "HIT"; ) {
        await verdict(from, text, { "cache-control": "no-cache" });
        told = await verdict(to, text, { "cache-control": "only-if-cached" });
      }
      const dropped = (await (await from.admin("POST", "/admin/cache/invalidate", { all: true })).json()) as { propagated: boolean };
      expect(dropped.propagated).toBe(true);
      let told = await verdict(to, text, { "cache-control": "only-if-cached" });
      for (let look = 0; look < 200 && told === "HIT"; look += 1) told = await verdict(to, text, { "cache-control": "only-if-cached" });
      expect(told).toBe("MISS");
    }
  });

  it("obeys no publication on that Redis that is not signed with its key", async () => {
    const redis = { redisUrl: process.env.REDIS_URL as string, redisPrefix: uniquePrefix() };
    const one = keep(await startBed({ ...redis, masterKey: newKey() }));
    const two = keep(await one.peer());
    const listener = new Redis(redis.redisUrl);
    const client = new Redis(redis.redisUrl);
    onTestFinished(() => {
      for (const opened of [listener, client]) opened.disconnect();
    });
    const verdict = async (text: string): Promise<string | null> => {
      const headers = { "cache-control": "only-if-cached" };
      return (await one.post("/v1/chat/completions", chat(text), headers)).headers.get("x-larder-cache");
    };
    const keyOf = async (text: string): Promise<string> => {
      // Nothing is kept before the first proof that no invalidation is missed.
      while ((await verdict(text)) !== "HIT") await (await one.post("/v1/chat/completions", chat(text))).text();
      return ((await (await one.admin("POST", "/admin/cache/explain", chat(text))).json()) as { key: string }).key;
    };
    const dropThere = (key: string): Promise<Response> => two.admin("POST", "/admin/cache/invalidate", { key });
    const untilDropped = async (text: string): Promise<void> => {
      for (let look = 0; look < 500 && (await verdict(text)) === "HIT"; look += 1);
      expect(await verdict(text)).toBe("MISS");
    };
    /** Whether the first tier still had it. */
    const isKept = async (text: string): Promise<boolean> => {
      const hits = async (): Promise<number> => {
        const stats = (await (await one.admin("GET", "/admin/cache/stats")).json()) as { cache: { tiers: { l1: { hits: number } } } };
        return stats.cache.tiers.l1.hits;
      };
      const before = await hits();
      return (await verdict(text)) === "HIT" && (await hits()) > before;
    };
    const dropped = await keyOf("dropped");
    await listener.psubscribe(`${redis.redisPrefix}*`);
    const published = new Promise<readonly [string, string]>((resolve) => {
      listener.on("pmessage", (_pattern: string, to: string, message: string) => {
        if (message.includes(dropped)) resolve([to, message]);
      });
    });
    await dropThere(dropped);
    await untilDropped("dropped");
    const [channel, message] = await published;
    const isObeyed = async (round: number): Promise<boolean> => {
      const [kept, last] = [await keyOf(`kept ${round}`), await keyOf(`last ${round}`)];
      while (!(await isKept(`kept ${round}`)));
      expect(await client.publish(channel, message.replaceAll(dropped, kept))).toBeGreaterThan(1);
      // They come in order: whoever has obeyed the last one has heard those before it.
      await dropThere(last);
      await untilDropped(`last ${round}`);
      return !(await isKept(`kept ${round}`));
    };
    // A busy machine may lose its order, and drop everything: once in a while, and not each time.
    let round = 0;
    while ((await isObeyed(round)) && round < 10) round += 1;
    expect(round).toBeLessThan(10);
  });
});
