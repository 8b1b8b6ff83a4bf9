import { readSseEvent, type SseEvent } from "../sse/splitter.ts";
import { ChunkPattern } from "./chunk-pattern.ts";
import { type AnswerFamily, countOf, type ReplayOptions, readUsage, type StreamAssembler, zeroNumbers } from "./family.ts";
import { isObject, type JsonObject, objectsOf, parseObject } from "./json.ts";
import { mergeDelta, replaceFields } from "./merge-delta.ts";
import { cutText } from "./pieces.ts";

/** Text fields of a message that a stream tells in pieces, in the order in which models produce them. */
const STREAMED_TEXT = ["reasoning_content", "reasoning", "content", "refusal"] as const;
/** Noise of random length with which OpenAI hides how long a chunk's text is. */
export const PADDING = "obfuscation";
/** What a chunk tells in pieces, or for the stream alone. */
const NOT_REPLACED: ReadonlySet<string> = new Set(["delta", "index", "logprobs"]);
/**
 * Ends of texts that the server has broken off for reasons of its own: another time there would be more. vLLM and SGLang say so when they shut down or make
 * room, TensorRT-LLM when it has taken too long, DeepSeek when it is overloaded; their streams end as whole ones do.
 */
const BROKEN_OFF: ReadonlySet<string> = new Set(["abort", "cancelled", "timeout", "insufficient_system_resource"]);
const NO_CHOICES = /"choices"\s*:\s*\[\]/;

/** `/v1/chat/completions`: `chat.completion` objects and their chunks. */
export const chatFamily: AnswerFamily = {
  kind: "chat",
  refusalToStore: refusalToStoreChoices,
  assemble: () => new ChatAssembler(),
  replay: replayChat,
  usageOf: (answer) => readUsage(answer.usage),
  withZeroUsage: (answer) => ({ ...answer, usage: zeroNumbers(answer.usage ?? null) }),
  isUsageEvent: isUsageChunk,
  mayTellUsage: mayTellNoChoices,
};

/** Shared with `/v1/completions`: choices are there, each has ended, and nothing in the answer is an error. */
export function refusalToStoreChoices(answer: JsonObject): string | undefined {
  const choices = objectsOf(answer.choices);
  const hasError = answer.error !== null && answer.error !== undefined;
  if (choices.length === 0) return hasError ? "error-body" : "no-choices";
  if (hasError) return "error-beside-choices";
  for (const choice of choices) {
    const { finish_reason: reason } = choice;
    if (typeof reason !== "string" || reason === "" || BROKEN_OFF.has(reason)) return "unfinished";
    if (reason === "error" || isObject(choice.error)) return "error-choice";
  }
  return undefined;
}

/** The closing chunk with usage has no choices. Looked for in the bytes: parsing every chunk on its way through would cost the stream. */
export function isUsageChunk(event: Buffer): boolean {
  if (!mayTellNoChoices(event.toString("latin1"))) return false;
  // It may have an id, a comment before it, or several lines.
  const chunk = parseObject(readSseEvent(event).data ?? "");
  return chunk !== undefined && Array.isArray(chunk.choices) && chunk.choices.length === 0 && isObject(chunk.usage);
}

/** Whether a chunk without choices may be in a text. */
export function mayTellNoChoices(events: string): boolean {
  // The brackets first: they are rare, and each quotation mark would be a place to look closer (of 20 events 0.5 us, and not 3).
  return events.includes("[]") && NO_CHOICES.test(events);
}

class ChatAssembler implements StreamAssembler {
  /** Without a prototype, whose members would be taken for what was told already. */
  readonly #answer: JsonObject = Object.create(null) as JsonObject;
  readonly #choices = new Map<number, JsonObject>();
  readonly #pattern = new ChunkPattern(PADDING);
  /** The message that was added to last: those whose chunks the pattern knows go on with it. */
  #told: JsonObject = {};
  #isDone = false;
  #hasFailed = false;

