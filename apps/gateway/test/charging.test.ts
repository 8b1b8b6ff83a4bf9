import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Bed, chat, gate, startBed, until } from "./support/start.ts";
import { chatEvents } from "./support/upstream.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await startBed({ auth: "keys", openPaths: ["all"] });
});
afterEach(() => {
  bed.upstream.behaviour = undefined;
});
afterAll(() => bed.close());

/** A key that may spend so many tokens per minute. */
async function makeKey(tokensPerMinute: number): Promise<Record<string, string>> {
  const made = await bed.admin("POST", "/admin/keys", { tenant: "spender", limits: { tokensPerMinute } });
  return { authorization: `Bearer ${((await made.json()) as { key: string }).key}` };
}
const ask = (text: string, key: Record<string, string>, headers = {}, more = {}): Promise<Response> =>
  bed.post("/v1/chat/completions", chat(text, more), { ...key, ...headers });
const metric = async (name: string): Promise<number> => {
  const line = (await (await fetch(`${bed.url}/metrics`)).text()).split("\n").find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.split(" ").at(-1) ?? 0);
};

// An answer of the fixture costs 18 tokens.
describe("token limits", () => {
  it.each([
    ["cached ones", {}, {}],
    ["Cache-Control: no-store", { "cache-control": "no-store" }, {}],
    ["requests that go past the cache by nature", {}, { previous_response_id: "resp_1", conversation: "c", audio: { voice: "alloy" } }],
    [
      "streams past the cache whose usage is told",
      { "cache-control": "no-store" },
      { stream: true, stream_options: { include_usage: true } },
    ],
  ])("count what upstream calls cost: %s", async (name, headers, more) => {
    const key = await makeKey(30);
    const statuses: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const answer = await ask(`${name} ${round}`, key, headers, more);
      await answer.text();
      statuses.push(answer.status);
    }
    expect(statuses).toEqual([200, 200, 429]);
  });

  it("charge by estimate for embeddings that are left before they come", async () => {
    const key = await makeKey(60);
    bed.upstream.behaviour = () => new Promise(() => undefined);
    const before = bed.upstream.calls;
    const leave = new AbortController();
    const left = fetch(`${bed.url}/v1/embeddings`, {
      method: "POST",
      headers: { "content-type": "application/json", ...key },
      body: JSON.stringify({ model: "m", input: "some words ".repeat(40) }),
      signal: leave.signal,
    }).catch((error: unknown) => error);
    await until(() => bed.upstream.calls > before);
    leave.abort();
    await left;
    await until(() => bed.upstream.seen.at(-1)?.wasAborted === true);
    bed.upstream.behaviour = undefined;
    expect((await ask("after embeddings that were left", key)).status).toBe(429);
  });

  it("cost nothing for hits", async () => {
    const key = await makeKey(19);
    for (let round = 0; round < 4; round += 1) expect((await ask("a hit is free", key)).status).toBe(200);
  });

  it.each([
    ["through the cache", {}],
    ["past the cache", { "cache-control": "no-store" }],
  ])("charge by estimate for a stream that is left before it tells its usage: %s", async (name, headers) => {
    const key = await makeKey(30);
    const held = gate();
    const events = chatEvents({ model: "fixture-model" }, 1);
    bed.upstream.behaviour = async (_seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      // All of the content has come; the provider has only to say so.
      for (const event of events.slice(0, -1)) response.write(event);
      await held.opened;
      response.end();
      return true;
    };
    const statuses: number[] = [];
    for (let round = 0; round < 8 && statuses.at(-1) !== 429; round += 1) {
      const answer = await ask(`left ${name} ${round}`, key, headers, { stream: true });
      statuses.push(answer.status);
      if (answer.status !== 200) break;
      const calls = bed.upstream.calls;
      const reader = answer.body?.getReader();
      for (let text = ""; !text.includes("several words"); ) text += Buffer.from((await reader?.read())?.value ?? []).toString();
      await reader?.cancel();
      await until(
        () => bed.upstream.seen.filter((seen) => seen.path.includes("chat")).at(-1)?.wasAborted === true || bed.upstream.calls > calls,
      );
    }
    held.open();
    expect(statuses.at(-1)).toBe(429);
    expect(statuses.length).toBeLessThan(4);
  });

  it("count what a stream has told that is too long to be kept, and not its length", async () => {
    const key = await makeKey(50);
    const logprobs = { content: [{ token: "x".repeat(1024 * 1024) }] };
    const megabyte = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: "x" }, logprobs }], usage: null })}\n\n`;
    const usage = { prompt_tokens: 11, completion_tokens: 17, total_tokens: 28 };
    const closing = `data: ${JSON.stringify({ choices: [], usage })}\n\ndata: {"choices":[],"usage":null}\n\ndata: [DONE]\n\n`;
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).end(megabyte.repeat(17) + closing);
      return true;
    };
    const statuses: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const answer = await ask(`long ${round}`, key, {}, { stream: true });
      await answer.text();
      statuses.push(answer.status);
    }
    expect(statuses).toEqual([200, 200, 429]);
  });

  it.each([{}, { "content-type": "text/plain" }])(
    "count what comes past the cache from servers that do not say what they send: %o",
    async (type) => {
      const [past, events] = [{ "cache-control": "no-store" }, chatEvents({ stream_options: { include_usage: true } }, 1).join("")];
      for (const more of [{}, { stream: true }]) {
        const key = await makeKey(10);
        bed.upstream.behaviour = (_seen, response) => {
          response.writeHead(200, type).end("stream" in more ? events : '{"choices":[],"usage":{"prompt_tokens":6,"completion_tokens":6}}');
          return true;
        };
        const first = await ask("untyped", key, past, more);
        expect(await first.text()).toContain('"usage":{"prompt_tokens"');
        expect([first.status, (await ask("untyped", key, past, more)).status]).toEqual([200, 429]);
      }
    },
  );

  it("charge the input, by estimate, of a response that is made in the background", async () => {
    bed.upstream.behaviour = (_seen, response) => {
      const queued = { id: "resp_1", object: "response", status: "queued", output: [], usage: null };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(queued));
      return true;
    };
    const statuses = async (more: object): Promise<number[]> => {
      const key = await makeKey(100);
      const send = async () => (await bed.post("/v1/responses", { model: "m", input: "some words ".repeat(40), ...more }, key)).status;
      return [await send(), await send()];
    };
    expect([await statuses({ background: true }), await statuses({ store: true })]).toEqual([
      [200, 429],
      [200, 200],
    ]);
  });

  it("count what other requests of the API cost, and not what is read of earlier ones", async () => {
    const key = await makeKey(10);
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end('{"usage":{"input_tokens":6,"output_tokens":6}}');
      return true;
    };
    const proxied = async (method: string): Promise<number> => (await fetch(`${bed.url}/v1/moderations`, { method, headers: key })).status;
    expect([await proxied("GET"), await proxied("GET"), await proxied("POST"), await proxied("POST")]).toEqual([200, 200, 200, 429]);
  });
});

it("counts rankings and embeddings past the cache whose provider tells the sum alone", async () => {
  bed.upstream.behaviour = (_seen, response) => {
    response.writeHead(200, { "content-type": "application/json" }).end('{"object":"list","data":[],"usage":{"total_tokens":12}}');
    return true;
  };
  for (const path of ["/v1/rerank", "/v1/embeddings"]) {
    const key = await makeKey(10);
    const body = { model: "m", query: "q", documents: ["d"], input: "i", output_dtype: "int8" };
    expect([path, (await bed.post(path, body, key)).status, (await bed.post(path, body, key)).status]).toEqual([path, 200, 429]);
  }
});

describe("what goes past the cache", () => {
  it("is counted by its outcome, the call included", async () => {
    const key = await makeKey(1_000);
    const names = [
      'larder_upstream_calls_total{provider="openai",outcome="success"}',
      'larder_upstream_calls_total{provider="openai",outcome="failure"}',
      'larder_requests_total{endpoint="chat",verdict="BYPASS"}',
      'larder_request_errors_total{endpoint="chat",status="500"}',
    ];
    const counts = (): Promise<number[]> => Promise.all(names.map(metric));
    const before = await counts();
    await (await ask("counted", key, { "cache-control": "no-store" })).text();
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(500, { "content-type": "application/json" }).end("{}");
      return true;
    };
    await ask("counted", key, { "cache-control": "no-store" });
    const after = await counts();
    expect(after.map((count, index) => count - (before[index] as number))).toEqual([1, 1, 1, 1]);
  });
});
