import { type IncomingHttpHeaders, request } from "node:http";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Bed, chat, gate, startBed } from "./support/start.ts";
import { chatEvents, FixtureUpstream } from "./support/upstream.ts";

let bed: Bed;
let anthropic: FixtureUpstream;
beforeAll(async () => {
  anthropic = await FixtureUpstream.start();
  bed = await startBed({ anthropicBaseUrl: anthropic.url, anthropicApiKey: "sk-ant-canary" });
});
afterEach(() => {
  bed.upstream.behaviour = undefined;
  anthropic.behaviour = undefined;
});
afterAll(async () => {
  await bed.close();
  await anthropic.close();
});

const CHAT = "/v1/chat/completions";
const cacheOf = (response: Response): string | null => response.headers.get("x-larder-cache");
const toldOf = (response: Response): unknown[] => [response.status, cacheOf(response), response.headers.get("cache-status")];

describe("errors", () => {
  it.each(["text/plain", "application/json"])(
    "of the upstream keep its advice and tell of the cache, whatever they are written in (%s)",
    async (type) => {
      bed.upstream.behaviour = (_seen, response) => {
        response.writeHead(429, { "content-type": type, "retry-after": "17" });
        response.end(type === "text/plain" ? "slow down" : '{"error":{"message":"slow down"}}');
        return true;
      };
      const response = await bed.post(CHAT, chat(`limited ${type}`));
      expect(toldOf(response)).toEqual([429, "MISS", "larder; fwd=miss; fwd-status=429"]);
      expect(response.headers.get("retry-after")).toBe("17");
      const past = await bed.post(CHAT, chat(`limited ${type}`), { "cache-control": "no-store" });
      expect(toldOf(past)).toEqual([429, "BYPASS", "larder; fwd=bypass; fwd-status=429"]);
    },
  );

  it("of our own, and lists of models, tell that the cache took no part", async () => {
    for (const body of ["{", { model: "", messages: [] }])
      expect(toldOf(await bed.post(CHAT, body))).toEqual([400, "BYPASS", "larder; detail=generated"]);
    expect(toldOf(await fetch(`${bed.url}/v1/models`))).toEqual([200, "BYPASS", "larder; detail=generated"]);
    expect(toldOf(await bed.post(CHAT, chat("only"), { "cache-control": "only-if-cached" }))).toEqual([504, "MISS", "larder; fwd=miss"]);
  });

  it.each([
    ["chat", CHAT, chat("encoded")],
    ["embeddings", "/v1/embeddings", { model: "m", input: "encoded" }],
  ])("say that an encoded body is not taken (%s)", async (_, path, body) => {
    const response = await fetch(bed.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", "content-encoding": "gzip" },
      body: gzipSync(JSON.stringify(body)),
    });
    expect([response.status, response.headers.get("accept-encoding")]).toEqual([415, "identity"]);
    expect(await response.json()).toMatchObject({ error: { param: "content-encoding" } });
  });

  it("that break a stream of responses off come as the API's own event, and OpenAI's client raises them", async () => {
    const told = [
      ["response.created", { response: { id: "r", object: "response", output: [], status: "in_progress" } }],
      ["response.output_item.added", { output_index: 0, item: { id: "i", type: "message", role: "assistant", content: [] } }],
    ] as const;
    const text = told.map(
      ([type, more], index) => `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: index + 4, ...more })}\n\n`,
    );
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(text.join(""), () => response.destroy());
      return true;
    };
    const body = await (await bed.post("/v1/responses", { model: "m", input: "cut", stream: true })).text();
    const [name, data] = (body.trim().split("\n\n").at(-1) ?? "").split("\n");
    expect(name).toBe("event: error");
    expect(JSON.parse((data as string).slice(6))).toMatchObject({ type: "error", code: "upstream_error", param: null, sequence_number: 6 });
    const stream = await new OpenAI({ baseURL: `${bed.url}/v1`, apiKey: "any" }).responses.create({
      model: "m",
      input: "cut!",
      stream: true,
    });
    const read = async (): Promise<void> => {
      for await (const _ of stream);
    };
    await expect(read()).rejects.toMatchObject({ code: "upstream_error" });
  });
});

