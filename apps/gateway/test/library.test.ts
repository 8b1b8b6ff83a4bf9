import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { createCachedFetch, createGatewayHandler } from "../src/index.ts";
import { chat, gate } from "./support/start.ts";
import { FixtureUpstream } from "./support/upstream.ts";

let upstream: FixtureUpstream;
beforeAll(async () => {
  upstream = await FixtureUpstream.start();
});
afterAll(() => upstream.close());

it.each([
  ["createCachedFetch", "ttl", () => createCachedFetch({ ttl: 60 } as object)],
  ["createCachedFetch", "maxBytes", () => createCachedFetch({ maxBytes: -5 })],
  ["createCachedFetch", "staleIfErrorMs", () => createCachedFetch({ staleIfErrorMs: "1h" as unknown as number })],
  ["createCachedFetch", "tenantOf", () => createCachedFetch({ tenantOf: "acme" as never })],
  ["createCachedFetch", "fetch", () => createCachedFetch({ fetch: null as never })],
  ["createGatewayHandler", "tenant", () => createGatewayHandler({ tenant: () => "acme" } as object)],
  ["createGatewayHandler", "tenantOf", () => createGatewayHandler({ tenantOf: null as never })],
])("%s refuses a %s that is none of its options or none that it can be, and does not go on without it", (_, name, make) => {
  expect(make).toThrow(new RegExp(`ERR_CACHE_INVALID_OPTION.*${name}`));
});

