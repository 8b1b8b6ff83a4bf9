import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type Bed, chat, gate, startBed, until } from "./support/start.ts";

let bed: Bed | undefined;
afterEach(async () => {
  await bed?.close();
  bed = undefined;
});

const start = async (settings: Parameters<typeof startBed>[0]): Promise<Bed> => {
  bed = await startBed(settings);
  return bed;
};

async function ask({ post }: Bed, text: string, headers: Record<string, string> = {}): Promise<Response> {
  const response = await post("/v1/chat/completions", chat(text), headers);
  await response.clone().text();
  return response;
}

const verdictsOf = async (on: Bed, text: string): Promise<unknown[]> => [
  (await ask(on, text)).headers.get("x-larder-cache"),
  (await ask(on, text)).headers.get("x-larder-cache"),
];

async function statsOf({ admin }: Bed): Promise<{ cache: { entries: number; bytes: number } }> {
  return (await (await admin("GET", "/admin/cache/stats")).json()) as never;
}

// What other files test in passing is not told again here: each of these would have no effect that a test noticed.
describe("the setting", () => {
  it("cacheMaxEntries bounds the answers in memory", async () => {
    const on = await start({ cacheMaxEntries: 2 });
    for (let index = 0; index < 4; index += 1) await ask(on, `entry ${index}`);
    expect((await statsOf(on)).cache.entries).toBe(2);
  });

  it("cacheMaxBytes bounds their bytes", async () => {
    const on = await start({ cacheMaxBytes: "8kb" });
    for (let index = 0; index < 20; index += 1) await ask(on, `bytes ${index}`);
    const { entries, bytes } = (await statsOf(on)).cache;
    expect([entries > 0 && entries < 20, bytes <= 8192]).toEqual([true, true]);
  });

  it.each([
    ["off", ["DISABLED", "DISABLED"]],
    ["read-only", ["MISS", "MISS"]],
    ["write-only", ["REFRESH", "REFRESH"]],
    ["on", ["MISS", "HIT"]],
  ] as const)("cacheMode %s decides how the cache takes part", async (cacheMode, verdicts) => {
    expect(await verdictsOf(await start({ cacheMode }), "moded")).toEqual(verdicts);
  });

  it("providerConfigTtlMs bounds how long a key is known that another process has revoked unheard", async () => {
    const on = await start({ auth: "keys", providerConfigTtlMs: 50 });
    const made = (await (await on.admin("POST", "/admin/keys", { tenant: "t" })).json()) as { id: string; key: string };
    const peer = await on.peer();
    const status = async (): Promise<number> => (await ask(on, "revoked", { authorization: `Bearer ${made.key}` })).status;
    expect(await status()).toBe(200);
    await peer.admin("DELETE", `/admin/keys/${made.id}`);
    while ((await status()) !== 401) await new Promise((resolve) => setTimeout(resolve, 10));
    await peer.close();
  });

  it("metricsToken is asked for instead of the way in from this machine", async () => {
    const { url } = await start({ metricsToken: "scraper" });
    const scrape = async (token: string): Promise<number> =>
      (await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token}` } })).status;
    expect([await scrape("none"), await scrape("scraper")]).toEqual([401, 200]);
  });

  it.each(["original", "zero", "headers"] as const)("usageOnHit %s decides what a hit tells of tokens", async (usageOnHit) => {
    const on = await start({ usageOnHit });
    for (const [path, body] of [
      ["/v1/chat/completions", chat("counted")],
      ["/v1/embeddings", { model: "m", input: ["one", "two"] }],
    ] as const) {
      const first = (await (await on.post(path, body)).json()) as { usage: { prompt_tokens: number } };
      const hit = await on.post(path, body);
      const { usage } = (await hit.json()) as { usage: { prompt_tokens: number } };
      expect(first.usage.prompt_tokens).toBeGreaterThan(0);
      expect(usage.prompt_tokens).toBe(usageOnHit === "zero" ? 0 : first.usage.prompt_tokens);
      const saved = usageOnHit === "headers" ? String(first.usage.prompt_tokens) : null;
      expect([hit.headers.get("x-larder-cache"), hit.headers.get("x-larder-saved-input-tokens")]).toEqual(["HIT", saved]);
    }
  });

  it("upstreamConnections bounds the calls to a provider at a time", async () => {
    const on = await start({ upstreamConnections: 1 });
    const held = gate();
    let now = 0;
    let most = 0;
    on.upstream.behaviour = async (_seen, response) => {
      now += 1;
      most = Math.max(most, now);
      await held.opened;
      response.once("close", () => {
        now -= 1;
      });
      return false;
    };
    const answers = Promise.all(["first", "second", "third"].map((text) => ask(on, text)));
    await until(() => now === 1);
    held.open();
    expect((await answers).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(most).toBe(1);
  });

  it("keyLimits limits keys that have no limits of their own, field by field", async () => {
    const on = await start({ auth: "keys", keyLimits: { requestsPerMinute: 1 } });
    const statuses = async (limits: object): Promise<number[]> => {
      const { key } = (await (await on.admin("POST", "/admin/keys", { tenant: "t", limits })).json()) as { key: string };
      const authorization = `Bearer ${key}`;
      return [(await ask(on, "limited", { authorization })).status, (await ask(on, "limited", { authorization })).status];
    };
    expect([await statuses({}), await statuses({ concurrency: 5 }), await statuses({ requestsPerMinute: 9 })]).toEqual([
      [200, 429],
      [200, 429],
      [200, 200],
    ]);
  });

  it("drain bounds how long answers in flight may take to end", async () => {
    const on = await start({ drain: "50ms" });
    const begun = gate();
    on.upstream.behaviour = async () => {
      begun.open();
      return new Promise(() => undefined);
    };
    const answer = ask(on, "never").catch(() => "broken off");
    await begun.opened;
    await on.gateway.close();
    expect(await answer).toBe("broken off");
  });

  it("syncInterval decides when sync runs again", async () => {
    const list = join((await start({})).directory, "models.json");
    // As many as make a catalog: without one it does not wait for its interval.
    const data = Array.from({ length: 120 }, (_, index) => ({
      id: `a/model-${index}`,
      pricing: { prompt: "0.000001", completion: "0.000002" },
    }));
    writeFileSync(list, JSON.stringify({ data }));
    for (const [syncInterval, ms] of [
      ["1h", 3_600_000],
      ["10m", 600_000],
    ] as const) {
      const peer = await (bed as Bed).peer({ syncSources: [`openrouter=${list}`], syncInterval });
      await peer.admin("POST", "/admin/sync");
      const { nextRunAt } = (await (await peer.admin("GET", "/admin/sync")).json()) as { nextRunAt: number };
      expect(Math.abs(nextRunAt - Date.now() - ms)).toBeLessThan(ms / 4);
      await peer.close();
    }
  });
});