describe("a stream that comes as JSON", () => {
  const asJson = (body: unknown): void => {
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
      return true;
    };
  };
  const stream = (text: string): Promise<Response> => bed.post(CHAT, chat(text, { stream: true }), { "cache-control": "no-store" });

  it.each([
    ["an error", { error: { message: "overloaded" } }, { error: { message: "overloaded" } }],
    ["something else", { choices: [] }, { error: { code: "upstream_error" } }],
  ])("is an error past the cache as well, when it is %s", async (_, body, told) => {
    asJson(body);
    const response = await stream("in disguise");
    expect([response.status, cacheOf(response), await response.json()]).toMatchObject([502, "BYPASS", told]);
  });

  it("is passed on as it came when it is an answer", async () => {
    const answer = { id: "c", choices: [{ index: 0, message: { role: "assistant", content: "whole" }, finish_reason: "stop" }] };
    asJson(answer);
    const response = await stream("whole");
    expect([response.status, await response.json()]).toEqual([200, answer]);
  });
});

describe("only-if-cached", () => {
  it.each([
    ["with the cache off", { ...chat("never"), model: "off" }, CHAT],
    ["for a stateful request", { model: "m", input: "never", previous_response_id: "resp_1" }, "/v1/responses"],
    ["for embeddings with the cache off", { model: "off", input: "never" }, "/v1/embeddings"],
  ])("never asks the upstream, %s", async (_, body, path) => {
    const off = await startBed({ routes: [{ model: "off", cache: "off", targets: [{ provider: "openai" }] }] });
    try {
      expect((await off.post(path, body, { "cache-control": "only-if-cached" })).status).toBe(504);
      expect((await off.post(path, body, { "cache-control": "only-if-cached, no-store" })).status).toBe(504);
      expect(off.upstream.calls).toBe(0);
    } finally {
      await off.close();
    }
  });
});

describe("max-age", () => {
  it("takes no answer that is older, one past its time least of all", async () => {
    const stale = await startBed({ cacheTtl: "1ms", staleWhileRevalidate: "1h" });
    try {
      await stale.post(CHAT, chat("aged"));
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(cacheOf(await stale.post(CHAT, chat("aged"), { "cache-control": "max-age=0" }))).toBe("REFRESH");
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(cacheOf(await stale.post(CHAT, chat("aged"), { "cache-control": "max-age=600" }))).toBe("STALE");
    } finally {
      await stale.close();
    }
  });
});

describe("the query of a request", () => {
  it.each([
    [CHAT, chat("asked")],
    ["/v1/embeddings", { model: "m", input: "asked" }],
  ])("reaches the upstream and parts the answers (%s)", async (path, body) => {
    const long = `?api-version=${"1".repeat(500)}`;
    for (const search of ["", "?api-version=1", "?api-version=2", long, `${long}2`]) {
      expect(cacheOf(await bed.post(path + search, body))).toBe("MISS");
      expect(bed.upstream.seen.at(-1)?.path).toBe(path + search);
      expect(cacheOf(await bed.post(path + search, body))).toBe("HIT");
    }
    await bed.post(`${path}?beta=true`, body, { "cache-control": "no-store" });
    expect(bed.upstream.seen.at(-1)?.path).toBe(`${path}?beta=true`);
  });
});

