import type { ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Bed, chat, startBed, until } from "./support/start.ts";
import { chatEvents } from "./support/upstream.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
});
afterEach(() => {
  bed.upstream.behaviour = undefined;
  bed.logs.length = 0;
});
afterAll(() => bed.close());

const COUNTED = /^larder_(requests|request_errors|requests_abandoned|upstream_calls)_total/;

/** How much each series of `/metrics` has grown by since, those that have not left out. */
async function watch(series: RegExp = COUNTED): Promise<() => Promise<Record<string, number>>> {
  const read = async (): Promise<Map<string, number>> => {
    const text = await (await fetch(`${bed.url}/metrics`)).text();
    const lines = text.split("\n").filter((line) => series.test(line));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
  };
  const before = await read();
  return async () => {
    const grown = [...(await read())].map(([name, value]) => [name, value - (before.get(name) ?? 0)] as const);
    return Object.fromEntries(grown.filter(([, by]) => by !== 0));
  };
}

const requests = (endpoint: string, verdict: string): string => `larder_requests_total{endpoint="${endpoint}",verdict="${verdict}"}`;
const errors = (endpoint: string, status: number): string => `larder_request_errors_total{endpoint="${endpoint}",status="${status}"}`;
const calls = (outcome: string): string => `larder_upstream_calls_total{provider="openai",outcome="${outcome}"}`;

/** Ends a stream after some events, as it should not. */
const endEarly = (end: (response: ServerResponse) => void): void => {
  bed.upstream.behaviour = ({ body }, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    // What is torn off with the connection may never have left.
    response.write(chatEvents(body, 1).slice(0, 3).join(""), () => end(response));
    return true;
  };
};
const read = (response: Response): Promise<string> => response.text().catch(() => "broken off");
const stream = (text: string): Record<string, unknown> => chat(text, { stream: true });

describe("a stream that the provider breaks off", () => {
  it.each([
    ["with the connection", (response: ServerResponse): unknown => response.destroy()],
    ["by an end without the protocol's own", (response: ServerResponse): unknown => response.end()],
  ])("%s is an error of each request that was told it, and of one call", async (how, end) => {
    endEarly(end);
    const grown = await watch();
    const told = await Promise.all([1, 2].map(async () => read(await bed.post("/v1/chat/completions", stream(`broken off ${how}`)))));
    expect(told[1]).toBe(told[0]);
    expect(await grown()).toEqual({ [errors("chat", 502)]: 2, [calls("failure")]: 1 });
  });

  it("past the cache counts in the same way, and its caller has not left", async () => {
    endEarly((response) => response.destroy());
    const grown = await watch();
    const response = await bed.post("/v1/chat/completions", stream("past the cache"), { "cache-control": "no-store" });
    expect([response.status, await read(response)]).toEqual([200, "broken off"]);
    expect(await grown()).toEqual({ [errors("chat", 502)]: 1, [calls("failure")]: 1 });
  });

  it("is told in the log by provider and request, once a minute with how many others there were", async () => {
    const other = await startBed();
    other.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write('data: {"canary":1}\n\n', () => response.destroy());
      return true;
    };
    const response = await other.post("/v1/chat/completions", stream("told in the log"));
    await read(response);
    await read(await other.post("/v1/audio/speech", { input: "and another" }));
    const lines = other.logs.filter((line) => line.includes("broke off"));
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({
        level: 40,
        providerId: "openai",
        endpoint: "chat",
        requestId: response.headers.get("x-request-id"),
        status: 502,
      }),
    ]);
    expect(other.logs.join()).not.toContain("canary");
    await other.close();
  });
});

