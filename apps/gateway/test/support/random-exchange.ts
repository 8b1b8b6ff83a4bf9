import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { SeededRandom } from "@larder/cache-testing";
import { deep, type Json, pieces, Spelled, spell, spellPlainly, text, unknownFields } from "./random-json.ts";

/** The families whose answers are stored whole and told in both forms. */
export type Kind = "chat" | "completions" | "responses" | "messages" | "images";

export const PATHS: Readonly<Record<Kind, string>> = {
  chat: "/v1/chat/completions",
  completions: "/v1/completions",
  responses: "/v1/responses",
  messages: "/v1/messages",
  images: "/v1/images/generations",
};

/** How a stream's end differs from a good one. */
export type Fault = "none" | "no end" | "error inside" | "broken off" | "broken event";

/** A request and what the provider answers to it, in either form. */
export interface RandomExchange {
  readonly kind: Kind;
  readonly path: string;
  /** The request without `stream`. */
  readonly request: Json;
  readonly headers: Readonly<Record<string, string>>;
  /** What a whole answer is. */
  readonly answer: Json;
  readonly fault: Fault;
  /** The answer written down. */
  readonly body: Buffer;
  readonly encoding: "gzip" | "br" | "deflate" | undefined;
  readonly type: { readonly json: string; readonly stream: string };
  /** The answer as a stream, in the chunks in which it goes out. */
  stream(includeUsage: boolean): Buffer[];
}

interface SseEvent {
  readonly name?: string;
  readonly data: string;
}

/** Writes events down in one of the many ways, and cuts them into chunks anywhere. */
function writeStream(random: SeededRandom, events: readonly SseEvent[], isUnended: boolean): Buffer[] {
  const end = random.pick(["\n", "\n", "\r\n", "\r"]);
  const lines: string[] = [];
  const isWordy = random.chance(0.3);
  for (const [index, { name, data }] of events.entries()) {
    if (isWordy && random.chance(0.3))
      lines.push(random.pick([": keep-alive", ":", ": OPENROUTER PROCESSING"]), ...(random.chance(0.5) ? [""] : []));
    if (isWordy && random.chance(0.2)) lines.push(`id: ${index}`);
    if (isWordy && random.chance(0.05)) lines.push("retry: 1000");
    if (name !== undefined) lines.push(random.chance(0.8) ? `event: ${name}` : `event:${name}`);
    // A line feed in JSON is white space between its parts: each line can be a line of data.
    for (const line of data.split(/\r\n|\n/))
      lines.push(random.chance(0.8) ? `data: ${line}` : line.startsWith(" ") ? `data: ${line}` : `data:${line}`);
    lines.push("");
    if (isWordy && random.chance(0.1)) lines.push("");
  }
  if (isUnended) lines.pop();
  const bytes = Buffer.from((random.chance(0.05) ? "\ufeff" : "") + lines.map((line) => line + end).join(""));
  const chunks: Buffer[] = [];
  const size = random.pick([1 << 30, 1 << 30, 700, 90, 17]);
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + random.integer(size);
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  return chunks;
}

interface Made {
  readonly request: Json;
  readonly answer: Json;
  events(random: SeededRandom, includeUsage: boolean): SseEvent[];
}

function usageOf(random: SeededRandom): Json | null | undefined {
  if (random.chance(0.15)) return random.chance(0.5) ? null : undefined;
  const [prompt, completion] = [random.integer(1000), random.integer(1000)];
  const details = random.chance(0.5) ? { prompt_tokens_details: { cached_tokens: random.integer(prompt + 1), audio_tokens: 0 } } : {};
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion, ...details };
}

