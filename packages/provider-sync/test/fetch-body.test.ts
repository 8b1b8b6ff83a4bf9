import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { ManualClock } from "@larder/cache-testing";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  createBodyFetcher,
  type FetchOptions,
  openAiCompatible,
  openRouterEndpoints,
  openRouterModels,
  type SourceError,
  syncOnce,
} from "../src/index.ts";
import { createSqliteStore } from "../src/sqlite.ts";

// F24 of the fault list, upstream side: 500, timeout, HTML, empty list, 9 of 100 items, duplicates, NaN price, 1 GB body, slow drip.

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void;

async function serve(handler: Handler): Promise<{ readonly url: string; readonly requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    // A client that gives up half-way breaks the pipe; that is what is tested.
    response.on("error", () => {});
    handler(request, response, requests.length);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/models`, requests };
}

const quick: FetchOptions = { retryDelayMs: 1, timeoutMs: 2000 };

async function failureOf(
  handler: Handler,
  options: FetchOptions = {},
): Promise<{ readonly error: SourceError; readonly requests: number }> {
  const { url, requests } = await serve(handler);
  const fetcher = createBodyFetcher({ ...quick, ...options });
  const error = await fetcher.fetchBody(`${url}?key=secret`, { signal: new AbortController().signal }).then(
    () => undefined,
    (thrown: SourceError) => thrown,
  );
  if (!error) throw new Error("the fetch should have failed");
  // Neither the query nor anything of the body may be told.
  expect(error.message).not.toMatch(/secret|canary/);
  return { error, requests: requests.length };
}

const json = { "content-type": "application/json" };

function modelsBody(count: number, change: (index: number) => object = () => ({})): string {
  const data = Array.from({ length: count }, (_, index) => ({
    id: `acme/model-${index}`,
    name: `Model ${index}`,
    context_length: 8192,
    pricing: { prompt: "0.000001", completion: "0.000002" },
    ...change(index),
  }));
  return JSON.stringify({ data });
}

describe("fetching a body", () => {
  it("sends attribution, accepts JSON, and reads the whole body", async () => {
    const { url, requests } = await serve((_request, response) => response.writeHead(200, { ...json, etag: '"1"' }).end('{"a":1}'));
    const fetcher = createBodyFetcher({ ...quick, headers: { "http-referer": "https://example.com", "x-title": "Example" } });
    const fetched = await fetcher.fetchBody(url, { signal: new AbortController().signal, headers: { authorization: "Bearer k" } });
    expect(fetched).toMatchObject({ status: "ok", validators: { etag: '"1"' } });
    expect(requests[0]?.headers).toMatchObject({
      "http-referer": "https://example.com",
      "x-title": "Example",
      authorization: "Bearer k",
      accept: "application/json",
      "user-agent": "larder-provider-sync",
    });
  });

  it("sends a header once, whatever the case of its name: the source's before the caller's, and that before ours", async () => {
    const { url, requests } = await serve((_request, response) => response.writeHead(200, json).end("{}"));
    const fetcher = createBodyFetcher({ ...quick, headers: { "User-Agent": "acme/1", Authorization: "Bearer for-all" } });
    await fetcher.fetchBody(url, { signal: new AbortController().signal, headers: { AUTHORIZATION: "Bearer own" } });
    expect(requests[0]?.headers).toMatchObject({ "user-agent": "acme/1", authorization: "Bearer own" });
  });

  it("follows redirects, and tells another origin nothing that could be a key", async () => {
    const secrets = { authorization: "Bearer k", "x-api-key": "k" };
    const other = await serve((_request, response) => response.writeHead(200, json).end("{}"));
    const { url, requests } = await serve((request, response, count) =>
      response.writeHead(count === 1 ? 307 : 302, { location: count === 1 ? "/moved" : `${other.url}?of=${request.url}` }).end(),
    );
    const fetcher = createBodyFetcher({ ...quick, headers: { "x-title": "Example" } });
    const validators = { etag: '"1"' };
    const fetched = await fetcher.fetchBody(url, { signal: new AbortController().signal, headers: secrets, validators });
    expect(fetched.status).toBe("ok");
    expect(requests.map((request) => request.headers["x-api-key"])).toEqual(["k", "k"]);
    expect(other.requests[0]?.headers).toMatchObject({
      accept: "application/json",
      "user-agent": "larder-provider-sync",
      "if-none-match": '"1"',
    });
    for (const name of [...Object.keys(secrets), "x-title"]) expect(other.requests[0]?.headers[name]).toBeUndefined();
  });

  it.each([
    ["that never end", "?again"],
    ["to no web address", "file:///etc/hosts"],
    ["to no address at all", "http://["],
  ])("ends redirects %s with the status", async (_name, location) => {
    const { error, requests } = await failureOf((_request, response) => response.writeHead(302, { location }).end());
    expect(error).toMatchObject({ reason: "http-status", status: 302 });
    expect(requests).toBeLessThan(10);
  });

  it("does not follow a redirect from https to http", async () => {
    const asked: string[] = [];
    const redirecting: typeof fetch = async (input) => {
      asked.push(String(input));
      return new Response(null, { status: 301, headers: { location: "http://models.example/list" } });
    };
    const fetcher = createBodyFetcher({ ...quick, fetch: redirecting });
    const fetching = fetcher.fetchBody("https://models.example/list", { signal: new AbortController().signal });
    await expect(fetching).rejects.toMatchObject({ reason: "http-status", status: 301 });
    expect(asked).toEqual(["https://models.example/list"]);
  });

  it.each([
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "localhost.",
    "10.1.2.3",
    "169.254.169.254",
    "[::1]",
    "[::ffff:10.1.2.3]",
    "[fd00:ec2::254]",
    "[fe80::1]",
  ])("does not follow a redirect from outside to %s", async (host) => {
    const asked: string[] = [];
    const redirecting: typeof fetch = async (input) => {
      asked.push(String(input));
      const isFirst = asked.length === 1;
      return new Response(isFirst ? null : "{}", { status: isFirst ? 302 : 200, headers: { ...json, location: `https://${host}/latest` } });
    };
    const fetcher = createBodyFetcher({ ...quick, fetch: redirecting });
    const signal = new AbortController().signal;
    await expect(fetcher.fetchBody("https://models.example/list", { signal })).rejects.toMatchObject({
      reason: "http-status",
      status: 302,
    });
    expect(asked).toHaveLength(1);
    asked.length = 0;
    // From one's own network it may lead where it likes.
    expect((await fetcher.fetchBody("https://192.168.1.1/list", { signal })).status).toBe("ok");
  });

  it("tries a 500 again, and gives up after the retries with the status", async () => {
    const { error, requests } = await failureOf((_request, response) => response.writeHead(500).end("canary"), { retries: 2 });
    expect(error).toMatchObject({ reason: "http-status", status: 500 });
    expect(requests).toBe(3);
  });

  it("does not try a 404 or a 401 again", async () => {
    for (const status of [404, 401]) {
      const { error, requests } = await failureOf((_request, response) => response.writeHead(status).end());
      expect(error).toMatchObject({ reason: "http-status", status });
      expect(requests).toBe(1);
    }
  });

  it("succeeds when a later attempt does, after the time that the upstream asked for", async () => {
    const times: number[] = [];
    const { url } = await serve((_request, response, count) => {
      times.push(performance.now());
      if (count === 1) response.writeHead(429, { "retry-after": "1" }).end();
      else response.writeHead(200, json).end("{}");
    });
    const fetched = await createBodyFetcher(quick).fetchBody(url, { signal: new AbortController().signal });
    expect(fetched.status).toBe("ok");
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(990);
  });

  it.each(["3600", "99999999999"])(
    "does not wait for a retry-after that is longer than allowed, nor ask before it is over: %s",
    async (seconds) => {
      const { error, requests } = await failureOf((_request, response) => response.writeHead(503, { "retry-after": seconds }).end());
      expect(error).toMatchObject({ reason: "http-status", status: 503, retryAfterMs: Number(seconds) * 1000 });
      expect(requests).toBe(1);
    },
  );

  it("ends an answer that does not come with a timeout", async () => {
    const { error } = await failureOf(() => {}, { timeoutMs: 60, retries: 0 });
    expect(error.reason).toBe("timeout");
  });

  it("refuses HTML", async () => {
    const html = { "content-type": "text/html; charset=utf-8" };
    const { error } = await failureOf((_request, response) => response.writeHead(200, html).end("<html>canary"));
    expect(error.reason).toBe("not-json");
  });

  it("refuses a body that says it is 1 GB without reading it, and one that turns out to be while it comes", async () => {
    const told = await failureOf((_request, response) =>
      response.writeHead(200, { ...json, "content-length": String(2 ** 30) }).write("["),
    );
    expect(told.error.reason).toBe("too-large");
    let sent = 0;
    const chunk = Buffer.alloc(256 * 1024, 32);
    const endless: Handler = (_request, response) => {
      response.writeHead(200, json);
      const more = (): void => {
        while (!response.destroyed && response.write(chunk)) sent += chunk.length;
        response.once("drain", more);
      };
      more();
    };
    const { error } = await failureOf(endless, { maxBytes: 1024 * 1024, retries: 0 });
    expect(error.reason).toBe("too-large");
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  it("holds a request to its own cap where that is lower", async () => {
    const { url } = await serve((_request, response) => response.writeHead(200, json).end(`"${"x".repeat(2000)}"`));
    const fetcher = createBodyFetcher({ ...quick, maxBytes: 10_000 });
    const signal = new AbortController().signal;
    await expect(fetcher.fetchBody(url, { signal, maxBytes: 1000 })).rejects.toMatchObject({ reason: "too-large" });
    expect(await fetcher.fetchBody(url, { signal, maxBytes: 5000 })).toMatchObject({ status: "ok" });
  });

  it("reads a stored body, under the same cap, and nothing that may have no end", async () => {
    const fetcher = createBodyFetcher({ ...quick, maxBytes: 10 });
    const folder = mkdtempSync(join(tmpdir(), "larder-body-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const { signal } = new AbortController();
    const read = (path: string, during: AbortSignal = signal): Promise<unknown> =>
      fetcher.fetchBody(pathToFileURL(path).href, { signal: during });
    const file = join(folder, "body.json");
    writeFileSync(file, "[1]");
    expect(await read(file)).toMatchObject({ status: "ok", bytes: Buffer.from("[1]") });
    await expect(read(file, AbortSignal.abort())).rejects.toMatchObject({ reason: "aborted" });
    writeFileSync(file, "[1,2,3,4,5,6]");
    await expect(read(file)).rejects.toMatchObject({ reason: "too-large" });
    for (const path of ["/dev/zero", folder])
      await expect(read(path)).rejects.toMatchObject({ reason: "network", message: expect.stringContaining("no regular file") });
    await expect(read(join(folder, "missing"))).rejects.toMatchObject({ message: expect.stringContaining("ENOENT") });
  });

  it("counts bytes after decompression: a bomb ends at the cap", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, 32));
    const { error } = await failureOf((_request, response) => response.writeHead(200, { ...json, "content-encoding": "gzip" }).end(bomb), {
      maxBytes: 1024 * 1024,
    });
    expect(error.reason).toBe("too-large");
  });

  it("ends a slow drip that would keep the connection busy for ever", async () => {
    const drip: Handler = (_request, response) => {
      response.writeHead(200, json);
      const timer = setInterval(() => response.write(" "), 10);
      response.once("close", () => clearInterval(timer));
    };
    const { error } = await failureOf(drip, { stallMs: 80, minBytesPerSecond: 5000, timeoutMs: 10_000, retries: 0 });
    expect(error.reason).toBe("too-slow");
  });

  it("judges each stretch of a body by itself: one that keeps coming may take long, one that has come fast may still stall", async () => {
    const clock = new ManualClock();
    const options: FetchOptions = { clock, stallMs: 1000, minBytesPerSecond: 100, timeoutMs: 60_000, retries: 0 };
    let body: ReadableStreamDefaultController<Uint8Array> | undefined;
    const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
      body = controller;
    };
    const fetcher = createBodyFetcher({ ...options, fetch: async () => new Response(new ReadableStream({ start }), { headers: json }) });
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const send = async (stretches: readonly number[]): Promise<string> => {
      const ended = fetcher.fetchBody("https://example.test/list", { signal: new AbortController().signal }).then(
        (fetched) => (fetched.status === "ok" ? `${fetched.bytes.byteLength} bytes` : fetched.status),
        (error: SourceError) => error.reason,
      );
      await turn();
      for (const bytes of stretches) {
        if (bytes > 0) body?.enqueue(new Uint8Array(bytes));
        await turn();
        clock.advance(1000);
        await turn();
      }
      try {
        body?.close();
      } catch {
        // It was given up.
      }
      return ended;
    };
    expect(await send(Array.from({ length: 20 }, () => 100))).toBe("2000 bytes");
    expect(await send([10_000, 99])).toBe("too-slow");
    expect(await send([10_000, 100, 0])).toBe("too-slow");
  });

  it("tells a connection that breaks in the middle from a whole body", async () => {
    const { error } = await failureOf((_request, response) => {
      response.writeHead(200, { ...json, "content-length": "1000" });
      response.write('{"data":');
      setImmediate(() => response.destroy());
    });
    expect(error.reason).toBe("network");
  });

  it("is cancelled at once, also while it waits for a retry", async () => {
    const { url } = await serve((_request, response) => response.writeHead(503).end());
    const abort = new AbortController();
    const fetching = createBodyFetcher({ ...quick, retryDelayMs: 60_000 }).fetchBody(url, { signal: abort.signal });
    setTimeout(() => abort.abort(), 30);
    await expect(fetching).rejects.toMatchObject({ reason: "aborted" });
  });

  it.each([
    ["timeoutMs", 0],
    ["retries", -1],
    ["maxBytes", 0.5],
    ["stallMs", Number.NaN],
  ] as const)("refuses %s = %d by name", (name, value) => {
    expect(() => createBodyFetcher({ [name]: value })).toThrow(new RegExp(`ERR_CACHE_INVALID_OPTION.*${name}`));
  });
});

