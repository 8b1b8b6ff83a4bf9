import { createHash } from "node:crypto";
import { chatFamily } from "../answers/chat.ts";
import { completionFamily } from "../answers/completion.ts";
import { isObject, type JsonObject, objectsOf, parseObject } from "../answers/json.ts";
import { messagesFamily } from "../answers/messages.ts";
import { responsesFamily } from "../answers/responses.ts";
import { collect, type Upstream, type UpstreamAnswer, type UpstreamCall } from "./upstream.ts";

/** The base URL under which the sandbox stands in routes. Nothing listens there. */
export const SANDBOX_BASE_URL = "http://sandbox.invalid/v1";
/** Models that the sandbox says it has; it answers to any name. */
export const SANDBOX_MODELS: readonly string[] = ["sandbox", "sandbox-embedding", "sandbox-image"];
/** 2025-01-01: answers are the same on every day. */
const CREATED = 1_735_689_600;
/** Numbers of an embedding unless `dimensions` asks for another count. */
const DIMENSIONS = 256;
/** A grey PNG of one pixel. */
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==";

/**
 * Answers every endpoint without any provider, so that the gateway can be tried with nothing configured. Deterministic: the same
 * request has the same answer, ids included. Its texts say what it is.
 */
export class SandboxUpstream implements Upstream {
  async call(call: UpstreamCall): Promise<UpstreamAnswer> {
    const bytes = Buffer.isBuffer(call.body) ? call.body : call.body ? await collect(call.body, 64 * 1024 * 1024) : Buffer.alloc(0);
    const path = new URL(call.url).pathname;
    const body = parseObject(bytes.toString("utf8")) ?? {};
    const id = createHash("sha256").update(path).update(bytes).digest("hex").slice(0, 24);
    const answer = answerTo(path, body, id);
    if (!answer) return toAnswer(404, "application/json", JSON.stringify(notFound(path)));
    const isStream = body.stream === true && answer.stream !== undefined;
    return toAnswer(
      200,
      isStream ? "text/event-stream" : "application/json",
      isStream ? answer.stream!(body) : JSON.stringify(answer.json),
    );
  }

  async close(): Promise<void> {}
}

interface SandboxAnswer {
  readonly json: JsonObject;
  readonly stream?: (body: JsonObject) => string;
}

function answerTo(path: string, body: JsonObject, id: string): SandboxAnswer | undefined {
  switch (path) {
    case "/v1/chat/completions": {
      const json = chatAnswer(body, id);
      return { json, stream: () => chatFamily.replay(json, { includeUsage: wantsUsage(body) }) };
    }
    case "/v1/completions": {
      const json = completionAnswer(body, id);
      return { json, stream: () => completionFamily.replay(json, { includeUsage: wantsUsage(body) }) };
    }
    case "/v1/responses": {
      const json = responsesAnswer(body, id);
      return { json, stream: () => responsesFamily.replay(json, { includeUsage: true }) };
    }
    case "/v1/messages": {
      const json = messagesAnswer(body, id);
      return { json, stream: () => messagesFamily.replay(json, { includeUsage: true }) };
    }
    case "/v1/embeddings":
      return { json: embeddingsAnswer(body) };
    case "/v1/images/generations":
      return { json: { created: CREATED, data: Array.from({ length: Number(body.n ?? 1) || 1 }, () => ({ b64_json: PIXEL })) } };
    case "/v1/models":
      return {
        json: {
          object: "list",
          data: SANDBOX_MODELS.map((model) => ({ id: model, object: "model", created: CREATED, owned_by: "larder-sandbox" })),
        },
      };
    default:
      return undefined;
  }
}

const modelOf = (body: JsonObject): string => (typeof body.model === "string" ? body.model : "sandbox");
const wantsUsage = (body: JsonObject): boolean => isObject(body.stream_options) && body.stream_options.include_usage === true;
const tokensOf = (text: string): number => Math.max(1, Math.ceil(text.length / 4));

function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  return objectsOf(content)
    .map((part) => (typeof part.text === "string" ? part.text : ""))
    .join("");
}

function lastText(messages: unknown): string {
  return textOf(objectsOf(messages).at(-1)?.content);
}

function sentence(prompt: string): string {
  const heard = prompt === "" ? "You said nothing." : `You said: ${prompt.slice(0, 2000)}`;
  return `This is larder's sandbox provider, which stands in until an upstream is configured. ${heard}`;
}

/** The first tool, when the caller insists on one: so that tool calling can be tried too. */
function forcedTool(body: JsonObject): JsonObject | undefined {
  const choice = body.tool_choice;
  const isForced = choice === "required" || (isObject(choice) && choice.type !== "auto" && choice.type !== "none");
  return isForced ? objectsOf(body.tools)[0] : undefined;
}