function makeChat(random: SeededRandom, id: string): Made {
  const head: Json = {
    id: `chatcmpl-${id}`,
    created: random.chance(0.1) ? new Spelled("1152921504606846977") : 1_700_000_000,
    model:
      text(random)
        .slice(0, 20)
        .replace(/\p{Cs}/gu, "") || "m",
    ...(random.chance(0.5) ? { system_fingerprint: random.pick([null, "fp_1"]) } : {}),
    ...(random.chance(0.2) ? { service_tier: "default" } : {}),
    ...unknownFields(random),
  };
  const choices = Array.from({ length: random.pick([1, 1, 1, 2, 3]) }, (_, index) => {
    const calls = random.chance(0.3)
      ? Array.from({ length: 1 + random.integer(3) }, (_unused, at) => ({
          id: `call_${id}_${at}`,
          type: "function",
          function: {
            name: random.pick(["weather", "find", "naïve"]),
            arguments: spell(random, { city: text(random), more: unknownFields(random) }),
          },
        }))
      : undefined;
    const content = calls && random.chance(0.6) ? null : text(random) || "x";
    const message: Json = {
      role: "assistant",
      content,
      ...(random.chance(0.3) ? { reasoning_content: text(random) || "thought" } : {}),
      ...(random.chance(0.2) ? { refusal: null } : {}),
      ...(random.chance(0.1) ? { annotations: [{ type: "url_citation", url_citation: { url: "u", ...unknownFields(random) } }] } : {}),
      ...(random.chance(0.1) ? { vendor_text: text(random) || "v" } : {}),
      ...(calls ? { tool_calls: calls } : {}),
    };
    const tokens = typeof content === "string" && random.chance(0.15) ? pieces(random, content) : undefined;
    const logprobs = tokens
      ? { content: tokens.map((token) => ({ token, logprob: new Spelled("-0.5"), bytes: [...Buffer.from(token)], top_logprobs: [] })) }
      : null;
    return {
      index,
      message,
      ...(tokens || random.chance(0.5) ? { logprobs } : {}),
      finish_reason: calls ? "tool_calls" : random.pick(["stop", "length"]),
    };
  });
  const usage = usageOf(random);
  const answer = { ...head, object: "chat.completion", choices, ...(usage === undefined ? {} : { usage }) };
  const events = (told: SeededRandom, includeUsage: boolean): SseEvent[] => {
    const out: SseEvent[] = [];
    const extra = includeUsage ? { usage: null } : {};
    const isPadded = told.chance(0.2);
    // Most providers write all chunks alike, which is what a reader may go by.
    const write = told.chance(0.6) ? spellPlainly : (value: unknown): string => spell(told, value);
    const isAllAtOnce = told.chance(0.1);
    const tell = (choice: Json, finish: string | null = null): void => {
      const padding = isPadded ? { obfuscation: told.pick(["", "a", "b7G", "x".repeat(9)]) } : {};
      out.push({
        data: write({
          ...head,
          object: "chat.completion.chunk",
          choices: [{ ...choice, ...(told.chance(0.3) ? { logprobs: choice.logprobs ?? null } : {}), finish_reason: finish }],
          ...extra,
          ...padding,
        }),
      });
    };
    if (told.chance(0.1))
      out.push({
        data: write({ ...head, object: "chat.completion.chunk", choices: [], prompt_filter_results: [{ prompt_index: 0 }], ...extra }),
      });
    const queues = choices.map(({ index, message, logprobs, finish_reason: finish }) => {
      const steps: Array<() => void> = [];
      const { content, tool_calls: calls, reasoning_content: reasoning, annotations, vendor_text: vendor } = message;
      if (isAllAtOnce) {
        const indexed = (calls as Json[] | undefined)?.map((call, at) => ({ index: at, ...call }));
        return [() => tell({ index, delta: { ...message, ...(indexed ? { tool_calls: indexed } : {}) }, logprobs }, finish)];
      }
      steps.push(() =>
        tell({ index, delta: { role: "assistant", ...(told.chance(0.5) ? { content: typeof content === "string" ? "" : null } : {}) } }),
      );
      if (typeof vendor === "string")
        for (const piece of pieces(told, vendor))
          steps.push(() => tell({ index, delta: { vendor_text: piece, ...(told.chance(0.5) ? { role: "assistant" } : {}) } }));
      if (annotations) steps.push(() => tell({ index, delta: { annotations } }));
      if (typeof reasoning === "string")
        for (const piece of pieces(told, reasoning)) steps.push(() => tell({ index, delta: { reasoning_content: piece } }));
      if (logprobs)
        for (const token of logprobs.content)
          steps.push(() => tell({ index, delta: { content: token.token }, logprobs: { content: [token], refusal: null } }));
      else if (typeof content === "string")
        for (const piece of pieces(told, content)) steps.push(() => tell({ index, delta: { content: piece } }));
      for (const [at, call] of ((calls as Array<Json & { function: Json }> | undefined) ?? []).entries()) {
        steps.push(() => tell({ index, delta: { tool_calls: [{ index: at, ...call, function: { ...call.function, arguments: "" } }] } }));
        for (const piece of pieces(told, String(call.function.arguments)))
          steps.push(() => tell({ index, delta: { tool_calls: [{ index: at, function: { arguments: piece } }] } }));
      }
      steps.push(() => tell({ index, delta: {} }, finish));
      return steps;
    });
    // The choices of one answer come mixed.
    while (queues.some((queue) => queue.length > 0)) told.pick(queues.filter((queue) => queue.length > 0)).shift()?.();
    if (includeUsage && usage) out.push({ data: spell(told, { ...head, object: "chat.completion.chunk", choices: [], usage }) });
    out.push({ data: told.pick(["[DONE]", "[DONE]", " [DONE] "]) });
    return out;
  };
  return { request: { messages: [{ role: "user", content: id }] }, answer, events };
}

