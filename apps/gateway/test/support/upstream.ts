import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as the fixture got it. */
export interface Seen {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Record<string, unknown>;
  /** Whether the gateway broke the connection off before the answer's end. */
  wasAborted: boolean;
}

/** What the fixture does with a request, instead of its usual answer. Returns false to let the usual answer follow. */
export type Behaviour = (seen: Seen, response: ServerResponse) => boolean | Promise<boolean>;

const json = (response: ServerResponse, body: unknown, status = 200): void => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
};

/** An upstream that speaks OpenAI's and Anthropic's protocols, counts what it is asked, and misbehaves on demand. */
export class FixtureUpstream {
  readonly seen: Seen[] = [];
  behaviour: Behaviour | undefined;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FixtureUpstream> {
    const server = createServer();
    const fixture = new FixtureUpstream(server);
    server.on("request", (request, response) => void fixture.#handle(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return fixture;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Requests for answers: look-ups of the model list apart. */
  get calls(): number {
    return this.seen.filter((seen) => !seen.path.startsWith("/v1/models")).length;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const isJson = request.headers["content-type"]?.includes("json") && text !== "";
    const body = isJson ? (JSON.parse(text) as Record<string, unknown>) : { raw: text };
    const seen: Seen = { path: request.url ?? "", headers: request.headers, body, wasAborted: false };
    response.on("close", () => {
      if (!response.writableFinished) seen.wasAborted = true;
    });
    const number = this.seen.push(seen);
    if (this.behaviour && (await this.behaviour(seen, response))) return;
    answer(seen, response, number);
  }
}

/** The usual answer. `number` makes every answer different, so that a repeated one is recognised. */
export function answer(seen: Seen, response: ServerResponse, number: number): void {
  const { body } = seen;
  const [path] = seen.path.split("?");
  const tell = TELLERS[path ?? ""];
  if (tell) tell(body, response, number);
  else json(response, { error: { message: "no such path", type: "not_found_error", param: null, code: null } }, 404);
}

type Teller = (body: Record<string, unknown>, response: ServerResponse, number: number) => void;
const orStream =
  (whole: (body: Record<string, unknown>, number: number) => unknown, stream: Teller): Teller =>
  (body, response, number) => {
    if (body.stream) stream(body, response, number);
    else json(response, whole(body, number));
  };
const MODELS = { object: "list", data: [{ id: "fixture-model", object: "model", created: 1, owned_by: "fixture" }] };
const TELLERS: Readonly<Record<string, Teller>> = {
  "/v1/models": (_body, response) => json(response, MODELS),
  "/v1/chat/completions": orStream(chatAnswer, streamChat),
  "/v1/completions": (body, response, number) => json(response, completionAnswer(body, number)),
  "/v1/embeddings": (body, response) => json(response, embeddings(body)),
  "/v1/responses": orStream(responsesAnswer, streamResponses),
  "/v1/messages": orStream(messagesAnswer, streamMessages),
  "/v1/images/generations": (_body, response, number) =>
    json(response, { created: 1, data: [{ b64_json: Buffer.from(`image ${number}`).toString("base64") }] }),
  "/v1/files": (body, response) => json(response, { object: "list", data: [], heard: body.raw ?? null }),
};

const USAGE = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };
const wantsTools = (body: Record<string, unknown>): boolean => Array.isArray(body.tools);

function chatAnswer(body: Record<string, unknown>, number: number): Record<string, unknown> {
  const call = { id: `call_${number}`, type: "function", function: { name: "weather", arguments: '{"city":"Oslo","unit":"celsius"}' } };
  const message = wantsTools(body)
    ? { role: "assistant", content: null, refusal: null, tool_calls: [call] }
    : {
        role: "assistant",
        content: `Answer ${number} of the fixture, told in several words.`,
        refusal: null,
        reasoning_content: "thought first",
      };
  return {
    id: `chatcmpl-${number}`,
    object: "chat.completion",
    created: 1_700_000_000,
    model: body.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: wantsTools(body) ? "tool_calls" : "stop" }],
    usage: USAGE,
  };
}