describe("a sync against an upstream that misbehaves", () => {
  async function setUp(first: string): Promise<{
    run: (options?: FetchOptions) => ReturnType<typeof syncOnce>;
    answer: (handler: Handler) => void;
    requests: IncomingMessage[];
  }> {
    let handler: Handler = (_request, response) => response.writeHead(200, json).end(first);
    const { url, requests } = await serve((request, response, count) => handler(request, response, count));
    const store = await createSqliteStore({ path: ":memory:" });
    onTestFinished(() => store.close());
    const run = (options: FetchOptions = {}) =>
      syncOnce({ sources: [openRouterModels({ url })], store, fetch: { ...quick, retries: 0, ...options } });
    return { run, requests, answer: (next) => (handler = next) };
  }
  const sendBody =
    (body: string): Handler =>
    (_request, response) =>
      response.writeHead(200, json).end(body);

  it.each<readonly [name: string, handler: Handler, reason: string]>([
    ["a 500", (_request, response) => response.writeHead(500).end(), "http-status"],
    ["no answer", () => {}, "timeout"],
    ["HTML", (_request, response) => response.writeHead(200, { "content-type": "text/html" }).end("<p>"), "not-json"],
    ["HTML called JSON", sendBody("<!doctype html>"), "not-json"],
    ["an empty list", sendBody('{"data":[]}'), "too-few"],
    ["another shape", sendBody('{"error":"canary"}'), "bad-shape"],
    ["9 of 100 items", sendBody(modelsBody(9)), "too-few"],
    ["60 of 100 items", sendBody(modelsBody(60)), "too-few"],
    [
      "1000-fold prices on every model",
      sendBody(modelsBody(120, () => ({ pricing: { prompt: "0.0001", completion: "0.0002" } }))),
      "mass-jump",
    ],
    [
      "a list most of which is garbage",
      sendBody(JSON.stringify({ data: [...JSON.parse(modelsBody(100)).data, ...new Array(200).fill(7)] })),
      "mostly-invalid",
    ],
  ])("keeps the former catalog after %s, and says why (I11)", async (_name, handler, reason) => {
    const { run, answer } = await setUp(modelsBody(120));
    expect(await run()).toMatchObject({ outcome: "committed", models: 120 });
    answer(handler);
    const report = await run({ timeoutMs: 300 });
    expect(report).toMatchObject({ outcome: "failed", isComplete: false, models: 120, sources: [{ reason }] });
    expect(JSON.stringify(report)).not.toContain("canary");
    answer(sendBody(modelsBody(121)));
    expect(await run()).toMatchObject({ outcome: "committed", isComplete: true, models: 121 });
  });

  it("saves the good items of a list with bad ones, and keeps the last good form of the bad ones", async () => {
    const { run, answer } = await setUp(modelsBody(120));
    await run();
    const bad: Readonly<Record<number, object>> = {
      0: { id: 42 },
      1: { pricing: "free" },
      2: { pricing: { prompt: "NaN", completion: "0.000002" } },
      3: { pricing: { prompt: "-5", completion: "0.000002" } },
      4: { pricing: { prompt: { deep: 1 }, completion: "0.000003" } },
    };
    answer(sendBody(modelsBody(121, (index) => bad[index] ?? {})));
    const report = await run();
    expect(report).toMatchObject({ outcome: "committed", models: 121 });
    expect(report.sources[0]?.rejected.map((item) => item.id)).toEqual(["#0", "acme/model-1"]);
    expect(report.quarantine.map((entry) => [entry.id, entry.path, entry.reason, entry.kept])).toEqual([
      ["openrouter/acme/model-2", "input", "not-a-number", 1],
      ["openrouter/acme/model-3", "input", "negative", 1],
      ["openrouter/acme/model-4", "input", "not-a-number", 1],
    ]);
  });

  it("takes the first of two items with one id and reports the other", async () => {
    const { run } = await setUp(modelsBody(120, (index) => (index === 5 ? { id: "acme/model-4" } : {})));
    expect(await run()).toMatchObject({ models: 119, sources: [{ duplicates: ["openrouter/acme/model-4"] }] });
  });

  it("asks whether the list changed, and takes the stored body when it did not", async () => {
    const { run, answer, requests } = await setUp("");
    answer((request, response) => {
      if (request.headers["if-none-match"] === '"v1"') response.writeHead(304).end();
      else response.writeHead(200, { ...json, etag: '"v1"' }).end(modelsBody(120));
    });
    expect(await run()).toMatchObject({ outcome: "committed" });
    expect(await run()).toMatchObject({ outcome: "unchanged", isComplete: true, models: 120 });
    expect(await run()).toMatchObject({ outcome: "unchanged", isComplete: true });
    expect(requests.map((request) => request.headers["if-none-match"])).toEqual([undefined, '"v1"', '"v1"']);
  });

  it.each([
    ["broken", "{}"],
    ["shrunk", modelsBody(50)],
  ])("reads the list again that is put back in place of a %s one, though it is older than that", async (_what, bad) => {
    const { run, answer } = await setUp("");
    const [good, broken] = [Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 2)];
    let writtenAt = good;
    answer((request, response) => {
      // As simple servers of files do, which send no etag.
      const since = Date.parse(request.headers["if-modified-since"] ?? "");
      if (since >= writtenAt) response.writeHead(304).end();
      else {
        const head = { ...json, "last-modified": new Date(writtenAt).toUTCString() };
        response.writeHead(200, head).end(writtenAt === good ? modelsBody(120) : bad);
      }
    });
    expect(await run()).toMatchObject({ isComplete: true });
    writtenAt = broken;
    expect(await run()).toMatchObject({ isComplete: false });
    writtenAt = good;
    expect(await run()).toMatchObject({ isComplete: true, models: 120, quarantine: [] });
  });

  it("keeps the endpoints of a model whose own request fails, escapes model ids, and goes on with the others (seeds W4.1, W4.10)", async () => {
    const paths: string[] = [];
    let failing = "";
    const { url } = await serve((request, response) => {
      const path = request.url ?? "";
      if (!path.endsWith("/endpoints"))
        return response.writeHead(200, json).end(modelsBody(120, (index) => (index === 0 ? { id: "acme/a b:free?x" } : {})));
      paths.push(path);
      if (path.includes("model-7/") && failing) return response.writeHead(500).end();
      const endpoints = [
        {
          tag: "Host-A/fp8",
          provider_name: "Host A",
          context_length: 4096,
          pricing: { prompt: failing ? "0.0000011" : "0.000001", completion: "0.000002" },
        },
      ];
      return response.writeHead(200, json).end(JSON.stringify({ data: { endpoints } }));
    });
    const store = await createSqliteStore({ path: ":memory:" });
    onTestFinished(() => store.close());
    const sources = [openRouterModels({ url }), openRouterEndpoints({ url, concurrency: 16 })];
    const run = () => syncOnce({ sources, store, fetch: { ...quick, retries: 0 } });
    await run();
    expect(paths.some((path) => path.endsWith("/acme/a%20b%3Afree%3Fx/endpoints"))).toBe(true);
    failing = "yes";
    const report = await run();
    expect(report).toMatchObject({ outcome: "committed", isComplete: true });
    expect(report.sources[1]).toMatchObject({ outcome: "accepted", rejected: [{ id: "acme/model-7", problem: "http-status" }] });
    const endpoints = new Map((await store.state()).content.layers[1]?.endpoints);
    expect(endpoints.get("openrouter/acme/model-7")?.[0]?.usdPerMillion.input).toBe(1);
    expect(endpoints.get("openrouter/acme/model-8")?.[0]).toMatchObject({
      provider: "host-a",
      tag: "host-a/fp8",
      usdPerMillion: { input: 1.1 },
    });
  });

  it("takes a query for part of what a list is, and keeps it out of the store: it may hold a key", async () => {
    const asked: Array<string | undefined> = [];
    const { url } = await serve((request, response) => {
      asked.push(request.headers["if-none-match"]);
      const etag = `"${request.url?.at(-1)}"`;
      if (request.headers["if-none-match"] === etag) response.writeHead(304).end();
      else response.writeHead(200, { ...json, etag }).end(modelsBody(120));
    });
    const store = await createSqliteStore({ path: ":memory:" });
    onTestFinished(() => store.close());
    const run = (query: string) => syncOnce({ sources: [openRouterModels({ url: url + query })], store, fetch: quick });
    const reports = [await run("?key=canary&page=1"), await run("?key=canary&page=2"), await run("?key=canary&page=1")];
    expect(reports.map((report) => report.isComplete)).toEqual([true, true, true]);
    expect(asked).toEqual([undefined, undefined, '"1"']);
    const kept = await Promise.all(reports.map((report) => store.rawBodies(report.id)));
    expect(kept.flat().map((body) => body.url)).toHaveLength(3);
    expect(JSON.stringify(kept.flat().map((body) => body.url))).not.toMatch(/canary|page/);
  });

  it("holds the bodies of one source and of one run to what may be held", async () => {
    const wide = JSON.stringify({ data: { endpoints: [], padding: "x".repeat(100_000) } });
    const { url } = await serve((request, response) => {
      response.writeHead(200, json).end(request.url?.endsWith("/endpoints") ? wide : modelsBody(120));
    });
    const run = async (limits: { maxSourceBytes?: number; maxRunBytes?: number }) => {
      const store = await createSqliteStore({ path: ":memory:" });
      onTestFinished(() => store.close());
      const sources = [openRouterModels({ url }), openRouterEndpoints({ url, concurrency: 4 })];
      const report = await syncOnce({ sources, store, fetch: { ...quick, retries: 0 }, ...limits });
      const bodies = await store.rawBodies(report.id);
      expect(report).toMatchObject({ outcome: "committed", isComplete: true, models: 120 });
      return { bytes: bodies.reduce((sum, body) => sum + body.bytes.byteLength, 0), bodies: bodies.length, report };
    };
    expect((await run({})).bodies).toBe(121);
    for (const limits of [{ maxSourceBytes: 450_000 }, { maxRunBytes: 450_000 }]) {
      const { bytes, bodies, report } = await run(limits);
      expect(bytes).toBeLessThan(480_000);
      expect(bodies).toBe(5);
      expect(report.sources[1]?.rejected.filter((item) => item.problem === "too-large")).toHaveLength(116);
    }
  });

  it("does not wait for a source that heeds no signal, nor for a store that does not answer, past the time for reading", async () => {
    const store = await createSqliteStore({ path: ":memory:" });
    onTestFinished(() => store.close());
    const deaf = { name: "deaf", role: "ancillary" as const, read: () => new Promise<never>(() => {}) };
    const { url } = await serve((_request, response) => response.writeHead(200, json).end(modelsBody(120)));
    const sources = [openRouterModels({ url }), deaf];
    const report = await syncOnce({ sources, store, fetch: quick, runTimeoutMs: 1_000 });
    expect(report).toMatchObject({ outcome: "committed", isComplete: true });
    expect(report.sources[1]).toMatchObject({ source: "deaf", outcome: "failed", reason: "aborted" });
    store.lastBody = () => new Promise(() => {});
    const [told] = (await syncOnce({ sources: [openRouterModels({ url })], store, fetch: quick, runTimeoutMs: 50 })).sources;
    expect(told).toMatchObject({ outcome: "failed", reason: "aborted" });
  });

  it("does not stop for an ancillary source that fails or hangs (I13)", async () => {
    const { url } = await serve((request, response) => {
      if (request.url?.startsWith("/dead")) return;
      response.writeHead(200, json).end(modelsBody(120));
    });
    const store = await createSqliteStore({ path: ":memory:" });
    onTestFinished(() => store.close());
    const dead = openAiCompatible({ provider: "dead", baseUrl: new URL("/dead", url).href });
    const report = await syncOnce({ sources: [openRouterModels({ url }), dead], store, fetch: { ...quick, retries: 0, timeoutMs: 200 } });
    expect(report).toMatchObject({ outcome: "committed", isComplete: true, models: 120 });
    expect(report.sources[1]).toMatchObject({ source: "models:dead", outcome: "failed", reason: "timeout" });
  });
});
