import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { Chance, deep, type Json, pieces, Spelled, spell, spellPlainly, text, unknownFields } from "./random-json.ts";

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
function writeStream(chance: Chance, events: readonly SseEvent[], isUnended: boolean): Buffer[] {
  const end = chance.of(["\n", "\n", "\r\n", "\r"]);
  const lines: string[] = [];
  const isWordy = chance.is(0.3);
  for (const [index, { name, data }] of events.entries()) {
    if (isWordy && chance.is(0.3)) lines.push(chance.of([": keep-alive", ":", ": OPENROUTER PROCESSING"]), ...(chance.is(0.5) ? [""] : []));
    if (isWordy && chance.is(0.2)) lines.push(`id: ${index}`);
    if (isWordy && chance.is(0.05)) lines.push("retry: 1000");
    if (name !== undefined) lines.push(chance.is(0.8) ? `event: ${name}` : `event:${name}`);
    // A line feed in JSON is white space between its parts: each line can be a line of data.
    for (const line of data.split(/\r\n|\n/))
      lines.push(chance.is(0.8) ? `data: ${line}` : line.startsWith(" ") ? `data: ${line}` : `data:${line}`);
    lines.push("");
    if (isWordy && chance.is(0.1)) lines.push("");
  }
  if (isUnended) lines.pop();
  const bytes = Buffer.from((chance.is(0.05) ? "\ufeff" : "") + lines.map((line) => line + end).join(""));
  const chunks: Buffer[] = [];
  const size = chance.of([1 << 30, 1 << 30, 700, 90, 17]);
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + chance.below(size);
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  return chunks;
}

interface Made {
  readonly request: Json;
  readonly answer: Json;
  events(chance: Chance, includeUsage: boolean): SseEvent[];
}

function usageOf(chance: Chance): Json | null | undefined {
  if (chance.is(0.15)) return chance.is(0.5) ? null : undefined;
  const [prompt, completion] = [chance.below(1000), chance.below(1000)];
  const details = chance.is(0.5) ? { prompt_tokens_details: { cached_tokens: chance.below(prompt + 1), audio_tokens: 0 } } : {};
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion, ...details };
}

function makeChat(chance: Chance, id: string): Made {
  const head: Json = {
    id: `chatcmpl-${id}`,
    created: chance.is(0.1) ? new Spelled("1152921504606846977") : 1_700_000_000,
    model:
      text(chance)
        .slice(0, 20)
        .replace(/\p{Cs}/gu, "") || "m",
    ...(chance.is(0.5) ? { system_fingerprint: chance.of([null, "fp_1"]) } : {}),
    ...(chance.is(0.2) ? { service_tier: "default" } : {}),
    ...unknownFields(chance),
  };
  const choices = Array.from({ length: chance.of([1, 1, 1, 2, 3]) }, (_, index) => {
    const calls = chance.is(0.3)
      ? Array.from({ length: 1 + chance.below(3) }, (_unused, at) => ({
          id: `call_${id}_${at}`,
          type: "function",
          function: {
            name: chance.of(["weather", "find", "naïve"]),
            arguments: spell(chance, { city: text(chance), more: unknownFields(chance) }),
          },
        }))
      : undefined;
    const content = calls && chance.is(0.6) ? null : text(chance) || "x";
    const message: Json = {
      role: "assistant",
      content,
      ...(chance.is(0.3) ? { reasoning_content: text(chance) || "thought" } : {}),
      ...(chance.is(0.2) ? { refusal: null } : {}),
      ...(chance.is(0.1) ? { annotations: [{ type: "url_citation", url_citation: { url: "u", ...unknownFields(chance) } }] } : {}),
      ...(chance.is(0.1) ? { vendor_text: text(chance) || "v" } : {}),
      ...(calls ? { tool_calls: calls } : {}),
    };
    const tokens = typeof content === "string" && chance.is(0.15) ? pieces(chance, content) : undefined;
    const logprobs = tokens
      ? { content: tokens.map((token) => ({ token, logprob: new Spelled("-0.5"), bytes: [...Buffer.from(token)], top_logprobs: [] })) }
      : null;
    return {
      index,
      message,
      ...(tokens || chance.is(0.5) ? { logprobs } : {}),
      finish_reason: calls ? "tool_calls" : chance.of(["stop", "length"]),
    };
  });
  const usage = usageOf(chance);
  const answer = { ...head, object: "chat.completion", choices, ...(usage === undefined ? {} : { usage }) };
  const events = (told: Chance, includeUsage: boolean): SseEvent[] => {
    const out: SseEvent[] = [];
    const extra = includeUsage ? { usage: null } : {};
    const isPadded = told.is(0.2);
    // Most providers write all chunks alike, which is what a reader may go by.
    const write = told.is(0.6) ? spellPlainly : (value: unknown): string => spell(told, value);
    const isAllAtOnce = told.is(0.1);
    const tell = (choice: Json, finish: string | null = null): void => {
      const padding = isPadded ? { obfuscation: told.of(["", "a", "b7G", "x".repeat(9)]) } : {};
      out.push({
        data: write({
          ...head,
          object: "chat.completion.chunk",
          choices: [{ ...choice, ...(told.is(0.3) ? { logprobs: choice.logprobs ?? null } : {}), finish_reason: finish }],
          ...extra,
          ...padding,
        }),
      });
    };
    if (told.is(0.1))
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
        tell({ index, delta: { role: "assistant", ...(told.is(0.5) ? { content: typeof content === "string" ? "" : null } : {}) } }),
      );
      if (typeof vendor === "string")
        for (const piece of pieces(told, vendor))
          steps.push(() => tell({ index, delta: { vendor_text: piece, ...(told.is(0.5) ? { role: "assistant" } : {}) } }));
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
    while (queues.some((queue) => queue.length > 0)) told.of(queues.filter((queue) => queue.length > 0)).shift()?.();
    if (includeUsage && usage) out.push({ data: spell(told, { ...head, object: "chat.completion.chunk", choices: [], usage }) });
    out.push({ data: told.of(["[DONE]", "[DONE]", " [DONE] "]) });
    return out;
  };
  return { request: { messages: [{ role: "user", content: id }] }, answer, events };
}

