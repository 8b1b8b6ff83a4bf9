import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Bed, chat, gate, startBed, until } from "./support/start.ts";

let bed: Bed | undefined;
afterEach(async () => {
  await bed?.close();
  bed = undefined;
});

const FAILURES: ReadonlyArray<readonly [string, (response: ServerResponse) => void]> = [
  [
    "a server error",
    (response) => void response.writeHead(500, { "content-type": "application/json" }).end('{"error":{"message":"broken"}}'),
  ],
  [
    "a rate limit",
    (response) => response.writeHead(429, { "content-type": "application/json", "retry-after": "60" }).end('{"error":{"message":"slow"}}'),
  ],
  ["a connection that breaks", (response) => void response.destroy()],
];

/**
 * Asks until the answer is told otherwise than as fresh: the time to live is over. One that is shared is as fresh as one can be: the
 * first answer was out before its load had ended.
 */
async function untilNotFresh(ask: () => Promise<Response>): Promise<Response> {
  for (;;) {
    const answer = await ask();
    if (!["HIT", "COALESCED"].includes(answer.headers.get("x-larder-cache") ?? "")) return answer;
    await answer.text();
  }
}

describe.each([
  ["a whole answer", "/v1/chat/completions", chat("stale")],
  ["a stream", "/v1/chat/completions", chat("stale", { stream: true })],
  ["Anthropic's messages", "/v1/messages", { model: "m", max_tokens: 9, messages: [{ role: "user", content: "stale" }] }],
])("stale-while-revalidate: %s", (_name, path, body) => {
  it("gives the old answer at once while one new one is fetched behind it, and then the new one", async () => {
    bed = await startBed({ cacheTtl: "30ms", staleWhileRevalidate: "1h" });
    const { post, upstream } = bed;
    const ask = (): Promise<Response> => post(path, body);
    const old = await (await ask()).text();
    const held = gate();
    upstream.behaviour = async () => {
      await held.opened;
      return false;
    };
    const stale = await untilNotFresh(ask);
    expect(stale.headers.get("x-larder-cache")).toBe("STALE");
    expect(stale.headers.get("cache-status")).toMatch(/^larder; hit; ttl=-?\d+;/);
    const before = await stale.text();
    // The first was live and this one a replay: what is told is the same, in which pieces is not.
    expect(numberIn(before)).toBe(numberIn(old));
    const more = await Promise.all(Array.from({ length: 5 }, async () => (await ask()).headers.get("x-larder-cache")));
    expect(new Set(more)).toEqual(new Set(["STALE"]));
    await until(() => upstream.calls === 2);
    held.open();
    upstream.behaviour = undefined;
    for (let told = numberIn(old); told === numberIn(old); ) told = numberIn(await (await ask()).text());
    expect(upstream.calls).toBeGreaterThanOrEqual(2);
  });

  it("goes on giving the old answer when the new one cannot be had, and calls once at a time", async () => {
    bed = await startBed({ cacheTtl: "30ms", staleWhileRevalidate: "1h" });
    const { post, upstream } = bed;
    const ask = (): Promise<Response> => post(path, body);
    const old = numberIn(await (await ask()).text());
    upstream.behaviour = (_seen, response) => {
      response.writeHead(500, { "content-type": "application/json" }).end("{}");
      return true;
    };
    expect((await untilNotFresh(ask)).headers.get("x-larder-cache")).toBe("STALE");
    // Its age is counted from the answer's end, its freshness from its storing, a moment later: between the two nothing is called yet.
    while (upstream.calls < 2) await (await ask()).text();
    const again = await ask();
    expect([again.status, again.headers.get("x-larder-cache"), numberIn(await again.text())]).toEqual([200, "STALE", old]);
  });
});