it("a provider that does not know how to tell a stream's usage is asked in the caller's own words, and from then on at once", async () => {
  const old = await startBed();
  old.upstream.behaviour = ({ body }, response) => {
    if (body.stream_options === undefined) return false;
    response
      .writeHead(422, { "content-type": "application/json" })
      .end('{"detail":[{"loc":["body","stream_options"],"type":"extra_forbidden"}]}');
    return true;
  };
  const ask = async (text: string): Promise<unknown[]> => {
    const response = await old.post(CHAT, chat(text, { stream: true }));
    return [response.status, (await response.text()).trim().endsWith("data: [DONE]"), response.headers.get("x-larder-cache")];
  };
  expect([await ask("old"), old.upstream.calls]).toEqual([[200, true, "MISS"], 2]);
  expect([await ask("old"), old.upstream.calls]).toEqual([[200, true, "HIT"], 2]);
  expect([await ask("older"), old.upstream.calls]).toEqual([[200, true, "MISS"], 3]);
  // An error that speaks of the field because the caller does says nothing about the provider.
  const other = await startBed();
  other.upstream.behaviour = ({ body }, response) => {
    if ((body.messages as Array<{ content: string }>)[0]?.content !== "poison") return false;
    response.writeHead(400, { "content-type": "application/json" }).end('{"error":{"message":"no such role: stream_options"}}');
    return true;
  };
  expect((await other.post(CHAT, chat("poison", { stream: true }))).status).toBe(400);
  await (await other.post(CHAT, chat("sane", { stream: true }))).text();
  expect(other.upstream.seen.at(-1)?.body.stream_options).toEqual({ include_usage: true });
  await other.close();
  // Whoever asks for the usage by name hears that there is none.
  expect((await old.post(CHAT, chat("named", { stream: true, stream_options: { include_usage: true } }))).status).toBe(422);
  await old.close();
});

it.each([
  [
    "plain words",
    "no such model:\r\n\tnope, and sk-upstream-canary-7f3a9c",
    "The provider answered with an error: no such model: nope, and [redacted]",
    "upstream_error",
  ],
  ["a list of one, as Google does", '[{"error":{"code":404,"message":"not found","status":"NOT_FOUND"}}]', "not found", 404],
  ["a text in JSON", '"not here"', 'The provider answered with an error: "not here"', "upstream_error"],
  ["a page for browsers", " <html><h1>nginx on 10.0.0.7</h1></html>", "The provider answered with an error.", "upstream_error"],
  ["nothing", "", "The provider answered with an error.", "upstream_error"],
  ["very many words", "word ".repeat(1000), `The provider answered with an error: ${"word ".repeat(100)}`, "upstream_error"],
])("an error that a provider tells as %s is told in the API's shape, with its words", async (_, body, message, code) => {
  const bed = await startBed();
  bed.upstream.behaviour = (_seen, response) => {
    response.writeHead(404, { "content-type": "text/plain" }).end(body);
    return true;
  };
  const client = new OpenAI({ baseURL: `${bed.url}/v1`, apiKey: "any", maxRetries: 0 });
  for (const headers of [{}, { "cache-control": "no-store" }]) {
    const raised = await client.chat.completions.create({ model: "m", messages: [] }, { headers }).catch((error: unknown) => error);
    expect(raised).toMatchObject({ status: 404, code, error: { message } });
  }
  await bed.close();
});

it.each([{ stream: true }, {}])("a provider that begins an answer and goes silent is a 504 past the cache, too: %o", async (more) => {
  const bed = await startBed({ upstreamTimeout: "100ms" });
  bed.upstream.behaviour = (_seen, response) => {
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    return true;
  };
  const { status } = await bed.post(CHAT, chat("silent", more));
  expect(status).toBe(504);
  if ("stream" in more) {
    expect((await bed.post(CHAT, chat("silent", more), { "cache-control": "no-store" })).status).toBe(504);
    expect(bed.logs.filter((line) => line.includes('"level":50'))).toEqual([]);
  }
  await bed.close();
});

it("what a caller says of a stream goes on, with the usage that the cache needs", async () => {
  await (await bed.post(CHAT, chat("padded", { stream: true, stream_options: { include_obfuscation: false } }))).text();
  expect(bed.upstream.seen.at(-1)?.body.stream_options).toEqual({ include_obfuscation: false, include_usage: true });
  await (await bed.post(CHAT, chat("null told", { stream: true, stream_options: null }))).text();
  expect(bed.upstream.seen.at(-1)?.body.stream_options).toEqual({ include_usage: true });
});

