import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createGatewayHandler } from "../src/create-gateway-handler.ts";
import { type Bed, chat, startBed } from "./support/start.ts";
import { chatEvents } from "./support/upstream.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
});
afterAll(() => bed.close());

const cacheOf = (response: Response): string | null => response.headers.get("x-larder-cache");

describe("chat completions", () => {
  it("answers the second equal request from the cache, byte for byte, and says so", async () => {
    const before = bed.upstream.calls;
    const first = await bed.post("/v1/chat/completions", chat("twice"));
    const second = await bed.post("/v1/chat/completions", chat("twice"));
    expect([cacheOf(first), cacheOf(second)]).toEqual(["MISS", "HIT"]);
    expect(await second.text()).toBe(await first.text());
    expect(bed.upstream.calls - before).toBe(1);
    expect(first.headers.get("cache-status")).toMatch(/^larder; fwd=miss; ttl=\d+; stored; key="1:/);
    expect(second.headers.get("cache-status")).toMatch(/^larder; hit; ttl=\d+; key="1:/);
    expect(second.headers.get("age")).toBe("0");
    expect(second.headers.get("x-request-id")).not.toBe(first.headers.get("x-request-id"));
  });

  it("does not care for property order, white space or who asks, and does care for every other field", async () => {
    await bed.post("/v1/chat/completions", chat("canonical", { temperature: 1 }));
    const reordered = `{ "temperature": 1.0, "user": "u-1", "messages": [ {"content":"canonical","role":"user"} ], "model":"fixture-model" }`;
    expect(cacheOf(await bed.post("/v1/chat/completions", reordered))).toBe("HIT");
    for (const more of [{ temperature: 0.9 }, { seed: 1, temperature: 1 }, { temperature: 1, brand_new_field: true }])
      expect(cacheOf(await bed.post("/v1/chat/completions", chat("canonical", more)))).toBe("MISS");
  });

  it.each([false, true])("keeps every field when a stream (first: %s) and a whole answer share one entry", async (isStreamFirst) => {
    for (const tools of [undefined, [{ type: "function", function: { name: "weather" } }]]) {
      const request = chat(`shared ${isStreamFirst} ${tools !== undefined}`, tools ? { tools } : {});
      const ask = (stream: boolean): Promise<Response> => bed.post("/v1/chat/completions", { ...request, stream });
      const first = await ask(isStreamFirst);
      const told = [await first.text()];
      const second = await ask(!isStreamFirst);
      told.push(await second.text());
      expect([cacheOf(first), cacheOf(second)]).toEqual(["MISS", "HIT"]);
      const [whole, stream] = isStreamFirst ? [told[1], told[0]] : [told[0], told[1]];
      const message = JSON.parse(whole as string).choices[0].message;
      expect(rebuild(stream as string)).toEqual(
        tools
          ? { calls: [message.tool_calls[0]], finish: "tool_calls" }
          : { content: message.content, reasoning: message.reasoning_content, finish: "stop" },
      );
      expect(JSON.parse(whole as string).usage).toEqual({ prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 });
    }
  });

  it.each([
    ["an id and a comment before it", (json: string) => `: keep-alive\nid: 7\ndata: ${json}\n\n`],
    ["a name", (json: string) => `event: chunk\ndata:${json}\n\n`],
    ["several lines", (json: string) => `data: ${json.replaceAll(',"', ',\ndata: "')}\n\n`],
    ["white space in it", (json: string) => `data: ${json.replaceAll('":', '" : ')}\n\n`],
  ])("knows the usage chunk from others, be it written with %s", async (how, write) => {
    bed.upstream.behaviour = ({ body }, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const event of chatEvents(body, 1)) response.write(event.startsWith("data: {") ? write(event.slice(6).trim()) : event);
      response.end();
      return true;
    };
    for (const verdict of ["MISS", "HIT"]) {
      const response = await bed.post("/v1/chat/completions", chat(`usage with ${how}`, { stream: true }));
      const text = await response.text();
      expect([response.headers.get("x-larder-cache"), text.includes("prompt_tokens"), text.includes("[DONE]")]).toEqual([
        verdict,
        false,
        true,
      ]);
    }
    const told = await bed.post("/v1/chat/completions", chat(`usage with ${how}`));
    expect(await told.json()).toMatchObject({ usage: { prompt_tokens: 11 } });
    bed.upstream.behaviour = undefined;
  });

  it("keeps the digits of whole numbers past 2^53 where a stream becomes a whole answer", async () => {
    const number = "1234567890123456789";
    const choice = `"choices":[{"index":0,"delta":{"content":"hi"},"text":"hi","finish_reason":"stop"}]`;
    const streams = {
      "/v1/chat/completions": `data: {"id":"c","number":${number},${choice}}\n\ndata: [DONE]\n\n`,
      "/v1/completions": `data: {"id":"c","number":${number},${choice}}\n\ndata: [DONE]\n\n`,
      "/v1/responses": `data: {"type":"response.completed","response":{"object":"response","status":"completed","output":[],"number":${number}}}\n\n`,
      "/v1/images/generations": `data: {"type":"image_generation.completed","b64_json":"cA==","number":${number}}\n\n`,
    };
    for (const [path, events] of Object.entries(streams)) {
      bed.upstream.behaviour = (_seen, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" }).end(events);
        return true;
      };
      const request = { ...chat("long numbers"), prompt: "p", input: "i" };
      await (await bed.post(path, { ...request, stream: true })).text();
      const whole = await bed.post(path, request);
      expect([path, whole.headers.get("x-larder-cache"), (await whole.text()).includes(`"number":${number}`)]).toEqual([path, "HIT", true]);
    }
    bed.upstream.behaviour = undefined;
  });

  it("tells the usage chunk to those who ask for it, and only to them, live and replayed", async () => {
    for (const round of ["live", "replayed"]) {
      const plain = await (await bed.post("/v1/chat/completions", chat("usage plain", { stream: true }))).text();
      expect(plain.includes('"choices":[]'), round).toBe(false);
      const asked = await (
        await bed.post("/v1/chat/completions", chat("usage asked", { stream: true, stream_options: { include_usage: true } }))
      ).text();
      const events = asked.trim().split("\n\n");
      expect(events.at(-1)).toBe("data: [DONE]");
      const closing = JSON.parse((events.at(-2) as string).slice(6));
      expect([closing.choices, closing.usage.total_tokens], round).toEqual([[], 18]);
      const ids = new Set(events.slice(0, -1).map((event) => JSON.parse(event.slice(6)).id));
      expect(ids.size).toBe(1);
    }
  });

  it("asks the upstream for usage when the caller of a stream did not, so that the entry is whole", async () => {
    await (await bed.post("/v1/chat/completions", chat("usage wanted", { stream: true }))).text();
    expect(bed.upstream.seen.at(-1)?.body.stream_options).toEqual({ include_usage: true });
  });

  it.each([
    ["a server error", 500, 500, { error: { message: "broken" } }],
    ["a rate limit", 429, 429, { error: { message: "slow down" } }],
    ["an error with status 200", 200, 502, { error: { message: "in disguise" } }],
    ["an error with status 200 that tells its own", 200, 403, { error: { message: "in disguise", code: 403 } }],
    ["no choices", 200, 200, { id: "x", object: "chat.completion", choices: [] }],
    [
      "an unfinished choice",
      200,
      200,
      { id: "x", object: "chat.completion", choices: [{ index: 0, message: { role: "assistant", content: "…" }, finish_reason: null }] },
    ],
    ...["abort", "cancelled", "timeout", "insufficient_system_resource"].map((reason): [string, number, number, object] => [
      `a text that the server has broken off: ${reason}`,
      200,
      200,
      {
        id: "x",
        object: "chat.completion",
        choices: [{ index: 0, message: { role: "assistant", content: "half" }, finish_reason: reason }],
      },
    ]),
  ])("does not store %s", async (name, status, answered, body) => {
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      return true;
    };
    const bad = await bed.post("/v1/chat/completions", chat(`bad ${name}`));
    expect([bad.status, await bad.json()]).toEqual([answered, body]);
    expect(bad.headers.get("cache-status")).not.toContain("stored");
    bed.upstream.behaviour = undefined;
    expect(cacheOf(await bed.post("/v1/chat/completions", chat(`bad ${name}`)))).toBe("MISS");
  });

  it.each([
    ["/v1/messages", "paused", { id: "m", type: "message", role: "assistant", model: "m", content: [], stop_reason: "pause_turn" }],
    [
      "/v1/messages",
      "paused",
      {
        ...{ id: "m", type: "message", role: "assistant", model: "m", stop_reason: "tool_use" },
        container: { id: "container_1", expires_at: "2026-01-15T14:30:00Z" },
        content: [
          {
            type: "server_tool_use",
            id: "srvtoolu_1",
            name: "code_execution",
            input: { code: "await query()" },
            caller: { type: "direct" },
          },
          { type: "tool_use", id: "toolu_1", name: "query", input: {}, caller: { type: "code_execution_20260120", tool_id: "srvtoolu_1" } },
        ],
      },
    ],
    [
      "/v1/responses",
      "unfinished",
      { id: "r", object: "response", status: "incomplete", incomplete_details: { reason: "content_filter" }, output: [] },
    ],
  ])("does not store what %s tells as %s", async (path, reason, body) => {
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
      return true;
    };
    for (let round = 0; round < 2; round += 1) {
      const answer = await bed.post(path, chat(`not for ever: ${reason}`, { input: reason, max_tokens: 9 }));
      expect([answer.status, cacheOf(answer), answer.headers.get("cache-status")]).toEqual([
        200,
        "MISS",
        expect.stringContaining(`detail=${reason}`),
      ]);
    }
    bed.upstream.behaviour = undefined;
  });

  const CONTENT = 'data: {"id":"1","choices":[{"index":0,"delta":{"content":"ha"},"finish_reason":null}]}\n\n';
  const FINISH = 'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n';
  const ERROR = 'data: {"error":{"message":"overloaded"}}\n\ndata: [DONE]\n\n';

  it.each([
    ["cut off", CONTENT, true],
    ["ended without [DONE]", CONTENT + FINISH, false],
    ["without a finish reason", `${CONTENT}data: [DONE]\n\n`, false],
    ["with an error in it", CONTENT + ERROR, false],
    ["that the server has broken off", `${CONTENT}${FINISH.replace("stop", "abort")}data: [DONE]\n\n`, false],
  ])("does not store a stream %s", async (name, events, isCut) => {
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(events, () => (isCut ? response.destroy() : response.end()));
      return true;
    };
    const text = await (await bed.post("/v1/chat/completions", chat(`cut ${name}`, { stream: true }))).text();
    if (isCut) expect(text).toContain('"error"');
    bed.upstream.behaviour = undefined;
    expect(cacheOf(await bed.post("/v1/chat/completions", chat(`cut ${name}`)))).toBe("MISS");
  });

  it("passes requests of other endpoints on, streaming both ways, uncached", async () => {
    const response = await fetch(`${bed.url}/v1/files`, { method: "POST", headers: { "content-type": "text/plain" }, body: "a file" });
    expect([response.status, cacheOf(response), await response.json()]).toEqual([
      200,
      "BYPASS",
      { object: "list", data: [], heard: "a file" },
    ]);
  });

  it("lists the models and tells one, whatever slashes its id has", async () => {
    const list = (await (await fetch(`${bed.url}/v1/models`)).json()) as { data: Array<{ id: string }> };
    expect(list.data.map((model) => model.id)).toContain("fixture-model");
    expect((await fetch(`${bed.url}/v1/models/fixture-model`)).status).toBe(200);
    expect((await fetch(`${bed.url}/v1/models/no/such%2Fmodel`)).status).toBe(404);
  });
});