describe("stale-if-error", () => {
  it.each(FAILURES)("gives the old answer, marked as stale, when the provider fails with %s", async (_name, fail) => {
    bed = await startBed({ cacheTtl: "30ms", staleIfError: "1h" });
    const { post, upstream } = bed;
    for (const stream of [false, true]) {
      const ask = (): Promise<Response> => post("/v1/chat/completions", chat(`failing ${stream}`, { stream }));
      const old = numberIn(await (await ask()).text());
      upstream.behaviour = (_seen, response) => {
        fail(response);
        return true;
      };
      const stale = await untilNotFresh(ask);
      expect([stale.status, stale.headers.get("x-larder-cache"), numberIn(await stale.text())]).toEqual([200, "STALE", old]);
      expect(Number(stale.headers.get("age"))).toBeGreaterThanOrEqual(0);
      upstream.behaviour = undefined;
      const fresh = await untilNotFresh(ask);
      expect(fresh.headers.get("x-larder-cache")).toBe("MISS");
      expect(numberIn(await fresh.text())).not.toBe(old);
    }
  });

  it("does not hide what is the caller's own fault, and nothing without a window", async () => {
    bed = await startBed({ cacheTtl: "100ms", routes: [{ model: "with-window", staleIfError: "1h" }] });
    const { post, upstream } = bed;
    const statusOf = async (model: string, status: number): Promise<number> => {
      const ask = (): Promise<Response> => post("/v1/chat/completions", chat(`own fault ${status}`, { model }));
      upstream.behaviour = undefined;
      await (await ask()).text();
      upstream.behaviour = (_seen, response) => {
        response.writeHead(status, { "content-type": "application/json" }).end('{"error":{"message":"no"}}');
        return true;
      };
      // Past its time by its age and not yet by its storing, an answer is told as stale before anything is called.
      const { calls } = upstream;
      for (;;) {
        const answer = await untilNotFresh(ask);
        if (upstream.calls > calls) return answer.status;
        await answer.text();
      }
    };
    expect(await statusOf("with-window", 500)).toBe(200);
    expect(await statusOf("without", 500)).toBe(500);
    const refusals = [400, 401, 404, 422];
    for (const status of refusals) expect(await statusOf("with-window", status)).toBe(status);
  });

  it("ends with its window", async () => {
    bed = await startBed({ cacheTtl: "10ms", staleIfError: "20ms" });
    const { post, upstream } = bed;
    const ask = (): Promise<Response> => post("/v1/chat/completions", chat("window"));
    await (await ask()).text();
    upstream.behaviour = (_seen, response) => {
      response.writeHead(500, { "content-type": "application/json" }).end("{}");
      return true;
    };
    let status = 200;
    while (status === 200) status = (await ask()).status;
    // 503 once the provider has failed so often that it is not called any more.
    expect([500, 503]).toContain(status);
  });
});

describe("deterministicOnly", () => {
  it("caches what is meant to be the same again, and the rest only when the caller asks for it", async () => {
    bed = await startBed({ deterministicOnly: true });
    const { post } = bed;
    const twice = async (path: string, body: Record<string, unknown>, headers: Record<string, string> = {}): Promise<string> => {
      const verdicts = [];
      for (let round = 0; round < 2; round += 1) {
        const answer = await post(path, body, headers);
        await answer.text();
        verdicts.push(answer.headers.get("x-larder-cache"));
      }
      return verdicts.join(" ");
    };
    const path = "/v1/chat/completions";
    // An omitted temperature is 1 at the provider.
    expect(await twice(path, chat("omitted"))).toBe("BYPASS BYPASS");
    expect(await twice(path, chat("null", { temperature: null }))).toBe("BYPASS BYPASS");
    expect(await twice(path, chat("warm", { temperature: 0.2 }))).toBe("BYPASS BYPASS");
    expect(await twice(path, chat("warm stream", { stream: true }))).toBe("BYPASS BYPASS");
    expect(await twice(path, chat("cold", { temperature: 0 }))).toBe("MISS HIT");
    expect(await twice(path, chat("cold, told otherwise", { temperature: 0.0, top_p: 0.5 }))).toBe("MISS HIT");
    expect(await twice(path, chat("seeded", { seed: 7 }))).toBe("MISS HIT");
    expect(await twice(path, chat("asked for"), { "x-larder-cache-mode": "on" })).toBe("MISS HIT");
    expect(await twice(path, chat("asked for elsewhere"), { "x-openrouter-cache": "true" })).toBe("MISS HIT");
    expect(await twice(path, chat("cold, unwanted", { temperature: 0 }), { "cache-control": "no-store" })).toBe("BYPASS BYPASS");
    expect(await twice("/v1/embeddings", { model: "m", input: "always" })).toBe("MISS HIT");
    expect(await twice("/v1/images/generations", { model: "m", prompt: "a choice of its own" })).toBe("MISS HIT");
    expect(await twice("/v1/messages", { model: "m", max_tokens: 9, temperature: 0, messages: [{ role: "user", content: "cold" }] })).toBe(
      "MISS HIT",
    );
  });
});

/** The number by which the fixture's answers differ. */
function numberIn(text: string): string | undefined {
  return /"id":"(?:chatcmpl|msg)[-_](\d+)"/.exec(text)?.[1];
}

describe("a wall clock that is set while answers are held", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each([
    ["chat completions", "/v1/chat/completions", chat("clock")],
    ["embeddings", "/v1/embeddings", { model: "m", input: "clock" }],
  ])("makes them neither older nor younger: %s", async (_, path, body) => {
    bed = await startBed();
    const tell = async (headers = {}): Promise<unknown[]> => {
      const answer = await (bed as Bed).post(path, body, headers);
      await answer.text();
      const left = Number(/ttl=(-?\d+)/.exec(answer.headers.get("cache-status") ?? "")?.[1]);
      return [answer.headers.get("x-larder-cache"), Number(answer.headers.get("age")) < 60, left > 3500 && left <= 3600];
    };
    await tell();
    const now = Date.now();
    for (const jumpMs of [7_200_000, -7_200_000, 400 * 86_400_000]) {
      vi.useFakeTimers({ toFake: ["Date"], now: now + jumpMs });
      expect(await tell(), `${jumpMs}`).toEqual(["HIT", true, true]);
      expect(await tell({ "cache-control": "max-age=600" }), `${jumpMs}`).toEqual(["HIT", true, true]);
      vi.useRealTimers();
    }
  });
});
