import { monitorEventLoopDelay } from "node:perf_hooks";
import { uniquePrefix } from "@larder/cache-testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Bed, chat, gate, startBed, until } from "./support/start.ts";

const redisUrl = process.env.REDIS_URL as string;

let a: Bed;
let b: Bed;
beforeAll(async () => {
  expect(redisUrl, "these tests need a real Redis").toBeTruthy();
  a = await startBed({ redisUrl, redisPrefix: uniquePrefix() });
  b = await a.peer();
  await untilReady(a);
  await untilReady(b);
});
afterAll(async () => {
  await b.close();
  await a.close();
});

async function untilReady(bed: Bed): Promise<void> {
  for (;;) {
    const { backends } = (await (await fetch(`${bed.url}/readyz`)).json()) as { backends: { redis?: boolean; bus?: boolean } };
    if (backends.redis && backends.bus) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Asks for an answer anew until Redis has it: the write is off the answer's path, and a Redis that is too slow is gone without. */
async function storeInRedis(bed: Bed, text: string): Promise<string> {
  const setsOf = async (): Promise<number> => {
    const stats = (await (await bed.admin("GET", "/admin/cache/stats")).json()) as { cache: { tiers: { l2: { sets: number } } } };
    return stats.cache.tiers.l2.sets;
  };
  const before = await setsOf();
  for (;;) {
    const answer = await (await bed.post("/v1/chat/completions", chat(text), { "cache-control": "no-cache" })).text();
    for (let look = 0; look < 20; look += 1) if ((await setsOf()) > before) return answer;
  }
}

/** The sum of a metric over its series; `undefined` when there is none. */
async function metric(bed: Bed, name: string): Promise<number | undefined> {
  const lines = (await (await fetch(`${bed.url}/metrics`)).text()).split("\n").filter((line) => line.startsWith(`${name} `));
  return lines.length === 0 ? undefined : lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** Calls to Redis that were not answered in time. */
async function lateCalls(): Promise<number> {
  const counts = await Promise.all(
    [a, b].map(async (bed) => {
      const stats = (await (await bed.admin("GET", "/admin/cache/stats")).json()) as {
        cache: { tiers: { l2: { failures: Record<string, number> } } };
      };
      return Object.values(stats.cache.tiers.l2.failures).reduce((sum, count) => sum + count, 0);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Milliseconds for which this process, which is both gateways, was held up at most while something ran. */
async function heldUpMs(run: () => Promise<void>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  await run();
  delay.disable();
  return delay.max / 1e6;
}

/** Upstream calls that 40 requests at a time cost, which all get one answer. */
async function callsFor40(text: string): Promise<number> {
  const before = a.upstream.calls;
  const held = gate();
  a.upstream.behaviour = async () => {
    await held.opened;
    return false;
  };
  try {
    const requests = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? a : b).post("/v1/chat/completions", chat(text)));
    await until(() => a.upstream.calls > before);
    await new Promise((resolve) => setTimeout(resolve, 150));
    held.open();
    const answers = await Promise.all(requests.map(async (request) => (await request).text()));
    return Math.max(new Set(answers).size, a.upstream.calls - before);
  } finally {
    held.open();
    a.upstream.behaviour = undefined;
  }
}

describe("two gateways on one Redis", () => {
  it("the second one answers from what the first one stored, streams included", async () => {
    const text = await storeInRedis(a, "fleet");
    const second = await b.post("/v1/chat/completions", chat("fleet"));
    expect([second.headers.get("x-larder-cache"), await second.text()]).toEqual(["HIT", text]);
    const streamed = await b.post("/v1/chat/completions", chat("fleet", { stream: true }));
    expect(streamed.headers.get("x-larder-cache")).toBe("HIT");
    expect(await streamed.text()).toMatch(/data: \[DONE\]\n\n$/);
  });

  it("40 identical requests over both make one upstream call", async () => {
    // On a busy machine Redis, or this process, may take longer than a request waits, and then both load: such a round proves nothing.
    let calls = 0;
    for (const giveUpAt = performance.now() + 50_000; performance.now() < giveUpAt; ) {
      const timeouts = await lateCalls();
      const heldMs = await heldUpMs(async () => {
        calls = await callsFor40(uniquePrefix());
      });
      if (calls === 1 || ((await lateCalls()) === timeouts && heldMs < 40)) break;
    }
    expect(calls).toBe(1);
  });

  it("what the memory has no room for is said to be stored where Redis takes it, and not where that does not either", async () => {
    const small = await startBed({ redisUrl, redisPrefix: uniquePrefix(), cacheMaxBytes: "1mb" });
    await untilReady(small);
    const ask = async (megabytes: number): Promise<string> => {
      const message = { role: "assistant", content: "x".repeat(megabytes * 2 ** 20) };
      small.upstream.behaviour = (_seen, response) => {
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify({ id: "c", choices: [{ index: 0, message, finish_reason: "stop" }] }));
        return true;
      };
      const response = await small.post("/v1/chat/completions", chat(`${megabytes} megabytes`));
      await response.text();
      return response.headers.get("cache-status") ?? "";
    };
    expect(await ask(2)).toMatch(/^larder; fwd=miss; ttl=\d+; stored; key="[^"]+"$/);
    expect(await ask(9)).toMatch(/^larder; fwd=miss; key="[^"]+"; detail=too-large$/);
    await small.close();
  });

  it("an invalidation on one is obeyed by the other", async () => {
    await a.post("/v1/chat/completions", chat("fleet drop"));
    await b.post("/v1/chat/completions", chat("fleet drop"));
    const answer = await a.admin("POST", "/admin/cache/invalidate", { model: "fixture-model" });
    expect(await answer.json()).toMatchObject({ dropped: { model: "fixture-model" }, propagated: true });
    const verdicts: Array<string | null> = [];
    for (let round = 0; round < 200 && !verdicts.includes("MISS"); round += 1)
      verdicts.push((await b.post("/v1/chat/completions", chat("fleet drop"))).headers.get("x-larder-cache"));
    expect(verdicts.at(-1)).toBe("MISS");
    expect(verdicts.length).toBeLessThan(100);
  });
});

describe("a credential that rotates", () => {
  it("is used at once where it was saved, and on the peer at its next call", async () => {
    const prefix = uniquePrefix();
    const one = await startBed({ redisUrl, redisPrefix: prefix, allowedPrivateHosts: ["127.0.0.1"] });
    const two = await one.peer();
    await untilReady(one);
    await untilReady(two);
    const seenBy = async (bed: Bed, text: string): Promise<string | undefined> => {
      await bed.post("/v1/chat/completions", chat(text, { model: "rotating-model" }));
      return one.upstream.seen.at(-1)?.headers.authorization;
    };
    for (const key of ["sk-rotating-1", "sk-rotating-2"]) {
      const saved = await one.admin("PUT", "/admin/providers/rotating", {
        apiKey: key,
        baseUrl: one.upstream.url,
        models: ["rotating-model"],
      });
      expect([saved.status, JSON.stringify(await saved.json()).includes(key)]).toEqual([200, false]);
      expect(await seenBy(one, `here ${key}`)).toBe(`Bearer ${key}`);
      expect(await seenBy(two, `there ${key}`)).toBe(`Bearer ${key}`);
    }
    await two.close();
    await one.close();
  });
});

describe("a coherence watcher", () => {
  it("is there when asked for, asks the other process about invalidations by key, and counts them", async () => {
    expect(await metric(a, "larder_inconsistent_total")).toBeUndefined();
    const watching = await startBed({ redisUrl, redisPrefix: uniquePrefix(), coherenceSampleRate: 1 });
    const peer = await watching.peer();
    await untilReady(watching);
    await untilReady(peer);
    const status = (await watching.post("/v1/chat/completions", chat("watched"))).headers.get("cache-status");
    const key = /key="([^"]+)"/.exec(status ?? "")?.[1];
    expect(key).toBeTruthy();
    await vi.waitFor(
      async () =>
        expect(await (await watching.admin("POST", "/admin/cache/invalidate", { key })).json()).toMatchObject({ propagated: true }),
      { timeout: 10_000 },
    );
    expect(await metric(watching, "larder_invalidations_total")).toBeGreaterThan(0);
    expect(await metric(watching, "larder_invalidations_sampled_total")).toBeGreaterThan(0);
    expect(await metric(watching, "larder_inconsistent_total")).toBe(0);
    await peer.close();
    await watching.close();
  });
});