it.each(["none", "keys"] as const)("tells by HEAD what it would by GET of the models, without a body (auth: %s)", async (auth) => {
  const listing = await startBed({ auth });
  const made =
    auth === "keys" ? ((await (await listing.admin("POST", "/admin/keys", { tenant: "t" })).json()) as { key: string }) : undefined;
  const headers: Record<string, string> = made ? { authorization: `Bearer ${made.key}` } : {};
  for (const [path, status] of [
    ["/v1/models", 200],
    ["/v1/models/fixture-model", 200],
    ["/v1/models/none", 404],
  ] as const) {
    const got = await fetch(listing.url + path, { headers });
    const head = await fetch(listing.url + path, { method: "HEAD", headers });
    const { length } = await got.text();
    expect([got.status, head.status, head.headers.get("content-length"), await head.text()]).toEqual([status, status, String(length), ""]);
  }
  expect(listing.upstream.seen.map(({ path }) => path)).toEqual(["/v1/models"]);
  await listing.close();
});

it.each(["/v1/models", "/v1/models/none"])("tells by HEAD no body in a mounted handler either: %s", async (path) => {
  const handler = createGatewayHandler();
  const [got, head] = [
    await handler(new Request(`http://app${path}`)),
    await handler(new Request(`http://app${path}`, { method: "HEAD" })),
  ];
  const length = String((await got.text()).length);
  expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([got.status, length, ""]);
  await handler.close();
});