it("requests are counted by what the cache did, and hits with what they save: of a batch the items that were stored", async () => {
  const grown = await watch(/^larder_(requests_total|request_duration_seconds_count|cache_saved_(in|out)put_tokens_total|cache_entries)/);
  for (let round = 0; round < 3; round += 1) await read(await bed.post("/v1/chat/completions", chat("saved tokens")));
  for (const input of [["aa", "bb"], ["bb", "cc"], ["aa"]])
    await read(await bed.post("/v1/embeddings", { model: "fixture-embedding", input }));
  const [saved, entries] = ["larder_cache_saved_input_tokens_total", "larder_cache_entries"];
  expect(await grown()).toEqual({
    [requests("chat", "MISS")]: 1,
    [requests("chat", "HIT")]: 2,
    [requests("embedding", "MISS")]: 2,
    [requests("embedding", "HIT")]: 1,
    // 11 tokens of each chat, and 2 for each item.
    [saved]: 2 * 11 + 2 * 2,
    larder_cache_saved_output_tokens_total: 2 * 7,
    [entries]: 4,
    'larder_request_duration_seconds_count{source="hit"}': 3,
    'larder_request_duration_seconds_count{source="miss"}': 3,
  });
});

it("a request that is refused before it is anybody's counts as an error of the API, by its status", async () => {
  const grown = await watch();
  expect((await bed.post("/v1/chat/completions", "{nope")).status).toBe(400);
  expect((await fetch(`${bed.url}/v1/chat/completions`, { method: "PROPFIND" })).status).toBe(405);
  expect(await grown()).toEqual({ [errors("api", 400)]: 1, [errors("api", 405)]: 1 });
});

describe("a request in which the cache has no part", () => {
  it("is counted by its endpoint, whatever its path is, and leaves the hit rate alone", async () => {
    const hitRate = async (): Promise<number> =>
      ((await (await bed.admin("GET", "/admin/cache/stats")).json()) as { requests: { hitRate: number } }).requests.hitRate;
    for (let round = 0; round < 2; round += 1) await read(await bed.post("/v1/chat/completions", chat("half of them hit")));
    const before = await hitRate();
    bed.upstream.behaviour = ({ path }, response) => {
      if (path.startsWith("/v1/models")) return false;
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
      return true;
    };
    const grown = await watch();
    const asked = [
      "models",
      "models/fixture-model",
      "files",
      "files/file-1/content",
      "fine_tuning/jobs",
      "messages/batches/b-1",
      "made-up/1",
      "2",
    ];
    for (const path of asked) await read(await fetch(`${bed.url}/v1/${path}`));
    await read(await bed.post("/v1/messages/count_tokens", { model: "m" }));
    expect(await grown()).toEqual({
      [requests("models", "NONE")]: 2,
      [requests("files", "NONE")]: 2,
      [requests("fine_tuning", "NONE")]: 1,
      [requests("batches", "NONE")]: 1,
      [requests("other", "NONE")]: 2,
      [requests("count_tokens", "NONE")]: 1,
      [calls("success")]: 7,
    });
    expect([before > 0, await hitRate()]).toEqual([true, before]);
  });

  it("that fails is an error of the same endpoint, before and after its answer has begun", async () => {
    const grown = await watch();
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(429, { "content-type": "application/json" }).end("{}");
      return true;
    };
    await read(await bed.post("/v1/audio/speech", { input: "refused" }));
    await read(await bed.post("/v1/messages/count_tokens", { model: "m" }));
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "audio/mpeg" });
      response.write("half a", () => response.destroy());
      return true;
    };
    await read(await bed.post("/v1/audio/speech", { input: "broken off" }));
    expect(await grown()).toEqual({
      [errors("audio", 429)]: 1,
      [errors("count_tokens", 429)]: 1,
      [errors("audio", 502)]: 1,
      [calls("failure")]: 3,
    });
  });

  it("that its caller leaves counts as abandoned", async () => {
    const grown = await watch();
    const { calls: before } = bed.upstream;
    bed.upstream.behaviour = () => new Promise(() => undefined);
    const leaving = new AbortController();
    const asked = fetch(`${bed.url}/v1/files`, { signal: leaving.signal }).catch(() => undefined);
    await until(() => bed.upstream.calls > before);
    leaving.abort();
    await asked;
    await until(() => bed.upstream.seen.at(-1)?.wasAborted === true);
    expect(await grown()).toEqual({ larder_requests_abandoned_total: 1 });
  });
});