describe("createCachedFetch", () => {
  it("answers the official client from memory, streams included, with the client's own headers", async () => {
    const cached = createCachedFetch();
    const client = new OpenAI({ baseURL: upstream.url, apiKey: "sk-own", fetch: cached });
    const request = { model: "fixture-model", messages: [{ role: "user" as const, content: "in process" }] };
    const first = await client.chat.completions.create(request);
    const { data, response } = await client.chat.completions.create(request).withResponse();
    expect([data, response.headers.get("x-larder-cache")]).toEqual([first, "HIT"]);
    expect(upstream.seen.at(-1)?.headers).toMatchObject({ authorization: "Bearer sk-own", "x-stainless-lang": "js" });
    let text = "";
    for await (const chunk of await client.chat.completions.create({ ...request, stream: true }))
      text += chunk.choices[0]?.delta.content ?? "";
    expect([text, upstream.calls]).toEqual([first.choices[0]?.message.content, 1]);
    await cached.close();
  });

  it("answers where the application has put another class in the place of Promise, as zone.js and bluebird do", async () => {
    vi.stubGlobal("Promise", class OtherPromise<T> extends Promise<T> {});
    onTestFinished(() => void vi.unstubAllGlobals());
    const cached = createCachedFetch();
    const ask = async (): Promise<string | null> => {
      const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(chat("replaced")) };
      const answer = await cached(`${upstream.url}/chat/completions`, init);
      expect(await answer.json()).toMatchObject({ object: "chat.completion" });
      return answer.headers.get("x-larder-cache");
    };
    expect([await ask(), await ask()]).toEqual(["MISS", "HIT"]);
    await cached.close();
  });

  it("keeps credentials apart, and forgets on clear()", async () => {
    const cached = createCachedFetch();
    const ask = async (key: string): Promise<string | null> => {
      const init = {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify(chat("apart")),
      };
      return (await cached(`${upstream.url}/chat/completions`, init)).headers.get("x-larder-cache");
    };
    expect([await ask("a"), await ask("a"), await ask("b")]).toEqual(["MISS", "HIT", "MISS"]);
    await cached.clear();
    expect(await ask("a")).toBe("MISS");
    await cached.close();
  });

  it.each(["x-goog-api-key", "cookie", "cf-aig-authorization", "x-portkey-api-key", "ocp-apim-subscription-key", "x-of-tomorrow"])(
    "keeps callers apart who differ in %s alone, and not those whose client or trace differs",
    async (name) => {
      const cached = createCachedFetch();
      const ask = async (credential: string, trace: string): Promise<string | null> => {
        const headers = { "content-type": "application/json", [name]: credential, "user-agent": trace, traceparent: trace };
        const init = { method: "POST", headers, body: JSON.stringify(chat(`apart by ${name}`)) };
        return (await cached(`${upstream.url}/chat/completions`, init)).headers.get("x-larder-cache");
      };
      expect([await ask("ann", "1"), await ask("bob", "2"), await ask("ann", "3")]).toEqual(["MISS", "MISS", "HIT"]);
      await cached.close();
    },
  );

  it("shares entries within a tenant where the application tells tenants, and by headers where it does not", async () => {
    const cached = createCachedFetch({ tenantOf: async (request) => request.headers.get("x-tenant") ?? undefined });
    const ask = async (key: string, tenant?: string): Promise<string | null> => {
      const headers = { "content-type": "application/json", authorization: `Bearer ${key}`, ...(tenant ? { "x-tenant": tenant } : {}) };
      const init = { method: "POST", headers, body: JSON.stringify(chat("tenants of an application")) };
      return (await cached(`${upstream.url}/chat/completions`, init)).headers.get("x-larder-cache");
    };
    expect([await ask("a", "acme"), await ask("b", "acme"), await ask("a", "globex"), await ask("a"), await ask("b")]).toEqual([
      "MISS",
      "HIT",
      "MISS",
      "MISS",
      "MISS",
    ]);
    await cached.close();
  });

  it("lets the application read the body to tell the tenant", async () => {
    const tenantOf = async (request: Request): Promise<string> => ((await request.json()) as { user: string }).user;
    const cached = createCachedFetch({ tenantOf });
    const handler = createGatewayHandler({ settings: { openaiBaseUrl: upstream.url, logLevel: "silent" }, tenantOf });
    const ask = async (send: (request: Request) => Promise<Response>, user: string): Promise<string | null> => {
      const body = JSON.stringify(chat("tenants by the body", { user }));
      const headers = { "content-type": "application/json" };
      const request = new Request(`${upstream.url}/chat/completions`, { method: "POST", headers, body });
      return (await send(request)).headers.get("x-larder-cache");
    };
    for (const send of [cached, handler])
      expect([await ask(send, "ann"), await ask(send, "ann"), await ask(send, "bob")]).toEqual(["MISS", "HIT", "MISS"]);
    await Promise.all([cached.close(), handler.close()]);
  });

  it("lets everything else through untouched", async () => {
    const seen: unknown[] = [];
    const cached = createCachedFetch({
      fetch: async (input) => {
        seen.push(input);
        return new Response("as it is");
      },
    });
    expect(await (await cached("http://127.0.0.1:9/v1/models")).text()).toBe("as it is");
    // What is posted to a thread is kept there: it is no request for an answer.
    const said = { method: "POST", body: JSON.stringify({ role: "user", content: "hello" }) };
    expect(await (await cached("http://127.0.0.1:9/v1/threads/thread_1/messages", said)).text()).toBe("as it is");
    expect(seen).toEqual(["http://127.0.0.1:9/v1/models", "http://127.0.0.1:9/v1/threads/thread_1/messages"]);
    await cached.close();
  });

  it("hands on what a call says beside its request, such as the dispatcher that leads through a proxy", async () => {
    const heard: unknown[] = [];
    const cached = createCachedFetch({
      fetch: (input, init) => {
        const { dispatcher, ...rest } = init as RequestInit & { dispatcher?: unknown };
        heard.push(dispatcher);
        return fetch(input, rest as RequestInit);
      },
    });
    for (const [name, text] of [
      ["first", "through a proxy"],
      ["second", "through a proxy"],
      ["third", "through another proxy"],
    ]) {
      const fetchOptions = { dispatcher: name } as never;
      const client = new OpenAI({ baseURL: upstream.url, apiKey: "any", fetch: cached, fetchOptions });
      await client.chat.completions.create({ model: "m", messages: [{ role: "user", content: text as string }] });
    }
    expect(heard).toEqual(["first", "third"]);
    await cached.close();
  });

  it("rejects when the caller aborts, and frees the upstream", async () => {
    const cached = createCachedFetch();
    upstream.behaviour = () => new Promise<boolean>(() => undefined);
    const leaving = new AbortController();
    const before = upstream.calls;
    const init = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(chat("abort")),
      signal: leaving.signal,
    };
    const answer = cached(`${upstream.url}/chat/completions`, init);
    while (upstream.calls === before) await new Promise((resolve) => setImmediate(resolve));
    leaving.abort();
    await expect(answer).rejects.toThrow();
    while (!upstream.seen.at(-1)?.wasAborted) await new Promise((resolve) => setImmediate(resolve));
    upstream.behaviour = undefined;
    await cached.close();
  });
});