describe("cache controls", () => {
  const ask = (text: string, headers: Record<string, string>): Promise<Response> => bed.post("/v1/chat/completions", chat(text), headers);

  it("no-store goes past the cache both ways", async () => {
    expect(cacheOf(await ask("no-store", { "cache-control": "no-store" }))).toBe("BYPASS");
    expect(cacheOf(await ask("no-store", {}))).toBe("MISS");
  });

  it("no-cache and refresh make the answer anew and replace the stored one", async () => {
    const old = await (await ask("anew", {})).text();
    const refreshed = await ask("anew", { "cache-control": "no-cache" });
    expect(cacheOf(refreshed)).toBe("REFRESH");
    const fresh = await refreshed.text();
    expect(fresh).not.toBe(old);
    expect(await (await ask("anew", {})).text()).toBe(fresh);
    expect(cacheOf(await ask("anew", { "x-larder-cache-mode": "refresh" }))).toBe("REFRESH");
  });

  it("only-if-cached answers 504 on a miss and never asks the upstream", async () => {
    const before = bed.upstream.calls;
    expect((await ask("only", { "cache-control": "only-if-cached" })).status).toBe(504);
    expect(bed.upstream.calls).toBe(before);
    await ask("only", {});
    expect(cacheOf(await ask("only", { "cache-control": "only-if-cached" }))).toBe("HIT");
  });

  it("max-age=0 takes no stored answer, a large one does", async () => {
    await ask("max-age", {});
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(cacheOf(await ask("max-age", { "cache-control": "max-age=0" }))).toBe("REFRESH");
    expect(cacheOf(await ask("max-age", { "cache-control": "max-age=600" }))).toBe("HIT");
  });

  it("read-only stores nothing, write-only reads nothing", async () => {
    expect(cacheOf(await ask("modes", { "x-larder-cache-mode": "read-only" }))).toBe("MISS");
    expect(cacheOf(await ask("modes", { "x-larder-cache-mode": "write-only" }))).toBe("REFRESH");
    expect(cacheOf(await ask("modes", { "x-larder-cache-mode": "read-only" }))).toBe("HIT");
  });

  it.each([
    ["x-larder-cache-namespace", "a?b=c"],
    ["x-larder-cache-namespace", "a b"],
    ["x-larder-cache-namespace", "n".repeat(129)],
    ["x-larder-cache-tags", "t".repeat(129)],
    ["x-larder-cache-tags", Array.from({ length: 21 }, (_, tag) => `t${tag}`).join()],
    ["x-larder-cache-mode", "sometimes"],
    ["x-larder-cache-usage", "none"],
    ["x-larder-cache-ttl", "31536001"],
    ["x-larder-cache-ttl", "0"],
    ["cache-control", "max-age=1.5"],
  ])("refuses what it cannot read, by name, and asks nobody: %s %s", async (name, value) => {
    const { calls } = bed.upstream;
    const refused = await ask("unreadable", { [name]: value });
    const { error } = (await refused.json()) as { error: { param: string } };
    expect([refused.status, error.param.startsWith(name), bed.upstream.calls]).toEqual([400, true, calls]);
  });

  it("an answer is dropped by its caller's tag, and by no other target that has the same name", async () => {
    for (const text of ["tagged", "other tag"]) await (await ask(text, { "x-larder-cache-tags": text.replace(" ", "-") })).text();
    const drop = async (target: object): Promise<number> => (await bed.admin("POST", "/admin/cache/invalidate", target)).status;
    expect([await drop({ model: "tagged" }), await drop({ tenant: "tagged" })]).toEqual([200, 200]);
    expect(cacheOf(await ask("tagged", {}))).toBe("HIT");
    expect(await drop({ tag: "tagged" })).toBe(200);
    expect([cacheOf(await ask("tagged", {})), cacheOf(await ask("other tag", {}))]).toEqual(["MISS", "HIT"]);
  });

  it("takes controls up to their bounds", async () => {
    const tags = Array.from({ length: 20 }, (_, tag) => `${tag}`.padEnd(128, "t")).join();
    const headers = { "x-larder-cache-namespace": "n".repeat(128), "x-larder-cache-tags": tags, "x-larder-cache-ttl": "31536000" };
    expect((await ask("at the bounds", headers)).status).toBe(200);
  });

  it("namespaces are apart, and OpenRouter's names work too", async () => {
    await ask("spaces", {});
    expect(cacheOf(await ask("spaces", { "x-larder-cache-namespace": "other" }))).toBe("MISS");
    expect(cacheOf(await ask("spaces", { "x-openrouter-cache": "true" }))).toBe("HIT");
    expect(cacheOf(await ask("spaces", { "x-openrouter-cache": "false" }))).toBe("BYPASS");
    expect(cacheOf(await ask("spaces", { "x-openrouter-cache-clear": "true" }))).toBe("REFRESH");
  });

  it("tells the time to live asked for, and refuses one that is none", async () => {
    expect((await ask("ttl", { "x-larder-cache-ttl": "60" })).headers.get("cache-status")).toMatch(/ttl=(59|60);/);
    const refused = await ask("ttl", { "x-larder-cache-ttl": "-5" });
    expect([refused.status, ((await refused.json()) as { error: { param: string } }).error.param]).toEqual([400, "x-larder-cache-ttl"]);
    const alias = await ask("ttl", { "x-openrouter-cache-ttl": "1h" });
    expect([alias.status, ((await alias.json()) as { error: { param: string } }).error.param]).toEqual([400, "x-openrouter-cache-ttl"]);
  });

  it("tells usage at zero, or what was saved, on a hit, when asked to", async () => {
    await ask("policy", {});
    const zero = (await (await ask("policy", { "x-larder-cache-usage": "zero" })).json()) as { usage: Record<string, number> };
    expect(Object.values(zero.usage)).toEqual([0, 0, 0]);
    const told = await ask("policy", { "x-larder-cache-usage": "headers" });
    expect(told.headers.get("x-larder-saved-output-tokens")).toBe("7");
  });
});

/** What a client makes of a stream. */
function rebuild(text: string): Record<string, unknown> {
  const built: {
    content?: string;
    reasoning?: string;
    finish?: string;
    calls?: Array<{ id: string; type: string; function: { name: string; arguments: string } }>;
  } = {};
  for (const event of text.trim().split("\n\n")) {
    if (event === "data: [DONE]") continue;
    const [choice] = JSON.parse(event.slice(6)).choices;
    if (!choice) continue;
    if (choice.delta.content) built.content = (built.content ?? "") + choice.delta.content;
    if (choice.delta.reasoning_content) built.reasoning = (built.reasoning ?? "") + choice.delta.reasoning_content;
    for (const { index, ...call } of choice.delta.tool_calls ?? []) {
      built.calls ??= [];
      const known = built.calls[index];
      if (known) known.function.arguments += call.function.arguments;
      else built.calls[index] = structuredClone(call);
    }
    if (choice.finish_reason) built.finish = choice.finish_reason;
  }
  return built;
}