describe("an upstream that encodes its answers unasked", () => {
  it.each([
    ["gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
  ])("is understood (%s)", async (encoding, encode) => {
    const answer = {
      id: "c",
      object: "chat.completion",
      choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }],
    };
    const asked: unknown[] = [];
    bed.upstream.behaviour = (seen, response) => {
      asked.push(seen.headers["accept-encoding"]);
      const bytes = encode(seen.path.includes("models") ? JSON.stringify({ data: [{ id: "m" }] }) : JSON.stringify(answer));
      response.writeHead(200, { "content-type": "application/json", "content-encoding": encoding, "content-length": bytes.length });
      response.end(bytes);
      return true;
    };
    for (const [headers, verdict] of [
      [{}, "MISS"],
      [{}, "HIT"],
      [{ "cache-control": "no-store" }, "BYPASS"],
    ] as const) {
      const response = await bed.post(CHAT, chat(`encoded ${encoding}`), headers);
      expect([cacheOf(response), response.headers.get("content-encoding"), await response.json()]).toEqual([verdict, null, answer]);
    }
    const proxied = await bed.post("/v1/moderations", { input: "a" });
    expect([proxied.headers.get("content-encoding"), await proxied.json()]).toEqual([null, answer]);
    expect(asked).toEqual(["identity", "identity", "identity"]);
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(400, { "content-type": "application/json", "content-encoding": encoding });
      response.end(encode('{"error":{"message":"not so"}}'));
      return true;
    };
    const refused = await bed.post(CHAT, chat(`refused ${encoding}`));
    expect([refused.status, await refused.json()]).toEqual([400, { error: { message: "not so" } }]);
  });

  it("streams are passed on as they come, and kept", async () => {
    const events = ["ha", "ha"].map(
      (content) => `data: ${JSON.stringify({ id: "c", choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`,
    );
    events.push('data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', "data: [DONE]\n\n");
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream", "content-encoding": "gzip" }).end(gzipSync(events.join("")));
      return true;
    };
    expect(await (await bed.post(CHAT, chat("gzip stream", { stream: true }))).text()).toBe(events.join(""));
    const whole = (await (await bed.post(CHAT, chat("gzip stream"))).json()) as { choices: Array<{ message: { content: string } }> };
    expect(whole.choices[0]?.message.content).toBe("haha");
  });

  it("one that breaks off in the middle is a failure", async () => {
    bed.upstream.behaviour = (_seen, response) => {
      const bytes = gzipSync(JSON.stringify({ filler: "x".repeat(5_000) }));
      response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" }).end(bytes.subarray(0, bytes.length - 12));
      return true;
    };
    expect((await bed.post(CHAT, chat("half a gzip"))).status).toBe(502);
  });
});