function makeCompletion(random: SeededRandom, id: string): Made {
  const head: Json = { id: `cmpl-${id}`, object: "text_completion", created: 1_700_000_000, model: "m", ...unknownFields(random) };
  const choices = Array.from({ length: random.pick([1, 1, 2]) }, (_, index) => ({
    index,
    text: text(random),
    logprobs: null,
    finish_reason: random.pick(["stop", "length"]),
  }));
  const usage = usageOf(random);
  const events = (told: SeededRandom, includeUsage: boolean): SseEvent[] => {
    const out: SseEvent[] = [];
    const extra = includeUsage ? { usage: null } : {};
    for (const { index, text: whole, finish_reason: finish } of choices) {
      for (const piece of pieces(told, whole))
        out.push({ data: spell(told, { ...head, choices: [{ index, text: piece, logprobs: null, finish_reason: null }], ...extra }) });
      out.push({ data: spell(told, { ...head, choices: [{ index, text: "", logprobs: null, finish_reason: finish }], ...extra }) });
    }
    if (includeUsage && usage) out.push({ data: spell(told, { ...head, choices: [], usage }) });
    out.push({ data: "[DONE]" });
    return out;
  };
  return { request: { prompt: id }, answer: { ...head, choices, ...(usage === undefined ? {} : { usage }) }, events };
}

