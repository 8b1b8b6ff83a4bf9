import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import OpenAI4 from "openai-4";
import OpenAI5 from "openai-5";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ITEM_KINDS, type ItemKind, liveEventsOf } from "./support/response-items.ts";
import { type Bed, startBed } from "./support/start.ts";

/*
 * What clients make of a live stream they must make of its replay: the same calls of their listeners, the same parts, the same final object. How a
 * text is cut into pieces is nobody's business, so neighbouring pieces of one text count as one.
 */

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
});
afterAll(() => bed.close());

type Told = Record<string, unknown>;

/** What one request tells, live and then from the cache. */
async function liveAndReplayed<T>(events: string, ask: (verdicts: string[], nonce: string) => Promise<T>): Promise<[live: T, replayed: T]> {
  bed.upstream.behaviour = (_seen, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).end(events);
    return true;
  };
  const verdicts: string[] = [];
  const nonce = crypto.randomUUID();
  try {
    const told: [T, T] = [await ask(verdicts, nonce), await ask(verdicts, nonce)];
    expect(verdicts).toEqual(["MISS", "HIT"]);
    return told;
  } finally {
    bed.upstream.behaviour = undefined;
  }
}

/** A fetch that notes what the cache said. */
const noting =
  (verdicts: string[]): typeof fetch =>
  async (...call) => {
    const response = await fetch(...call);
    verdicts.push(response.headers.get("x-larder-cache") ?? "none");
    return response;
  };

/** Joins neighbouring pieces of one text. */
function joinPieces(told: readonly Told[]): Told[] {
  const joined: Told[] = [];
  for (const { sequence_number: _, snapshot: __, ...one } of told) {
    const last = joined.at(-1);
    if (!last || typeof one.delta !== "string" || last.type !== one.type || last.item_id !== one.item_id || last.id !== one.id) {
      joined.push(one);
      continue;
    }
    last.delta = `${last.delta}${one.delta}`;
    if (Array.isArray(last.logprobs)) last.logprobs = [...last.logprobs, ...(one.logprobs as unknown[])];
  }
  return joined;
}

const nameOf = ({ item }: ItemKind): string => `${item.type} ${item.id}`;

describe("/v1/responses", () => {
  it("the kinds of items tried are those that OpenAI's client knows", () => {
    const declared = readFileSync(join(import.meta.dirname, "../node_modules/openai/resources/responses/responses.d.ts"), "utf8");
    const kindOf = (name: string): string | undefined => {
      const [, base, members = ""] =
        new RegExp(`interface ${name}(?: extends (\\w+))? \\{\\n([\\s\\S]*?)\\n( {4})?\\}`).exec(declared) ?? [];
      return / type: '(\w+)'/.exec(members)?.[1] ?? (base && kindOf(base));
    };
    const [, union = ""] = /export type ResponseOutputItem = ([^;]+);/.exec(declared) ?? [];
    const kinds = union.split("|").map((name) => kindOf(name.trim().split(".").at(-1) as string));
    expect(kinds.length).toBeGreaterThan(20);
    expect([...new Set(ITEM_KINDS.map(({ item }) => item.type))].sort()).toEqual([...kinds].sort());
  });

  const clients = [
    ["openai 4", OpenAI4 as unknown as typeof OpenAI],
    ["openai 5", OpenAI5 as unknown as typeof OpenAI],
    ["openai 6", OpenAI],
  ] as const;
  it.each(clients)(
    "%s: its stream helper hears the same events of every kind of item, and ends with the same response",
    async (_, Client) => {
      for (const kind of ITEM_KINDS) {
        const [live, replayed] = await liveAndReplayed(liveEventsOf(kind), async (verdicts, input) => {
          const client = new Client({ baseURL: `${bed.url}/v1`, apiKey: "any", fetch: noting(verdicts) });
          const heard: Told[] = [];
          const stream = client.responses.stream({ model: "m", input });
          stream.on("event", (event) => heard.push(structuredClone(event) as unknown as Told));
          const final = await stream.finalResponse();
          return { heard: joinPieces(heard), final };
        });
        expect(replayed, nameOf(kind)).toEqual(live);
        expect(live.heard.at(-1)?.type).toBe("response.completed");
      }
    },
  );

  it("the AI SDK makes the same parts of every kind of item, and no error", async () => {
    for (const kind of ITEM_KINDS) {
      const [live, replayed] = await liveAndReplayed(liveEventsOf(kind), async (verdicts, text) => {
        const model = createOpenAI({ baseURL: `${bed.url}/v1`, apiKey: "any", fetch: noting(verdicts) }).responses("m");
        const prompt = [{ role: "user" as const, content: [{ type: "text" as const, text }] }];
        const { stream } = await model.doStream({ prompt });
        const parts: Told[] = [];
        for await (const part of stream as unknown as AsyncIterable<Told>) {
          // Made up by the SDK, anew each time.
          if (kind.item.type === "mcp_approval_request") delete part.toolCallId;
          if (part.type === "source") delete part.id;
          parts.push(part);
        }
        return joinPieces(parts);
      });
      expect(replayed, nameOf(kind)).toEqual(live);
      expect(
        live.filter((part) => part.type === "error"),
        nameOf(kind),
      ).toEqual([]);
    }
  });
});