  push(event: SseEvent): void {
    const { data, name } = event;
    if (data === undefined) return;
    const text = name === "" ? this.#pattern.textOf(data) : undefined;
    if (text !== undefined) {
      mergeDelta(this.#told, { content: text });
      return;
    }
    if (data.trim() === "[DONE]") {
      this.#isDone = true;
      return;
    }
    const chunk = parseObject(data);
    if (!chunk || name === "error" || (chunk.error !== undefined && chunk.error !== null)) this.#hasFailed = true;
    else this.#add(chunk, data);
  }

  #add(chunk: JsonObject, data: string): void {
    for (const field in chunk) {
      const value = chunk[field];
      if (field === "choices" || field === PADDING || (value === null && this.#answer[field] !== undefined)) continue;
      if (field === "usage" || this.#answer[field] === undefined || this.#answer[field] === null) this.#answer[field] = value;
    }
    const parts = objectsOf(chunk.choices);
    for (const part of parts) this.#told = this.#addChoice(part).message as JsonObject;
    this.#pattern.learn(data, parts);
  }

  #addChoice(part: JsonObject): JsonObject {
    const index = countOf(part.index);
    const choice = this.#choices.get(index) ?? { index, message: {}, logprobs: null, finish_reason: null };
    this.#choices.set(index, choice);
    const { delta, logprobs } = part;
    if (isObject(delta)) mergeDelta(choice.message as JsonObject, delta);
    // The tokens of each chunk are its own.
    if (isObject(logprobs)) mergeDelta(choice, { logprobs });
    replaceFields(choice, part, NOT_REPLACED);
    return choice;
  }

  finish(): JsonObject | undefined {
    if (!this.#isDone || this.#hasFailed || this.#choices.size === 0) return undefined;
    const choices = [...this.#choices.values()].sort((left, right) => countOf(left.index) - countOf(right.index));
    for (const choice of choices) choice.message = completeMessage(choice.message as JsonObject);
    const { usage, ...head } = this.#answer;
    const answer: JsonObject = { ...head, object: "chat.completion", choices };
    return usage === undefined || usage === null ? answer : { ...answer, usage };
  }
}

/** Fields that a whole message has and a stream leaves out: clients' types say they are there. Indexes belong to the stream alone. */
function completeMessage(message: JsonObject): JsonObject {
  const { role, content, refusal, ...rest } = message;
  if (Array.isArray(rest.tool_calls)) rest.tool_calls = objectsOf(rest.tool_calls).map(({ index: _index, ...call }) => call);
  const text = content === "" && rest.tool_calls !== undefined ? null : (content ?? null);
  return { role: role ?? "assistant", content: text, refusal: refusal ?? null, ...rest };
}

function replayChat(answer: JsonObject, options: ReplayOptions): string {
  const { choices, usage, object: _object, ...head } = answer;
  const withUsage = options.includeUsage ? { usage: null } : {};
  const lines: string[] = [];
  const tell = (choice: JsonObject, finishReason: unknown = null): void => {
    const chunk = { ...head, object: "chat.completion.chunk", choices: [{ ...choice, finish_reason: finishReason }], ...withUsage };
    lines.push(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  for (const choice of objectsOf(choices)) replayChoice(choice, tell);
  if (options.includeUsage) {
    const closing = { ...head, object: "chat.completion.chunk", choices: [], usage: usage ?? null };
    lines.push(`data: ${JSON.stringify(closing)}\n\n`);
  }
  lines.push("data: [DONE]\n\n");
  return lines.join("");
}

type Tell = (choice: JsonObject, finishReason?: unknown) => void;

function replayChoice(choice: JsonObject, tell: Tell): void {
  const { index, message, logprobs, finish_reason: finishReason, ...choiceRest } = choice;
  const { role, tool_calls: toolCalls, ...whole } = isObject(message) ? message : ({} as JsonObject);
  const first: JsonObject = { role: role ?? "assistant" };
  for (const [field, value] of Object.entries(whole)) {
    const isStreamed = (STREAMED_TEXT as readonly string[]).includes(field) && typeof value === "string" && value !== "";
    if (isStreamed) continue;
    if (!(field === "refusal" && value === null)) first[field] = value;
  }
  if (!("content" in first)) first.content = "";
  tell({ index, delta: first, logprobs: null });
  for (const field of STREAMED_TEXT) {
    const text = whole[field];
    if (typeof text !== "string" || text === "") continue;
    for (const piece of cutWithLogprobs(field, text, logprobs)) tell({ index, delta: { [field]: piece.text }, logprobs: piece.logprobs });
  }
  for (const [position, call] of objectsOf(toolCalls).entries())
    replayToolCall(call, position, (delta) => tell({ index, delta, logprobs: null }));
  tell({ index, delta: {}, logprobs: null, ...choiceRest }, finishReason);
}

/** A text with log probabilities is told token by token, so that each keeps its own; else in pieces of words. */
function cutWithLogprobs(field: string, text: string, logprobs: unknown): Array<{ text: string; logprobs: unknown }> {
  const tokens = isObject(logprobs) && (field === "content" || field === "refusal") ? objectsOf(logprobs[field]) : [];
  const told = tokens.map((entry) => String(entry.token));
  if (tokens.length > 0 && told.join("") === text)
    return tokens.map((entry, index) => ({ text: told[index] as string, logprobs: { content: null, refusal: null, [field]: [entry] } }));
  // Tokens that are not whole characters do not add up to the text: all of them go with the first piece.
  return cutText(text).map((piece, index) => ({
    text: piece,
    logprobs: tokens.length > 0 && index === 0 ? { content: null, refusal: null, [field]: tokens } : null,
  }));
}

function replayToolCall(call: JsonObject, position: number, tell: (delta: JsonObject) => void): void {
  const kind = isObject(call.custom) ? "custom" : "function";
  const field = kind === "custom" ? "input" : "arguments";
  const body = isObject(call[kind]) ? (call[kind] as JsonObject) : {};
  const text = typeof body[field] === "string" ? (body[field] as string) : "";
  tell({ tool_calls: [{ ...call, index: position, [kind]: { ...body, [field]: "" } }] });
  for (const piece of cutText(text)) tell({ tool_calls: [{ index: position, [kind]: { [field]: piece } }] });
}