function makeMessages(random: SeededRandom, id: string): Made {
  const content = Array.from({ length: random.integer(4) }, (_, at): Json => {
    const roll = random.integer(5);
    if (roll <= 1) return { type: "text", text: text(random), ...(random.chance(0.3) ? { citations: null } : {}) };
    if (roll === 2) return { type: "thinking", thinking: text(random), signature: `sig${at}` };
    if (roll === 3)
      return { type: "tool_use", id: `toolu_${id}_${at}`, name: "weather", input: { city: text(random), ...unknownFields(random) } };
    return { type: "redacted_thinking", data: "b2s=" };
  });
  const [input, output] = [random.integer(1000), random.integer(1000)];
  const usage = {
    input_tokens: input,
    output_tokens: output,
    ...(random.chance(0.4) ? { cache_read_input_tokens: random.integer(9) } : {}),
  };
  const ending = { stop_reason: random.pick(["end_turn", "tool_use", "max_tokens"]), stop_sequence: null };
  const head: Json = { id: `msg_${id}`, type: "message", role: "assistant", model: "m", ...unknownFields(random) };
  const events = (told: SeededRandom): SseEvent[] => {
    const out: SseEvent[] = [];
    const tell = (type: string, fields: Json): void => void out.push({ name: type, data: spell(told, { type, ...fields }) });
    const begun = { ...head, content: [], stop_reason: null, stop_sequence: null, usage: { ...usage, output_tokens: 1 } };
    tell("message_start", { message: begun });
    if (told.chance(0.3)) tell("ping", {});
    for (const [index, block] of content.entries()) {
      const delta = (fields: Json): void => tell("content_block_delta", { index, delta: fields });
      const begin: Json =
        block.type === "text" ? { ...block, text: "" } : block.type === "thinking" ? { ...block, thinking: "", signature: "" } : block;
      tell("content_block_start", { index, content_block: block.type === "tool_use" ? { ...block, input: {} } : begin });
      if (block.type === "text") for (const piece of pieces(told, String(block.text))) delta({ type: "text_delta", text: piece });
      if (block.type === "thinking") {
        for (const piece of pieces(told, String(block.thinking))) delta({ type: "thinking_delta", thinking: piece });
        delta({ type: "signature_delta", signature: block.signature });
      }
      if (block.type === "tool_use")
        for (const piece of pieces(told, spell(told, block.input))) delta({ type: "input_json_delta", partial_json: piece });
      tell("content_block_stop", { index });
    }
    tell("message_delta", { delta: ending, usage: { output_tokens: output } });
    tell("message_stop", {});
    return out;
  };
  return { request: { max_tokens: 10, messages: [{ role: "user", content: id }] }, answer: { ...head, content, ...ending, usage }, events };
}

function makeResponse(random: SeededRandom, id: string): Made {
  const output = Array.from({ length: random.integer(3) }, (_, at): Json => {
    if (random.chance(0.3))
      return {
        id: `fc_${at}`,
        type: "function_call",
        call_id: `call_${at}`,
        name: "f",
        arguments: spell(random, unknownFields(random)),
        status: "completed",
      };
    const content = [{ type: "output_text", text: text(random), annotations: [], logprobs: [] }];
    return { id: `msg_${at}`, type: "message", status: "completed", role: "assistant", content };
  });
  const [input, made] = [random.integer(1000), random.integer(1000)];
  const usage = random.chance(0.9) ? { input_tokens: input, output_tokens: made, total_tokens: input + made } : null;
  const answer: Json = {
    ...{ id: `resp_${id}`, object: "response", created_at: 1_700_000_000, status: "completed", error: null, incomplete_details: null },
    ...{ model: "m", output, ...unknownFields(random), usage },
  };
  const events = (told: SeededRandom): SseEvent[] => {
    const out: SseEvent[] = [];
    let sequence = 0;
    const tell = (type: string, fields: Json): void => {
      out.push({ name: type, data: spell(told, { type, sequence_number: sequence, ...fields }) });
      sequence += 1;
    };
    tell("response.created", { response: { ...answer, status: "in_progress", output: [], usage: null } });
    for (const [index, item] of output.entries()) {
      tell("response.output_item.added", { output_index: index, item });
      tell("response.output_item.done", { output_index: index, item });
    }
    tell("response.completed", { response: answer });
    if (told.chance(0.1)) out.push({ data: "[DONE]" });
    return out;
  };
  return { request: { input: id }, answer, events };
}

function makeImage(random: SeededRandom, id: string): Made {
  const image = Buffer.from(`image ${id} ${text(random)}`).toString("base64");
  const usage = random.chance(0.7) ? { input_tokens: 3, output_tokens: 5, total_tokens: 8 } : undefined;
  const rest: Json = { size: "1024x1024", ...(usage ? { usage } : {}) };
  const events = (told: SeededRandom): SseEvent[] => {
    const tell = (type: string, fields: Json): SseEvent => ({ name: type, data: spell(told, { type, ...fields }) });
    const partials = Array.from({ length: told.integer(3) }, (_, at) =>
      tell("image_generation.partial_image", { b64_json: "cA==", partial_image_index: at }),
    );
    return [...partials, tell("image_generation.completed", { b64_json: image, created_at: 1, ...rest })];
  };
  return { request: { prompt: id }, answer: { created: 1, data: [{ b64_json: image }], ...rest }, events };
}

