import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import OpenAI4 from "openai-4";
import OpenAI5 from "openai-5";
import OpenAI7 from "openai-7";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Bed, startBed } from "./support/start.ts";
import { vectorOf } from "./support/upstream.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
});
afterEach(() => {
  bed.upstream.behaviour = undefined;
});
afterAll(() => bed.close());

/** The majors have one shape for what is used here. */
const clients: ReadonlyArray<readonly [string, (baseURL: string) => OpenAI]> = [
  ["openai 4", (baseURL) => new OpenAI4({ baseURL, apiKey: "any" }) as unknown as OpenAI],
  ["openai 5", (baseURL) => new OpenAI5({ baseURL, apiKey: "any" }) as unknown as OpenAI],
  ["openai 6", (baseURL) => new OpenAI({ baseURL, apiKey: "any" })],
  // It asks for Node 22, and does what is asked of it here on 20 as well.
  ["openai 7", (baseURL) => new OpenAI7({ baseURL, apiKey: "any" }) as unknown as OpenAI],
];
const TOOL = {
  type: "function" as const,
  function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};

describe.each(clients)("%s", (name, create) => {
  const model = "fixture-model";
  const messages = [{ role: "user" as const, content: `hello from ${name}` }];
  const client = (): OpenAI => create(`${bed.url}/v1`);

  it("gets the same chat answer twice, whole and streamed", async () => {
    const first = await client().chat.completions.create({ model, messages }).withResponse();
    const second = await client().chat.completions.create({ model, messages }).withResponse();
    expect(second.data).toEqual(first.data);
    expect(second.response.headers.get("x-larder-cache")).toBe("HIT");
    let text = "";
    let usage: unknown;
    for await (const chunk of await client().chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    })) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe(first.data.choices[0]?.message.content);
    expect(usage).toEqual(first.data.usage);
  });

  it.each(["live", "replayed"])("calls tools in a stream, %s", async () => {
    let call = "";
    let finish: unknown;
    for await (const chunk of await client().chat.completions.create({ model, messages, tools: [TOOL], stream: true })) {
      const [choice] = chunk.choices;
      call += choice?.delta.tool_calls?.[0]?.function?.arguments ?? "";
      finish = choice?.finish_reason ?? finish;
    }
    expect([JSON.parse(call), finish]).toEqual([{ city: "Oslo", unit: "celsius" }, "tool_calls"]);
  });

  it("gets embeddings, which it asks for in base64, as numbers", async () => {
    for (let round = 0; round < 2; round += 1) {
      const { data } = await client().embeddings.create({ model, input: [`a ${name}`, `b ${name}`] });
      expect(data.map((item) => Array.from(item.embedding))).toEqual([vectorOf(`a ${name}`), vectorOf(`b ${name}`)]);
    }
  });

  it("lists models", async () => {
    const ids: string[] = [];
    for await (const listed of client().models.list()) ids.push(listed.id);
    expect(ids).toContain(model);
    expect((await client().models.retrieve(model)).id).toBe(model);
  });

  it("gets responses, whole and streamed", async () => {
    const { responses } = client();
    const first = await responses.create({ model, input: `hello from ${name}` });
    expect(first.output_text).toMatch(/^Response \d+ of the fixture\.$/);
    const types: string[] = [];
    let text = "";
    for await (const event of await responses.create({ model, input: `hello from ${name}`, stream: true })) {
      types.push(event.type);
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    expect(text).toBe(first.output_text);
    expect([types[0], types.at(-1)]).toEqual(["response.created", "response.completed"]);
  });

  it.each(["chat", "responses"])("raises an error that the upstream answers a stream with as a success (%s)", async (kind) => {
    const error = { message: "overloaded", type: "server_error", param: null, code: "overloaded" };
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ error }));
      return true;
    };
    const { chat, responses } = client();
    const once = { maxRetries: 0 };
    const ask = (): Promise<unknown> =>
      kind === "chat"
        ? chat.completions.create({ model, messages: [{ role: "user", content: `in disguise ${name}` }], stream: true }, once)
        : responses.create({ model, input: `in disguise ${name}`, stream: true }, once);
    for (let round = 0; round < 2; round += 1)
      expect(await ask().catch((caught: unknown) => caught)).toMatchObject({ status: 502, code: "overloaded" });
  });

  it("hears of a response that has failed, streamed from a whole one", async () => {
    bed.upstream.behaviour = (_seen, response) => {
      const error = { code: "server_error", message: "it broke" };
      const failed = { id: "resp_f", object: "response", created_at: 1, model, status: "failed", error, output: [], usage: null };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(failed));
      return true;
    };
    const told: string[] = [];
    for await (const event of await client().responses.create({ model, input: `failed ${name}`, stream: true })) {
      told.push(event.type);
      if (event.type === "response.failed") expect(event.response.error?.message).toBe("it broke");
    }
    expect(told).toEqual(["response.created", "response.in_progress", "response.failed"]);
  });

  it("raises the upstream's error as its own class", async () => {
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(429, { "content-type": "application/json", "retry-after": "7" });
      response.end(JSON.stringify({ error: { message: "slow down", type: "rate_limit_error", param: null, code: "rate_limited" } }));
      return true;
    };
    const error = await client()
      .chat.completions.create({ model, messages: [{ role: "user", content: `limited ${name}` }] }, { maxRetries: 0 })
      .catch((caught: unknown) => caught);
    bed.upstream.behaviour = undefined;
    expect(error).toMatchObject({ status: 429, code: "rate_limited" });
  });
});