function makeCompletion(chance: Chance, id: string): Made {
  const head: Json = { id: `cmpl-${id}`, object: "text_completion", created: 1_700_000_000, model: "m", ...unknownFields(chance) };
  const choices = Array.from({ length: chance.of([1, 1, 2]) }, (_, index) => ({
    index,
    text: text(chance),
    logprobs: null,
    finish_reason: chance.of(["stop", "length"]),
  }));
  const usage = usageOf(chance);
  const events = (told: Chance, includeUsage: boolean): SseEvent[] => {
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

function makeMessages(chance: Chance, id: string): Made {
  const content = Array.from({ length: chance.below(4) }, (_, at): Json => {
    const roll = chance.below(5);
    if (roll <= 1) return { type: "text", text: text(chance), ...(chance.is(0.3) ? { citations: null } : {}) };
    if (roll === 2) return { type: "thinking", thinking: text(chance), signature: `sig${at}` };
    if (roll === 3)
      return { type: "tool_use", id: `toolu_${id}_${at}`, name: "weather", input: { city: text(chance), ...unknownFields(chance) } };
    return { type: "redacted_thinking", data: "b2s=" };
  });
  const [input, output] = [chance.below(1000), chance.below(1000)];
  const usage = { input_tokens: input, output_tokens: output, ...(chance.is(0.4) ? { cache_read_input_tokens: chance.below(9) } : {}) };
  const ending = { stop_reason: chance.of(["end_turn", "tool_use", "max_tokens"]), stop_sequence: null };
  const head: Json = { id: `msg_${id}`, type: "message", role: "assistant", model: "m", ...unknownFields(chance) };
  const events = (told: Chance): SseEvent[] => {
    const out: SseEvent[] = [];
    const tell = (type: string, fields: Json): void => void out.push({ name: type, data: spell(told, { type, ...fields }) });
    const begun = { ...head, content: [], stop_reason: null, stop_sequence: null, usage: { ...usage, output_tokens: 1 } };
    tell("message_start", { message: begun });
    if (told.is(0.3)) tell("ping", {});
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

function makeResponse(chance: Chance, id: string): Made {
  const output = Array.from({ length: chance.below(3) }, (_, at): Json => {
    if (chance.is(0.3))
      return {
        id: `fc_${at}`,
        type: "function_call",
        call_id: `call_${at}`,
        name: "f",
        arguments: spell(chance, unknownFields(chance)),
        status: "completed",
      };
    const content = [{ type: "output_text", text: text(chance), annotations: [], logprobs: [] }];
    return { id: `msg_${at}`, type: "message", status: "completed", role: "assistant", content };
  });
  const [input, made] = [chance.below(1000), chance.below(1000)];
  const usage = chance.is(0.9) ? { input_tokens: input, output_tokens: made, total_tokens: input + made } : null;
  const answer: Json = {
    ...{ id: `resp_${id}`, object: "response", created_at: 1_700_000_000, status: "completed", error: null, incomplete_details: null },
    ...{ model: "m", output, ...unknownFields(chance), usage },
  };
  const events = (told: Chance): SseEvent[] => {
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
    if (told.is(0.1)) out.push({ data: "[DONE]" });
    return out;
  };
  return { request: { input: id }, answer, events };
}

function makeImage(chance: Chance, id: string): Made {
  const image = Buffer.from(`image ${id} ${text(chance)}`).toString("base64");
  const usage = chance.is(0.7) ? { input_tokens: 3, output_tokens: 5, total_tokens: 8 } : undefined;
  const rest: Json = { size: "1024x1024", ...(usage ? { usage } : {}) };
  const events = (told: Chance): SseEvent[] => {
    const tell = (type: string, fields: Json): SseEvent => ({ name: type, data: spell(told, { type, ...fields }) });
    const partials = Array.from({ length: told.below(3) }, (_, at) =>
      tell("image_generation.partial_image", { b64_json: "cA==", partial_image_index: at }),
    );
    return [...partials, tell("image_generation.completed", { b64_json: image, created_at: 1, ...rest })];
  };
  return { request: { prompt: id }, answer: { created: 1, data: [{ b64_json: image }], ...rest }, events };
}

const MAKERS: Readonly<Record<Kind, (chance: Chance, id: string) => Made>> = {
  chat: makeChat,
  completions: makeCompletion,
  responses: makeResponse,
  messages: makeMessages,
  images: makeImage,
};

/** What breaks a stream. */
function breakEvents(chance: Chance, fault: Fault, kind: Kind, events: SseEvent[]): SseEvent[] {
  const ends: Readonly<Record<Kind, number>> = { chat: 1, completions: 1, messages: 1, responses: 1, images: 1 };
  const whole = kind === "responses" ? events.filter(({ data }) => data !== "[DONE]") : events;
  if (fault === "no end") return whole.slice(0, whole.length - ends[kind]);
  const at = chance.below(whole.length);
  const error: SseEvent = {
    ...(kind === "chat" || kind === "completions" ? {} : { name: "error" }),
    data: spell(
      chance,
      kind === "messages"
        ? { type: "error", error: { type: "overloaded_error", message: "m" } }
        : { type: "error", error: { message: "m" } },
    ),
  };
  if (fault === "error inside") return [...whole.slice(0, at), error, ...(chance.is(0.5) ? whole.slice(at) : [])];
  if (fault === "broken event") return [...whole.slice(0, at), { data: '{"broken":' }, ...whole.slice(at)];
  return events;
}

/** An exchange that a seed stands for. */
export function makeExchange(seed: number): RandomExchange {
  const chance = new Chance(seed);
  const id = `case-${seed}`;
  const kind = chance.of<Kind>(["chat", "chat", "chat", "completions", "responses", "messages", "messages", "images"]);
  const made = MAKERS[kind](chance, id);
  const request: Json = {
    model: "fixture-model",
    ...made.request,
    ...unknownFields(chance),
    ...(chance.is(0.05) ? { deep: deep(40) } : {}),
  };
  const fault = chance.is(0.2) ? chance.of<Fault>(["no end", "error inside", "broken off", "broken event"]) : "none";
  const encoding = chance.is(0.15) ? chance.of(["gzip", "br", "deflate"] as const) : undefined;
  const type = {
    json: chance.of(["application/json", "application/json; charset=utf-8", "Application/JSON", "text/plain"]),
    stream: chance.of(["text/event-stream", "text/event-stream; charset=utf-8", "TEXT/EVENT-STREAM", "text/plain"]),
  };
  const encode = (bytes: Buffer): Buffer =>
    encoding === "gzip"
      ? gzipSync(bytes)
      : encoding === "br"
        ? brotliCompressSync(bytes)
        : encoding === "deflate"
          ? deflateSync(bytes)
          : bytes;
  const body = Buffer.from((chance.is(0.03) ? "\ufeff" : "") + spell(chance, made.answer) + chance.of(["", "", "\n", " \r\n"]));
  const streamSeed = chance.below(2 ** 31);
  return {
    ...{ kind, path: PATHS[kind], request, answer: made.answer, fault, encoding, type, body: encode(body) },
    headers: { "x-ratelimit-remaining-requests": "7", "x-vendor": "odd", "request-id": `req-${seed}`, "set-cookie": "a=b" },
    stream: (includeUsage) => {
      const told = new Chance(streamSeed);
      const events = made.events(told, includeUsage);
      const chunks = writeStream(
        told,
        fault === "none" ? events : breakEvents(told, fault, kind, events),
        fault === "none" && told.is(0.1),
      );
      if (!encoding) return chunks;
      return [encode(Buffer.concat(chunks))];
    },
  };
}