const MAKERS: Readonly<Record<Kind, (random: SeededRandom, id: string) => Made>> = {
  chat: makeChat,
  completions: makeCompletion,
  responses: makeResponse,
  messages: makeMessages,
  images: makeImage,
};

/** What breaks a stream. */
function breakEvents(random: SeededRandom, fault: Fault, kind: Kind, events: SseEvent[]): SseEvent[] {
  const ends: Readonly<Record<Kind, number>> = { chat: 1, completions: 1, messages: 1, responses: 1, images: 1 };
  const whole = kind === "responses" ? events.filter(({ data }) => data !== "[DONE]") : events;
  if (fault === "no end") return whole.slice(0, whole.length - ends[kind]);
  const at = random.integer(whole.length);
  const error: SseEvent = {
    ...(kind === "chat" || kind === "completions" ? {} : { name: "error" }),
    data: spell(
      random,
      kind === "messages"
        ? { type: "error", error: { type: "overloaded_error", message: "m" } }
        : { type: "error", error: { message: "m" } },
    ),
  };
  if (fault === "error inside") return [...whole.slice(0, at), error, ...(random.chance(0.5) ? whole.slice(at) : [])];
  if (fault === "broken event") return [...whole.slice(0, at), { data: '{"broken":' }, ...whole.slice(at)];
  return events;
}

/** An exchange that a seed stands for. */
export function makeExchange(seed: number): RandomExchange {
  const random = new SeededRandom(seed);
  const id = `case-${seed}`;
  const kind = random.pick<Kind>(["chat", "chat", "chat", "completions", "responses", "messages", "messages", "images"]);
  const made = MAKERS[kind](random, id);
  const request: Json = {
    model: "fixture-model",
    ...made.request,
    ...unknownFields(random),
    ...(random.chance(0.05) ? { deep: deep(40) } : {}),
  };
  const fault = random.chance(0.2) ? random.pick<Fault>(["no end", "error inside", "broken off", "broken event"]) : "none";
  const encoding = random.chance(0.15) ? random.pick(["gzip", "br", "deflate"] as const) : undefined;
  const type = {
    json: random.pick(["application/json", "application/json; charset=utf-8", "Application/JSON", "text/plain"]),
    stream: random.pick(["text/event-stream", "text/event-stream; charset=utf-8", "TEXT/EVENT-STREAM", "text/plain"]),
  };
  const encode = (bytes: Buffer): Buffer =>
    encoding === "gzip"
      ? gzipSync(bytes)
      : encoding === "br"
        ? brotliCompressSync(bytes)
        : encoding === "deflate"
          ? deflateSync(bytes)
          : bytes;
  const body = Buffer.from((random.chance(0.03) ? "\ufeff" : "") + spell(random, made.answer) + random.pick(["", "", "\n", " \r\n"]));
  const streamSeed = random.integer(2 ** 31);
  return {
    ...{ kind, path: PATHS[kind], request, answer: made.answer, fault, encoding, type, body: encode(body) },
    headers: { "x-ratelimit-remaining-requests": "7", "x-vendor": "odd", "request-id": `req-${seed}`, "set-cookie": "a=b" },
    stream: (includeUsage) => {
      const told = new SeededRandom(streamSeed);
      const events = made.events(told, includeUsage);
      const chunks = writeStream(
        told,
        fault === "none" ? events : breakEvents(told, fault, kind, events),
        fault === "none" && told.chance(0.1),
      );
      if (!encoding) return chunks;
      return [encode(Buffer.concat(chunks))];
    },
  };
}