describe("@anthropic-ai/sdk", () => {
  const create = (): Anthropic => new Anthropic({ baseURL: bed.url, apiKey: "any" });
  const request = { model: "fixture-model", max_tokens: 50, messages: [{ role: "user" as const, content: "hello" }] };

  it("gets the same message twice, and rebuilds it from a replayed stream", async () => {
    const first = await create().messages.create(request).withResponse();
    expect(first.response.headers.get("request-id")).toMatch(/^req_/);
    const second = await create().messages.create(request).withResponse();
    expect([second.data, second.response.headers.get("x-larder-cache")]).toEqual([first.data, "HIT"]);
    expect(await create().messages.stream(request).finalMessage()).toMatchObject(first.data);
  });

  it("rebuilds a tool call from a stream, and a whole answer from that entry", async () => {
    const withTools = { ...request, tools: [{ name: "weather", input_schema: { type: "object" as const } }] };
    const streamed = await create().messages.stream(withTools).finalMessage();
    expect(streamed.content[1]).toMatchObject({ type: "tool_use", name: "weather", input: { city: "Oslo" } });
    const { data, response } = await create().messages.create(withTools).withResponse();
    expect(response.headers.get("x-larder-cache")).toBe("HIT");
    expect(data.content).toEqual([expect.objectContaining({ type: "text" }), expect.objectContaining({ input: { city: "Oslo" } })]);
    expect(data.usage).toMatchObject({ input_tokens: 11, output_tokens: 7 });
  });

  it("raises an error that the upstream answers a stream with as a success", async () => {
    const overloaded = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } };
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(overloaded));
      return true;
    };
    const error = await create()
      .withOptions({ maxRetries: 0 })
      .messages.stream({ ...request, messages: [{ role: "user", content: "in disguise" }] })
      .finalMessage()
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ status: 502, error: overloaded });
  });

  it("raises our errors in Anthropic's shape", async () => {
    const error = await create()
      .withOptions({ maxRetries: 0 })
      .messages.create({ ...request, model: "" })
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ status: 400, error: { type: "error", error: { type: "invalid_request_error" } } });
  });

  // Regression: such a client was told of a missing model in OpenAI's shape, and that each model had neither a date nor a name to be shown.
  it("lists models, and raises our error of one that there is not in Anthropic's shape", async () => {
    const { models } = create();
    const ids: string[] = [];
    for await (const { id, type, display_name, created_at } of models.list()) {
      ids.push(id);
      expect([type, display_name, Number.isNaN(Date.parse(created_at))]).toEqual(["model", id, false]);
    }
    expect(ids).toContain("fixture-model");
    expect(await models.retrieve("fixture-model")).toMatchObject({ id: "fixture-model", type: "model" });
    const error = await models.retrieve("none-such").catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      status: 404,
      error: { type: "error", error: { type: "not_found_error" } },
      requestID: expect.stringMatching(/^req_/),
    });
  });
});