/** The same answer as a stream, in the pieces of a real one. */
export function chatEvents(body: Record<string, unknown>, number: number): string[] {
  const head = { id: `chatcmpl-${number}`, object: "chat.completion.chunk", created: 1_700_000_000, model: body.model };
  const options = body.stream_options as { include_usage?: boolean } | undefined;
  const extra = options?.include_usage ? { usage: null } : {};
  const event = (delta: unknown, finish: string | null = null): string =>
    `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }], ...extra })}\n\n`;
  const tools = [
    event({
      role: "assistant",
      content: null,
      tool_calls: [{ index: 0, id: `call_${number}`, type: "function", function: { name: "weather", arguments: "" } }],
    }),
    ...['{"city":', '"Oslo",', '"unit":"celsius"}'].map((piece) => event({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
    event({}, "tool_calls"),
  ];
  const text = [
    event({ role: "assistant", content: "" }),
    event({ reasoning_content: "thought " }),
    event({ reasoning_content: "first" }),
    ...["Answer ", `${number} of `, "the fixture, ", "told in ", "several words."].map((piece) => event({ content: piece })),
    event({}, "stop"),
  ];
  const closing = options?.include_usage ? [`data: ${JSON.stringify({ ...head, choices: [], usage: USAGE })}\n\n`] : [];
  return [...(wantsTools(body) ? tools : text), ...closing, "data: [DONE]\n\n"];
}

function streamChat(body: Record<string, unknown>, response: ServerResponse, number: number): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const event of chatEvents(body, number)) response.write(event);
  response.end();
}

function completionAnswer(body: Record<string, unknown>, number: number): Record<string, unknown> {
  const choices = [{ index: 0, text: `Text ${number}.`, logprobs: null, finish_reason: "stop" }];
  return { id: `cmpl-${number}`, object: "text_completion", created: 1_700_000_000, model: body.model, choices, usage: USAGE };
}

/** The vector of a text: recognisable, and exact in 32 bits. */
export function vectorOf(text: string): number[] {
  return [text.length, text.charCodeAt(0) || 0, text.charCodeAt(text.length - 1) || 0, 0.5];
}

function embeddings(body: Record<string, unknown>): Record<string, unknown> {
  const items = (Array.isArray(body.input) ? body.input : [body.input]) as unknown[];
  const inputs = items.map((item) => (typeof item === "string" ? item : JSON.stringify(item)));
  const data = inputs.map((input, index) => {
    const vector = vectorOf(input);
    const embedding = body.encoding_format === "base64" ? Buffer.from(Float32Array.from(vector).buffer).toString("base64") : vector;
    return { object: "embedding", index, embedding };
  });
  // Told backwards: clients and caches must go by `index`.
  const tokens = inputs.reduce((sum, input) => sum + input.length, 0);
  return { object: "list", data: data.reverse(), model: body.model, usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

function responsesAnswer(body: Record<string, unknown>, number: number): Record<string, unknown> {
  const content = [{ type: "output_text", text: `Response ${number} of the fixture.`, annotations: [], logprobs: [] }];
  const base = {
    id: `resp_${number}`,
    object: "response",
    created_at: 1_700_000_000,
    status: "completed",
    error: null,
    incomplete_details: null,
  };
  const usage = {
    input_tokens: 11,
    input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens: 7,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 18,
  };
  const message = { id: `msg_${number}`, type: "message", status: "completed", role: "assistant", content };
  const settings = {
    parallel_tool_calls: true,
    temperature: 1,
    tool_choice: "auto",
    tools: [],
    top_p: 1,
    metadata: {},
    instructions: null,
  };
  return { ...base, model: body.model, output: [message], ...settings, usage };
}

function streamResponses(body: Record<string, unknown>, response: ServerResponse, number: number): void {
  const whole = responsesAnswer(body, number);
  const item = (whole.output as Array<Record<string, unknown>>)[0] as Record<string, unknown>;
  const part = (item.content as Array<Record<string, unknown>>)[0] as Record<string, unknown>;
  let sequence = 0;
  const tell = (type: string, fields: Record<string, unknown>): void => {
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...fields })}\n\n`);
  };
  response.writeHead(200, { "content-type": "text/event-stream" });
  tell("response.created", { response: { ...whole, status: "in_progress", output: [], usage: null } });
  tell("response.output_item.added", { output_index: 0, item: { ...item, content: [], status: "in_progress" } });
  tell("response.content_part.added", { item_id: item.id, output_index: 0, content_index: 0, part: { ...part, text: "" } });
  for (const delta of ["Response ", `${number} of `, "the fixture."])
    tell("response.output_text.delta", { item_id: item.id, output_index: 0, content_index: 0, delta, logprobs: [] });
  tell("response.output_text.done", { item_id: item.id, output_index: 0, content_index: 0, text: part.text, logprobs: [] });
  tell("response.content_part.done", { item_id: item.id, output_index: 0, content_index: 0, part });
  tell("response.output_item.done", { output_index: 0, item });
  tell("response.completed", { response: whole });
  response.end();
}

function messagesAnswer(body: Record<string, unknown>, number: number): Record<string, unknown> {
  const text = { type: "text", text: `Message ${number} of the fixture.` };
  const tool = { type: "tool_use", id: `toolu_${number}`, name: "weather", input: { city: "Oslo" } };
  const content = wantsTools(body) ? [text, tool] : [text];
  const base = { id: `msg_${number}`, type: "message", role: "assistant", model: body.model, content };
  return {
    ...base,
    stop_reason: wantsTools(body) ? "tool_use" : "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 11, output_tokens: 7 },
  };
}

function streamMessages(body: Record<string, unknown>, response: ServerResponse, number: number): void {
  const whole = messagesAnswer(body, number);
  const tell = (type: string, fields: Record<string, unknown>): void => {
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`);
  };
  response.writeHead(200, { "content-type": "text/event-stream" });
  tell("message_start", { message: { ...whole, content: [], stop_reason: null, usage: { input_tokens: 11, output_tokens: 1 } } });
  (whole.content as Array<Record<string, unknown>>).forEach((block, index) => {
    tell("content_block_start", { index, content_block: block.type === "text" ? { type: "text", text: "" } : { ...block, input: {} } });
    const text = block.type === "text" ? String(block.text) : JSON.stringify(block.input);
    for (let at = 0; at < text.length; at += 7) {
      const piece = text.slice(at, at + 7);
      tell("content_block_delta", {
        index,
        delta: block.type === "text" ? { type: "text_delta", text: piece } : { type: "input_json_delta", partial_json: piece },
      });
    }
    tell("content_block_stop", { index });
  });
  tell("message_delta", { delta: { stop_reason: whole.stop_reason, stop_sequence: null }, usage: { output_tokens: 7 } });
  tell("message_stop", {});
  response.end();
}