function chatAnswer(body: JsonObject, id: string): JsonObject {
  const prompt = JSON.stringify(body.messages ?? "");
  const text = sentence(lastText(body.messages));
  const tool = forcedTool(body);
  const name = isObject(tool?.function) ? tool.function.name : undefined;
  const call = { id: `call_${id}`, type: "function", function: { name, arguments: "{}" } };
  const choices = Array.from({ length: Number(body.n ?? 1) || 1 }, (_, index) => ({
    index,
    message: { role: "assistant", content: name ? null : text, refusal: null, ...(name ? { tool_calls: [call] } : {}) },
    logprobs: null,
    finish_reason: name ? "tool_calls" : "stop",
  }));
  const usage = { prompt_tokens: tokensOf(prompt), completion_tokens: tokensOf(text), total_tokens: tokensOf(prompt) + tokensOf(text) };
  return { id: `chatcmpl-${id}`, object: "chat.completion", created: CREATED, model: modelOf(body), choices, usage };
}

function completionAnswer(body: JsonObject, id: string): JsonObject {
  const prompt = String(body.prompt ?? "");
  const text = sentence(prompt);
  const usage = { prompt_tokens: tokensOf(prompt), completion_tokens: tokensOf(text), total_tokens: tokensOf(prompt) + tokensOf(text) };
  const choices = [{ index: 0, text, logprobs: null, finish_reason: "stop" }];
  return { id: `cmpl-${id}`, object: "text_completion", created: CREATED, model: modelOf(body), choices, usage };
}

function responsesAnswer(body: JsonObject, id: string): JsonObject {
  const prompt = typeof body.input === "string" ? body.input : lastText(body.input);
  const text = sentence(prompt);
  const part = { type: "output_text", text, annotations: [], logprobs: [] };
  return {
    id: `resp_${id}`,
    object: "response",
    created_at: CREATED,
    status: "completed",
    error: null,
    incomplete_details: null,
    instructions: body.instructions ?? null,
    metadata: {},
    model: modelOf(body),
    output: [{ id: `msg_${id}`, type: "message", status: "completed", role: "assistant", content: [part] }],
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    temperature: body.temperature ?? 1,
    tool_choice: body.tool_choice ?? "auto",
    tools: body.tools ?? [],
    top_p: body.top_p ?? 1,
    usage: {
      input_tokens: tokensOf(prompt),
      input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      output_tokens: tokensOf(text),
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: tokensOf(prompt) + tokensOf(text),
    },
  };
}

function messagesAnswer(body: JsonObject, id: string): JsonObject {
  const text = sentence(lastText(body.messages));
  const usage = { input_tokens: tokensOf(JSON.stringify(body.messages ?? "")), output_tokens: tokensOf(text) };
  const content = [{ type: "text", text }];
  return {
    id: `msg_${id}`,
    type: "message",
    role: "assistant",
    model: modelOf(body),
    content,
    stop_reason: "end_turn",
    stop_sequence: null,
    usage,
  };
}

/** A unit vector that depends on the text alone. */
function vectorOf(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  let block = createHash("sha256").update(text).digest();
  for (let index = 0; index < dimensions; index += 1) {
    if (index > 0 && index % 16 === 0) block = createHash("sha256").update(block).digest();
    vector[index] = block.readInt16LE((index % 16) * 2) / 32_768;
  }
  const norm = Math.hypot(...vector) || 1;
  return vector.map((value) => value / norm);
}

function embeddingsAnswer(body: JsonObject): JsonObject {
  const inputs = Array.isArray(body.input) && typeof body.input[0] !== "number" ? body.input : [body.input];
  const dimensions = Number(body.dimensions ?? DIMENSIONS) || DIMENSIONS;
  const data = inputs.map((input, index) => {
    const vector = vectorOf(JSON.stringify(input), Math.min(dimensions, 8192));
    const embedding = body.encoding_format === "base64" ? Buffer.from(vector.buffer).toString("base64") : Array.from(vector);
    return { object: "embedding", index, embedding };
  });
  const tokens = inputs.reduce<number>((sum, input) => sum + tokensOf(typeof input === "string" ? input : JSON.stringify(input ?? "")), 0);
  return { object: "list", data, model: modelOf(body), usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

function notFound(path: string): JsonObject {
  return {
    error: {
      message: `The sandbox provider has no ${path}: configure an upstream.`,
      type: "not_found_error",
      param: null,
      code: "sandbox",
    },
  };
}

/** Longest text in one piece of a sandbox stream's body. */
const PIECE = 4096;

function toAnswer(status: number, contentType: string, text: string): UpstreamAnswer {
  const bytes = Buffer.from(text);
  async function* pieces(): AsyncIterable<Uint8Array> {
    for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
  }
  return {
    status,
    headers: { "content-type": contentType, "x-larder-provider": "sandbox" },
    body: pieces(),
    bytes: async () => bytes,
    discard: () => undefined,
  };
}