describe("requests that are passed on", () => {
  it("are answered 502 when the upstream is down, without a word in the log", async () => {
    bed.upstream.behaviour = (_seen, response) => {
      response.destroy();
      return true;
    };
    const before = bed.logs.length;
    const response = await fetch(`${bed.url}/v1/files`);
    expect(toldOf(response)).toEqual([502, "BYPASS", "larder; fwd=bypass; fwd-status=502"]);
    expect(bed.logs.slice(before).filter((line) => line.includes('"level":50'))).toEqual([]);
  });

  it("go to Anthropic when they are below its messages, with its credential, and errors come in its shape", async () => {
    const seen = anthropic.seen.length;
    anthropic.behaviour = (one, response) => {
      const isCount = one.path === "/v1/messages/count_tokens";
      response.writeHead(isCount ? 200 : 404, { "content-type": isCount ? "application/json" : "text/plain" });
      response.end(isCount ? '{"input_tokens":3}' : "no");
      return true;
    };
    const counted = await bed.post("/v1/messages/count_tokens", { model: "m", messages: [] });
    expect([await counted.json(), counted.headers.get("request-id")]).toEqual([{ input_tokens: 3 }, expect.stringMatching(/^req_/)]);
    expect(anthropic.seen[seen]?.headers).toMatchObject({ "x-api-key": "sk-ant-canary", "anthropic-version": "2023-06-01" });
    const batch = await fetch(`${bed.url}/v1/messages/batches/none`);
    expect([batch.status, await batch.json()]).toMatchObject([404, { type: "error", error: { type: "not_found_error" } }]);
    expect(anthropic.seen.at(-1)?.headers).toMatchObject({ "x-api-key": "sk-ant-canary", "anthropic-version": "2023-06-01" });
    await fetch(`${bed.url}/v1/messages/batches/none`, { headers: { "anthropic-version": "2099-01-01" } });
    expect(anthropic.seen.at(-1)?.headers["anthropic-version"]).toBe("2099-01-01");
  });

  it("keep what describes a part of a file, and lose what is about the connection alone", async () => {
    let heard: Record<string, unknown> = {};
    bed.upstream.behaviour = (seen, response) => {
      heard = seen.headers;
      response.writeHead(206, {
        "content-type": "application/octet-stream",
        "content-length": 4,
        "content-range": "bytes 0-3/9",
        "accept-ranges": "bytes",
        etag: '"v1"',
      });
      response.end("part");
      return true;
    };
    const answer = await new Promise<{ headers: IncomingHttpHeaders; status: number | undefined }>((resolve, reject) => {
      const { port } = new URL(bed.url);
      const headers = { range: "bytes=0-3", connection: "close, X-Hop", "x-hop": "1", "x-kept": "2" };
      const asked = request({ host: "127.0.0.1", port, path: "/v1/files/f/content", headers }, (response) => {
        response.resume().on("end", () => resolve({ headers: response.headers, status: response.statusCode }));
      });
      asked.on("error", reject).end();
    });
    expect(answer.status).toBe(206);
    expect(answer.headers).toMatchObject({ "content-range": "bytes 0-3/9", "accept-ranges": "bytes", etag: '"v1"', "content-length": "4" });
    expect([heard.range, heard["x-kept"], heard["x-hop"]]).toEqual(["bytes=0-3", "2", undefined]);
  });

  it("are answered with the provider's own headers, but for those that are not for the caller", async () => {
    const own = {
      "cache-control": "private, max-age=9",
      link: '</v1/files?after=f>; rel="next"',
      "x-total-count": "7",
      "openai-version": "1",
    };
    const others = {
      "set-cookie": "session=1",
      server: "cloudflare",
      "alt-svc": 'h3=":443"',
      "openai-organization": "org-operator",
      "access-control-allow-origin": "*",
      "x-accel-redirect": "/etc/passwd",
      "x-hop": "1",
      connection: "close, X-Hop",
      "x-quoted": "sk-upstream-canary-7f3a9c",
      "x-request-id": "req_of_provider",
      "x-larder-cache": "HIT",
    };
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "application/json", ...own, ...others }).end("{}");
      return true;
    };
    const { headers } = await fetch(`${bed.url}/v1/files`);
    expect(Object.fromEntries(headers)).toMatchObject({
      ...own,
      "x-larder-upstream-request-id": "req_of_provider",
      "x-larder-cache": "BYPASS",
    });
    const told = Object.keys(others).filter((name) => headers.has(name));
    expect([told, headers.get("x-request-id"), headers.get("connection")]).toEqual([
      ["connection", "x-request-id", "x-larder-cache"],
      expect.not.stringContaining("provider"),
      "keep-alive",
    ]);
  });
});

