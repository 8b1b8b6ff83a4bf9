import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { generateText } from "ai";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CachedFetch, createCachedFetch } from "../src/index.ts";

/** Does something with each call, by its number from 1. */
type Behaviour = (call: number, response: ServerResponse, path: string) => void;

let server: Server;
let url: string;
let calls = 0;
let behaviour: Behaviour;
let cached: CachedFetch;

beforeEach(async () => {
  calls = 0;
  server = createServer((request, response) => {
    request.resume().on("end", () => behaviour(++calls, response, request.url ?? ""));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  cached = createCachedFetch();
});
afterEach(async () => {
  await cached.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const reset = (response: ServerResponse): void => void response.socket?.resetAndDestroy();
const json = (response: ServerResponse, body: unknown, status = 200, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
};
const ANSWER = {
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content: "at last", refusal: null }, logprobs: null, finish_reason: "stop" }],
};
const MESSAGE = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "m",
  content: [{ type: "text", text: "at last" }],
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 1, output_tokens: 1 },
};
const CHUNK = { ...ANSWER, object: "chat.completion.chunk", choices: [{ index: 0, delta: { content: "half" }, finish_reason: null }] };
const question = { model: "m", messages: [{ role: "user" as const, content: "are you there?" }] };
const post = (body: unknown, more: RequestInit = {}): Promise<Response> =>
  cached(`${url}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...more,
  });
const thrownBy = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe("a fetch with a cache, when the provider cannot be reached", () => {
  it("rejects with the TypeError that fetch rejects with, its cause included, as often as it is asked", async () => {
    behaviour = (_call, response) => reset(response);
    const options = { method: "POST", body: JSON.stringify(question) };
    const bare = (await thrownBy(fetch(`${url}/chat/completions`, options))) as Error;
    for (let times = 0; times < 7; times += 1) {
      const error = (await thrownBy(post(question))) as Error;
      expect(error).toBeInstanceOf(TypeError);
      expect([error.message, (error.cause as Error)?.message]).toEqual([bare.message, (bare.cause as Error).message]);
    }
    // No breaker stands before it: who retries is the client.
    expect(calls).toBe(8);
  });

  it("has OpenAI's client retry, and raise a connection error in the end", async () => {
    behaviour = (call, response) => (call < 3 ? reset(response) : json(response, ANSWER));
    const client = new OpenAI({ baseURL: url, apiKey: "any", fetch: cached, maxRetries: 2 });
    expect((await client.chat.completions.create(question)).choices[0]?.message.content).toBe("at last");
    behaviour = (_call, response) => reset(response);
    const error = await thrownBy(client.chat.completions.create({ ...question, seed: 1 }, { maxRetries: 0 }));
    expect(error).toBeInstanceOf(OpenAI.APIConnectionError);
  });

  it("has Anthropic's client retry, and raise a connection error in the end", async () => {
    behaviour = (call, response) => (call < 3 ? reset(response) : json(response, MESSAGE));
    const client = new Anthropic({ baseURL: url.replace("/v1", ""), apiKey: "any", fetch: cached, maxRetries: 2 });
    const message = { model: "m", max_tokens: 8, messages: question.messages };
    expect((await client.messages.create(message)).content).toEqual(MESSAGE.content);
    behaviour = (_call, response) => reset(response);
    const error = await thrownBy(client.messages.create({ ...message, max_tokens: 9 }, { maxRetries: 0 }));
    expect(error).toBeInstanceOf(Anthropic.APIConnectionError);
  });

  it("has the AI SDK take it for what may be tried again", async () => {
    behaviour = (_call, response) => reset(response);
    const model = createOpenAI({ baseURL: url, apiKey: "any", fetch: cached }).chat("m");
    const error = await thrownBy(generateText({ model, prompt: "are you there?", maxRetries: 0 }));
    expect(error).toMatchObject({ name: "AI_APICallError", isRetryable: true });
  });

  it("gives the old answer where it may", async () => {
    await cached.close();
    cached = createCachedFetch({ ttlMs: 1, staleIfErrorMs: 60_000 });
    behaviour = (call, response) => (call === 1 ? json(response, ANSWER) : reset(response));
    await (await post(question)).text();
    const bornAt = performance.now();
    while (performance.now() < bornAt + 5) await new Promise((resolve) => setImmediate(resolve));
    const stale = await post(question);
    expect([stale.headers.get("x-larder-cache"), await stale.json()]).toEqual(["STALE", ANSWER]);
  });

  it("breaks a stream off that the provider breaks off, for OpenAI's client as well", async () => {
    behaviour = (_call, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`data: ${JSON.stringify(CHUNK)}\n\n`, () => reset(response));
    };
    const client = new OpenAI({ baseURL: url, apiKey: "any", fetch: cached, maxRetries: 0 });
    const heard: unknown[] = [];
    const read = async (): Promise<void> => {
      for await (const chunk of await client.chat.completions.create({ ...question, stream: true }))
        heard.push(chunk.choices[0]?.delta.content);
    };
    const error = await thrownBy(read());
    expect([heard, error instanceof TypeError]).toEqual([["half"], true]);
  });
});

describe("a fetch with a cache, when its caller leaves", () => {
  it("rejects with the signal's reason, before, meanwhile, and within the body", async () => {
    behaviour = (call, response) => {
      if (call !== 2) return;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`data: ${JSON.stringify(CHUNK)}\n\n`);
    };
    const reason = new Error("enough");
    expect(await thrownBy(post(question, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const meanwhile = new AbortController();
    const answer = thrownBy(post({ ...question, seed: 2 }, { signal: meanwhile.signal }));
    while (calls === 0) await new Promise((resolve) => setImmediate(resolve));
    meanwhile.abort(reason);
    expect(await answer).toBe(reason);
    const within = new AbortController();
    const streamed = await post({ ...question, stream: true }, { signal: within.signal });
    const reader = (streamed.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    const next = thrownBy(reader.read());
    within.abort(reason);
    expect(await next).toBe(reason);
  });

  it("rejects although the answer is stored, as a fetch does whose signal is aborted", async () => {
    behaviour = (_call, response) => json(response, ANSWER);
    await (await post(question)).text();
    expect(await thrownBy(post(question, { signal: AbortSignal.abort() }))).toMatchObject({ name: "AbortError" });
  });
});

describe("a fetch with a cache, for what is no answer to be kept", () => {
  it("gives a provider's error as it came, headers and bytes", async () => {
    behaviour = (_call, response) => {
      response.writeHead(503, { "content-type": "text/html", "x-request-id": "of-the-provider", "retry-after": "7" });
      response.end("<h1>Down</h1>");
    };
    const response = await post(question);
    expect([response.status, await response.text(), response.headers.get("content-type")]).toEqual([503, "<h1>Down</h1>", "text/html"]);
    expect([response.headers.get("x-request-id"), response.headers.get("retry-after")]).toEqual(["of-the-provider", "7"]);
    expect(response.headers.get("x-larder-cache")).toBe("MISS");
  });

  it.each([
    ["no model, which stands in the path elsewhere", JSON.stringify({ messages: [] })],
    ["no JSON", "grant_type=none"],
    ["a name that comes twice", '{"model":"m","model":"n","messages":[]}'],
  ])("passes a body through that it cannot key: %s", async (_why, body) => {
    behaviour = (_call, response) => json(response, { as: "it is" }, 200, { "x-of": "provider" });
    const response = await post(body);
    expect([response.status, await response.json(), response.headers.get("x-of")]).toEqual([200, { as: "it is" }, "provider"]);
  });

  it("passes streams and requests through just the same, and keeps working after close()", async () => {
    const bodies: string[] = [];
    server.removeAllListeners("request");
    server.on("request", async (request, response) => {
      let text = "";
      for await (const piece of request) text += piece;
      bodies.push(text);
      json(response, {});
    });
    const blob = new Blob(["no JSON"]);
    await post("", { body: blob.stream(), duplex: "half" } as RequestInit);
    await cached(new Request(`${url}/chat/completions`, { method: "POST", body: "nor this" }));
    await cached.close();
    await post(question);
    expect(bodies).toEqual(["no JSON", "nor this", JSON.stringify(question)]);
  });

  it("follows a redirect, as fetch does, and not when told so", async () => {
    behaviour = (_call, response, path) => {
      if (path.startsWith("/moved")) json(response, ANSWER);
      else response.writeHead(307, { location: "/moved/v1/chat/completions" }).end();
    };
    expect(await (await post(question)).json()).toEqual(ANSWER);
    expect(await thrownBy(post({ ...question, seed: 3 }, { redirect: "error" }))).toBeInstanceOf(TypeError);
  });
});