/** A chat stream as OpenAI tells it: text with log probabilities, a refusal, and calls of tools, in three choices. */
function liveChat(): string {
  const token = (text: string): Told => ({ token: text, logprob: -0.5, bytes: null, top_logprobs: [] });
  const heard = (text: string): Told => ({ logprobs: { content: [token(text)], refusal: null } });
  const call = (index: number, more: Told): Told => ({ tool_calls: [{ index, ...more }] });
  const named = (id: string): Told => ({ id, type: "function", function: { name: "weather", arguments: "" } });
  const deltas: Array<[index: number, delta: Told, more?: Told]> = [
    [0, { role: "assistant", content: "", refusal: null }],
    [0, { content: "It is" }, heard("It is")],
    [0, { content: " cold." }, heard(" cold.")],
    [0, {}, { finish_reason: "stop", content_filter_results: { hate: { filtered: false, severity: "safe" } } }],
    [1, { role: "assistant", content: null, refusal: "" }],
    [1, { refusal: "That I " }],
    [1, { refusal: "will not say." }],
    [1, {}, { finish_reason: "stop" }],
    [2, { role: "assistant", content: null, reasoning_content: "" }],
    [2, { reasoning_content: "thought" }],
    [2, call(0, named("call_1"))],
    [2, call(0, { function: { arguments: '{"city":' } })],
    [2, call(0, { function: { arguments: '"Oslo"}' } })],
    [2, call(1, named("call_2"))],
    [2, call(1, { function: { arguments: "{}" } })],
    [2, {}, { finish_reason: "tool_calls" }],
  ];
  const head = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "m", system_fingerprint: "fp" };
  const chunks: Told[] = deltas.map(([index, delta, more]) => ({
    ...head,
    choices: [{ index, delta, logprobs: null, finish_reason: null, ...more }],
    usage: null,
  }));
  const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
  return `${[...chunks, { ...head, choices: [], usage }].map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("")}data: [DONE]\n\n`;
}