it("tells by what id the provider knows the request, to whoever made the call, errors included", async () => {
  const bed = await startBed();
  let status = 200;
  bed.upstream.behaviour = (seen, response) => {
    response.setHeader(seen.path.startsWith("/v1/messages") ? "request-id" : "x-request-id", `req_of_provider_${bed.upstream.calls}`);
    if (status === 200) return false;
    response.writeHead(status, { "content-type": "application/json" }).end('{"error":{"message":"no"}}');
    return true;
  };
  const idOf = async (path: string, body: unknown, headers = {}): Promise<string | null> => {
    const answer = await bed.post(path, body, headers);
    await answer.text();
    expect(answer.headers.get("x-request-id")).not.toContain("provider");
    return answer.headers.get("x-larder-upstream-request-id");
  };
  expect([await idOf(CHAT, chat("id")), await idOf(CHAT, chat("id"))]).toEqual(["req_of_provider_1", null]);
  expect(await idOf(CHAT, chat("id", { stream: true }), { "cache-control": "no-cache" })).toBe("req_of_provider_2");
  expect(await idOf(CHAT, chat("id"), { "cache-control": "no-store" })).toBe("req_of_provider_3");
  expect(await idOf("/v1/messages", { model: "m", max_tokens: 1, messages: [] })).toBe("req_of_provider_4");
  const embeddings = (input: string[]): Promise<string | null> => idOf("/v1/embeddings", { model: "m", input });
  expect([await embeddings(["a"]), await embeddings(["a"]), await embeddings(["a", "b"])]).toEqual([
    "req_of_provider_5",
    null,
    "req_of_provider_6",
  ]);
  status = 400;
  expect(await idOf(CHAT, chat("id refused"))).toBe("req_of_provider_7");
  await bed.close();
});

it("a provider whose list of models does not come is not asked for it by every caller", async () => {
  const bed = await startBed();
  let asked = 0;
  bed.upstream.behaviour = ({ path }, response) => {
    if (!path.startsWith("/v1/models")) return false;
    asked += 1;
    response.writeHead(500).end();
    return true;
  };
  for (let round = 0; round < 3; round += 1) expect((await fetch(`${bed.url}/v1/models`)).status).toBe(200);
  expect(asked).toBe(1);
  await bed.close();
});

it.each([{}, { "content-type": "text/plain; charset=utf-8" }])(
  "a stream that says %o is passed on as it comes, and kept",
  async (headers) => {
    const bed = await startBed();
    const rest = gate();
    bed.upstream.behaviour = async ({ body }, response) => {
      const [first, ...others] = chatEvents(body, 1);
      response.writeHead(200, headers).write(first as string);
      await rest.opened;
      response.end(others.join(""));
      return true;
    };
    const live = await bed.post(CHAT, chat("untold", { stream: true }));
    const reader = (live.body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toContain("data: ");
    rest.open();
    while (!(await reader.read()).done);
    expect(cacheOf(await bed.post(CHAT, chat("untold")))).toBe("HIT");
    await bed.close();
  },
);

it("a byte order mark before an answer takes nothing of it away", async () => {
  const bed = await startBed();
  bed.upstream.behaviour = ({ body }, response) => {
    const message = { role: "assistant", content: "all of it", refusal: null };
    const whole = { id: "c", object: "chat.completion", choices: [{ index: 0, message, finish_reason: "stop" }] };
    const event = `data: ${JSON.stringify({ ...whole, choices: [{ index: 0, delta: message, finish_reason: "stop" }] })}\n\n`;
    response.writeHead(200, { "content-type": body.stream ? "text/event-stream" : "application/json" });
    response.end(`\ufeff${body.stream ? `${event}data: [DONE]\n\n` : JSON.stringify(whole)}`);
    return true;
  };
  for (const stream of [false, true]) {
    const request = chat("marked", { stream, n: stream ? 1 : null });
    await (await bed.post(CHAT, request)).text();
    const kept = await bed.post(CHAT, { ...request, stream: false });
    expect([cacheOf(kept), ((await kept.json()) as { choices: [{ message: { content: string } }] }).choices[0].message.content]).toEqual([
      "HIT",
      "all of it",
    ]);
  }
  await bed.close();
});

it.each(["/chat/completions", "//v1/chat/completions", "/openai/deployments/m/chat/completions", "/messages", "/models", "/v1"])(
  "%s, asked for by a client with the wrong base URL, is told where the API is",
  async (path) => {
    const bed = await startBed();
    for (const method of path === "/models" || path === "/v1" ? ["GET"] : ["POST", "GET"]) {
      const refused = await fetch(bed.url + path, { method, ...(method === "POST" ? { body: "{}" } : {}) });
      expect([refused.status, await refused.text()]).toEqual([404, expect.stringContaining("the API is below /v1")]);
    }
    await bed.close();
  },
);