describe("createGatewayHandler", () => {
  it("tells an answer that has no body as soon as its head has come, whatever a provider sends after it", async () => {
    const handler = createGatewayHandler({ settings: { openaiBaseUrl: upstream.url, logLevel: "silent" } });
    const told = gate();
    upstream.behaviour = async (_seen, response) => {
      response.writeHead(205).flushHeaders();
      await told.opened;
      response.end("nothing of this");
      return true;
    };
    const response = await handler(new Request("http://app/v1/moderations", { method: "POST", body: "{}" }));
    told.open();
    expect([response.status, response.body, await response.text()]).toEqual([205, null, ""]);
    upstream.behaviour = undefined;
    await handler.close();
  });

  it("holds nobody to the limits of client addresses, of which it sees none: a server's settings serve it as well", async () => {
    const settings = { openaiBaseUrl: upstream.url, logLevel: "silent", addressLimits: { requestsPerMinute: 1, concurrency: 1 } } as const;
    const handler = createGatewayHandler({ settings, tenantOf: (request) => request.headers.get("x-user") ?? undefined });
    const ask = async (user: string): Promise<number> =>
      (await handler(new Request("http://app/v1/models", { headers: { "x-user": user } }))).status;
    expect([await ask("ann"), await ask("bob"), await ask("ann")]).toEqual([200, 200, 200]);
    await handler.close();
  });

  it("answers 400 to a body that breaks off, and takes it for no failure of its own", async () => {
    const handler = createGatewayHandler({ settings: { openaiBaseUrl: upstream.url, logLevel: "silent" } });
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error("the sender has left")) });
    const response = await handler(new Request("http://app/v1/chat/completions", { method: "POST", body, duplex: "half" } as RequestInit));
    expect([response.status, await response.json()]).toMatchObject([400, { error: { type: "invalid_request_error" } }]);
    await handler.close();
  });

  it("answers Fetch-API requests under a base path, each tenant from its own entries", async () => {
    const handler = createGatewayHandler({
      settings: { openaiBaseUrl: upstream.url, syncSources: ["none"], logLevel: "silent" },
      basePath: "/api/llm",
      tenantOf: (request) => request.headers.get("x-user") ?? undefined,
    });
    const ask = (user: string, stream = false): Promise<Response> =>
      handler(
        new Request("http://app/api/llm/v1/chat/completions", {
          method: "POST",
          headers: user ? { "x-user": user } : {},
          body: JSON.stringify(chat("mounted", { stream })),
        }),
      );
    const verdicts = [await ask("ann"), await ask("ann"), await ask("bob")].map((response) => response.headers.get("x-larder-cache"));
    expect(verdicts).toEqual(["MISS", "HIT", "MISS"]);
    expect(await (await ask("ann", true)).text()).toMatch(/data: \[DONE\]\n\n$/);
    expect((await ask("")).status).toBe(401);
    await handler.close();
  });

  it("takes a base path with or without a slash at its end, escaped or not, and nothing else for one", async () => {
    for (const basePath of ["/api/llm", "/api/llm/", "/", "", "/büro"]) {
      const handler = createGatewayHandler({ basePath, settings: { logLevel: "silent" } });
      const url = new URL(`${basePath.replace(/\/$/, "")}/v1/models`, "http://app");
      expect((await handler(new Request(url))).status, basePath).toBe(200);
      await handler.close();
    }
    for (const basePath of ["api/llm", "http://app/api", "//app", "/api?x", null, 5])
      expect(() => createGatewayHandler({ basePath: basePath as string }), String(basePath)).toThrow(/basePath must be a path/);
  });

  it("streams as the upstream does, and ends when it does", async () => {
    const handler = createGatewayHandler({ settings: { openaiBaseUrl: upstream.url, logLevel: "silent" } });
    const response = await handler(
      new Request("http://app/v1/chat/completions", { method: "POST", body: JSON.stringify(chat("streamed", { stream: true })) }),
    );
    expect([response.headers.get("x-larder-cache"), (await response.text()).trim().split("\n\n").at(-1)]).toEqual(["MISS", "data: [DONE]"]);
    await handler.close();
  });
});