/** A chat stream with the first choice alone, or whichever is asked for. */
const choiceOf = (events: string, index: number): string =>
  events
    .split("\n\n")
    .filter((event) => !/"choices":\[\{"index":(\d)/.test(event) || event.includes(`"choices":[{"index":${index}`))
    .map((event) => event.replace(`"choices":[{"index":${index}`, '"choices":[{"index":0'))
    .join("\n\n");

describe("/v1/chat/completions", () => {
  const usage = { stream_options: { include_usage: true } };
  const helpers = [
    ["openai 4", (options: object) => new OpenAI4(options).beta.chat.completions as unknown as OpenAI["chat"]["completions"]],
    ["openai 5", (options: object) => new OpenAI5(options).chat.completions as unknown as OpenAI["chat"]["completions"]],
    ["openai 6", (options: object) => new OpenAI(options).chat.completions],
  ] as const;

  it.each(helpers)("%s: its stream helper hears the same of every choice, and ends with the same completion", async (_, create) => {
    const [live, replayed] = await liveAndReplayed(liveChat(), async (verdicts, content) => {
      const completions = create({ baseURL: `${bed.url}/v1`, apiKey: "any", fetch: noting(verdicts) });
      const tool = { type: "function" as const, function: { name: "weather", parameters: {} } };
      const stream = completions.stream({
        model: "m",
        messages: [{ role: "user", content }],
        logprobs: true,
        n: 3,
        tools: [tool],
        ...usage,
      });
      const done: unknown[] = [];
      const events = ["content.done", "refusal.done", "tool_calls.function.arguments.done", "logprobs.content.done"] as const;
      for (const event of events) stream.on(event, (told: unknown) => void done.push([event, structuredClone(told)]));
      let text = "";
      stream.on("content.delta", ({ delta }) => {
        text += delta;
      });
      return { final: await stream.finalChatCompletion(), done, text, usage: await stream.totalUsage() };
    });
    expect(replayed).toEqual(live);
    expect([live.text, live.done.length]).toEqual(["It is cold.", 5]);
  });

  it.each([0, 1, 2])("the AI SDK makes the same parts of choice %i, and no error", async (index) => {
    const [live, replayed] = await liveAndReplayed(choiceOf(liveChat(), index), async (verdicts, text) => {
      const options = { baseURL: `${bed.url}/v1`, apiKey: "any", fetch: noting(verdicts) };
      const model =
        index === 2 ? createOpenAICompatible({ name: "x", includeUsage: true, ...options })("m") : createOpenAI(options).chat("m");
      const { stream } = await model.doStream({ prompt: [{ role: "user", content: [{ type: "text", text }] }] });
      const parts: Told[] = [];
      for await (const part of stream as unknown as AsyncIterable<Told>) parts.push(part);
      return joinPieces(parts);
    });
    expect(replayed).toEqual(live);
    expect(live.filter((part) => part.type === "error")).toEqual([]);
  });
});

/** Every kind of block that Anthropic's client knows, as it begins, its deltas, and as it ends. */
const place = {
  type: "char_location",
  cited_text: "a",
  document_index: 0,
  document_title: null,
  start_char_index: 0,
  end_char_index: 1,
  file_id: null,
};
const BLOCKS: ReadonlyArray<readonly [begin: Told & { readonly type: string }, ...deltas: Told[]]> = [
  [
    { type: "thinking", thinking: "", signature: "" },
    { type: "thinking_delta", thinking: "let me " },
    { type: "thinking_delta", thinking: "see" },
    { type: "signature_delta", signature: "sealed" },
  ],
  [{ type: "redacted_thinking", data: "sealed" }],
  [
    { type: "text", text: "", citations: null },
    { type: "text_delta", text: "plain" },
  ],
  [
    { type: "text", text: "", citations: [] },
    { type: "text_delta", text: "with " },
    { type: "text_delta", text: "a source" },
    { type: "citations_delta", citation: place },
  ],
  [
    { type: "tool_use", id: "toolu_1", name: "weather", input: {} },
    { type: "input_json_delta", partial_json: "" },
    { type: "input_json_delta", partial_json: '{"city":' },
    { type: "input_json_delta", partial_json: '"Oslo"}' },
  ],
  [
    { type: "tool_use", id: "toolu_2", name: "now", input: {} },
    { type: "input_json_delta", partial_json: "" },
  ],
  [
    { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} },
    { type: "input_json_delta", partial_json: '{"query":"a"}' },
  ],
  ...[
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
  ].map((type) => [{ type, tool_use_id: "srvtoolu_1", content: [{ type: "some_result", title: "t" }] }] as const),
  [{ type: "container_upload", file_id: "file_1" }],
];

/** Kinds that only the beta client knows. */
const BETA_BLOCKS: typeof BLOCKS = [
  [
    { type: "compaction", content: null, encrypted_content: null },
    { type: "compaction_delta", content: "what was said before", encrypted_content: "sealed" },
  ],
  [{ type: "fallback", from: { model: "m" }, to: { model: "m-other" }, trigger: { type: "refusal" } }],
  [
    { type: "mcp_tool_use", id: "mcptoolu_1", name: "find", server_name: "s", input: {} },
    { type: "input_json_delta", partial_json: '{"a":1}' },
  ],
  [{ type: "mcp_tool_result", tool_use_id: "mcptoolu_1", is_error: false, content: [{ type: "text", text: "t", citations: null }] }],
  [{ type: "advisor_tool_result", tool_use_id: "srvtoolu_1", content: { type: "advisor_result", text: "t" } }],
];

function liveMessage(blocks = BLOCKS, besideDelta: Told = {}): string {
  const usage = { input_tokens: 11, cache_read_input_tokens: 3, output_tokens: 1 };
  const head = { id: "msg_1", type: "message", role: "assistant", model: "m", content: [], stop_reason: null, stop_sequence: null };
  const events: Told[] = [{ type: "message_start", message: { ...head, stop_details: null, container: null, usage } }];
  for (const [index, [block, ...deltas]] of blocks.entries()) {
    events.push({ type: "content_block_start", index, content_block: block });
    for (const delta of deltas) events.push({ type: "content_block_delta", index, delta });
    events.push({ type: "content_block_stop", index });
  }
  const delta = {
    stop_reason: "refusal",
    stop_sequence: null,
    stop_details: { type: "refusal", category: null, explanation: "no" },
    container: { id: "c", expires_at: "later" },
  };
  events.push({ type: "message_delta", delta, usage: { output_tokens: 7, server_tool_use: { web_search_requests: 1 } }, ...besideDelta });
  events.push({ type: "message_stop" });
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("");
}

describe("/v1/messages", () => {
  it("the kinds of blocks tried are those that Anthropic's client knows", () => {
    const declared = readFileSync(join(import.meta.dirname, "../node_modules/@anthropic-ai/sdk/resources/messages/messages.d.ts"), "utf8");
    const [, union = ""] = /export type ContentBlock = ([^;]+);/.exec(declared) ?? [];
    const kinds = union.split("|").map((name) => {
      const [, members = ""] = new RegExp(`interface ${name.trim()} \\{\\n([\\s\\S]*?)\\n\\}`).exec(declared) ?? [];
      return / type: '(\w+)'/.exec(members)?.[1];
    });
    expect(kinds.length).toBeGreaterThan(10);
    expect([...new Set(BLOCKS.map(([block]) => block.type))].sort()).toEqual([...kinds].sort());
  });

  it("the stream helper of Anthropic's client hears the same of every kind of block, and ends with the same message", async () => {
    const [live, replayed] = await liveAndReplayed(liveMessage(), async (verdicts, content) => {
      const client = new Anthropic({ baseURL: bed.url, apiKey: "any", fetch: noting(verdicts) });
      const stream = client.messages.stream({ model: "m", max_tokens: 9, messages: [{ role: "user", content }] });
      const heard: unknown[] = [];
      const pieces: Record<string, string[]> = { text: [], thinking: [], inputJson: [] };
      for (const event of ["text", "thinking", "inputJson"] as const) stream.on(event, (piece: string) => void pieces[event]?.push(piece));
      for (const event of ["citation", "signature", "contentBlock", "message"] as const)
        stream.on(event, (value: unknown) => void heard.push([event, structuredClone(value)]));
      const final = await stream.finalMessage();
      const told = Object.fromEntries(Object.entries(pieces).map(([event, texts]) => [event, texts.join("")]));
      return { heard, told, final };
    });
    expect(replayed).toEqual(live);
    expect(live.final.stop_details).toMatchObject({ explanation: "no" });
    expect(live.told).toMatchObject({ thinking: "let me see", text: "plainwith a source" });
  });

  it("the beta client hears the same of what only it knows, and both it and a whole answer end with the same message", async () => {
    const beside = {
      context_management: { applied_edits: [{ type: "clear_tool_uses_20250919", cleared_tool_uses: 2 }] },
      input_transformations: [],
    };
    const edits = { edits: [{ type: "clear_tool_uses_20250919" as const }] };
    let ask = { model: "m", max_tokens: 9, messages: [{ role: "user" as const, content: "" }], context_management: edits };
    const [live, replayed] = await liveAndReplayed(liveMessage([...BLOCKS, ...BETA_BLOCKS], beside), async (verdicts, content) => {
      const client = new Anthropic({ baseURL: bed.url, apiKey: "any", fetch: noting(verdicts) });
      ask = { ...ask, messages: [{ role: "user", content }] };
      const stream = client.beta.messages.stream(ask);
      const heard: unknown[] = [];
      for (const event of ["compaction", "contentBlock", "message"] as const)
        stream.on(event, (value: unknown) => void heard.push([event, structuredClone(value)]));
      const deltas: Told[] = [];
      stream.on("streamEvent", (event) => {
        if (event.type === "message_delta") deltas.push(event as unknown as Told);
      });
      return { heard, final: await stream.finalMessage(), edited: deltas.map((event) => event.context_management) };
    });
    expect(replayed).toEqual(live);
    expect(live.edited).toEqual([beside.context_management]);
    const whole = await new Anthropic({ baseURL: bed.url, apiKey: "any" }).beta.messages.create(ask);
    expect(live.final).toMatchObject({ ...whole });
    expect(whole).toMatchObject({ ...beside, model: "m-other" });
  });

  it.each([false, true])("tools get the numbers that the model wrote, past 2^53 as well (stream first: %s)", async (isStream) => {
    const input = '{"user":1234567890123456789,"of":[-9007199254740993]}';
    const usage = '"usage":{"input_tokens":1,"output_tokens":2}';
    const message = (content: string, reason: string): string =>
      `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[${content}],"stop_reason":${reason},"stop_sequence":null,${usage}}`;
    const block = (told: string): string => `{"type":"tool_use","id":"tu_1","name":"f","input":${told}}`;
    const event = (type: string, fields: string): string => `event: ${type}\ndata: {"type":"${type}",${fields}}\n\n`;
    const events = [
      event("message_start", `"message":${message("", "null")}`),
      event("content_block_start", `"index":0,"content_block":${block("{}")}`),
      event("content_block_delta", `"index":0,"delta":{"type":"input_json_delta","partial_json":${JSON.stringify(input)}}`),
      event("content_block_stop", '"index":0'),
      event("message_delta", `"delta":{"stop_reason":"tool_use","stop_sequence":null},${usage}`),
      'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ];
    bed.upstream.behaviour = ({ body }, response) => {
      response.writeHead(200, { "content-type": body.stream ? "text/event-stream" : "application/json" });
      response.end(body.stream ? events.join("") : message(block(input), '"tool_use"'));
      return true;
    };
    const ask = async (stream: boolean, headers = {}): Promise<string> =>
      (await bed.post("/v1/messages", { model: `long-${isStream}`, max_tokens: 9, messages: [], stream }, headers)).text();
    await ask(isStream);
    bed.upstream.behaviour = undefined;
    const pieces = [...(await ask(true)).matchAll(/"partial_json":("(?:[^"\\]|\\.)*")/g)].map(
      ([, piece = '""']) => JSON.parse(piece) as string,
    );
    expect(pieces.join("")).toBe(input);
    for (const headers of [{}, { "x-larder-cache-usage": "zero" }]) expect(await ask(false, headers)).toContain(`"input":${input}`);
  });
});
