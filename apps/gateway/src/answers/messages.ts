import type { SseEvent } from "../sse/splitter.ts";
import { type AnswerFamily, countOf, readUsage, type StreamAssembler, zeroNumbers } from "./family.ts";
import { isObject, type JsonObject, objectsOf, parseObject, setField } from "./json.ts";
import { markLongNumbers, restoreLongNumbers } from "./long-numbers.ts";
import { cutText } from "./pieces.ts";

/** Anthropic's `/v1/messages`: `message` objects and their content-block events. */
export const messagesFamily: AnswerFamily = {
  kind: "messages",
  refusalToStore: (answer) => {
    if (answer.type === "error" || isObject(answer.error)) return "error-body";
    if (!Array.isArray(answer.content)) return "no-content";
    // A paused turn is meant to be continued by the caller: its answer depends on when it was asked.
    if (answer.stop_reason === "pause_turn" || objectsOf(answer.content).some(isCalledByCode)) return "paused";
    // The input of a tool that broke off, at `max_tokens` say, is no more than a text.
    if (objectsOf(answer.content).some(({ input }) => typeof input === "string")) return "unfinished";
    return typeof answer.stop_reason === "string" ? undefined : "unfinished";
  },
  assemble: () => new MessagesAssembler(),
  replay: replayMessages,
  usageOf: (answer) => readUsage(answer.usage),
  withZeroUsage: (answer) => ({ ...answer, usage: zeroNumbers(answer.usage ?? null) }),
  isUsageEvent: () => false,
  mayTellUsage: () => false,
};

/** Whether the call of a caller's tool came from code that waits for its result, in a container that is for one conversation and gone after minutes. */
function isCalledByCode({ type, caller }: JsonObject): boolean {
  return type === "tool_use" && isObject(caller) && String(caller.type).startsWith("code_execution");
}

class MessagesAssembler implements StreamAssembler {
  #message: JsonObject | undefined;
  readonly #blocks = new Map<number, JsonObject>();
  readonly #inputs = new Map<number, string>();
  #isDone = false;
  #hasFailed = false;

  push(event: SseEvent): void {
    if (event.data === undefined) return;
    const parsed = parseObject(markLongNumbers(event.data));
    if (!parsed || parsed.type === "error") {
      this.#hasFailed = true;
      return;
    }
    if (parsed.type === "message_start" && isObject(parsed.message)) this.#message = { ...parsed.message };
    else if (parsed.type === "content_block_start" && isObject(parsed.content_block))
      this.#beginBlock(countOf(parsed.index), parsed.content_block);
    else if (parsed.type === "content_block_delta" && isObject(parsed.delta)) this.#addDelta(countOf(parsed.index), parsed.delta);
    else if (parsed.type === "message_delta") this.#endMessage(parsed);
    else if (parsed.type === "message_stop") this.#isDone = true;
  }

  #beginBlock(index: number, block: JsonObject): void {
    this.#blocks.set(index, { ...block });
    // Another model has gone on: a whole answer bears its name, and a stream's beginning could not know it.
    if (block.type === "fallback" && isObject(block.to) && this.#message) this.#message.model = block.to.model ?? this.#message.model;
  }

  #addDelta(index: number, delta: JsonObject): void {
    const block = this.#blocks.get(index);
    if (!block) {
      this.#hasFailed = true;
      return;
    }
    if (delta.type === "input_json_delta") this.#inputs.set(index, `${this.#inputs.get(index) ?? ""}${delta.partial_json ?? ""}`);
    // A summary of the conversation comes in one piece, which is the whole.
    else if (delta.type === "compaction_delta") Object.assign(block, delta, { type: block.type });
    else if (delta.type === "citations_delta")
      block.citations = [...(Array.isArray(block.citations) ? block.citations : []), delta.citation];
    else
      for (const [field, value] of Object.entries(delta))
        if (field !== "type") block[field] = typeof value === "string" && field !== "signature" ? `${block[field] ?? ""}${value}` : value;
  }

  /** What came of a tool's input. One that has broken off stays the text that it is: all else of the answer is whole, and what it cost is told. */
  #endInputs(): void {
    for (const [index, input] of this.#inputs) {
      const block = this.#blocks.get(index);
      if (block && input !== "") block.input = parseObject(markLongNumbers(input)) ?? input;
    }
  }

  #endMessage(event: JsonObject): void {
    if (!this.#message) return;
    const usage = isObject(this.#message.usage) ? { ...this.#message.usage } : {};
    const { type: _type, delta, usage: told, ...beside } = event;
    if (isObject(delta)) Object.assign(this.#message, delta);
    for (const [field, value] of Object.entries(beside)) if (value !== null) setField(this.#message, field, value);
    if (!isObject(told)) return;
    // A count of null is one that is not told here, as the official client reads it: what the beginning has told of it stands.
    for (const [field, value] of Object.entries(told)) if (value !== null || !(field in usage)) setField(usage, field, value);
    this.#message.usage = usage;
  }

  finish(): JsonObject | undefined {
    if (!this.#isDone || this.#hasFailed || !this.#message) return undefined;
    this.#endInputs();
    const content = [...this.#blocks.entries()].sort(([left], [right]) => left - right).map(([, block]) => block);
    return { ...this.#message, content };
  }
}

/** What a message tells at its end; clients take it from there, and what is not told there is gone. */
const ENDING = ["stop_details", "container"] as const;
/** What the same event tells beside its delta. */
const BESIDE_ENDING = ["context_management", "input_transformations"] as const;

function replayMessages(answer: JsonObject): string {
  const lines: string[] = [];
  const tell = (type: string, fields: JsonObject): void => {
    lines.push(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`);
  };
  const usage = isObject(answer.usage) ? answer.usage : {};
  const ending: JsonObject = { stop_reason: null, stop_sequence: null };
  for (const field of ENDING) if (field in answer) ending[field] = null;
  const begun: JsonObject = { ...answer, ...ending, content: [], usage: { ...usage, output_tokens: 0 } };
  for (const field of BESIDE_ENDING) if (field in answer) begun[field] = null;
  for (const field in ending) ending[field] = answer[field] ?? null;
  tell("message_start", { message: begun });
  objectsOf(answer.content).forEach((block, index) => {
    const { begin, deltas } = toDeltas(block);
    tell("content_block_start", { index, content_block: begin });
    for (const delta of deltas) tell("content_block_delta", { index, delta });
    tell("content_block_stop", { index });
  });
  const beside = Object.fromEntries(BESIDE_ENDING.filter((field) => field in answer).map((field) => [field, answer[field]]));
  tell("message_delta", { delta: ending, usage, ...beside });
  tell("message_stop", {});
  return lines.join("");
}

/** A content block as its beginning and the deltas that complete it. Blocks that Anthropic sends whole (results of tools) have none. */
function toDeltas(block: JsonObject): { begin: JsonObject; deltas: JsonObject[] } {
  if (block.type === "text") {
    const citations = Array.isArray(block.citations) ? block.citations.map((citation) => ({ type: "citations_delta", citation })) : [];
    const deltas = cutText(String(block.text ?? "")).map((text) => ({ type: "text_delta", text }));
    const begin = { ...block, text: "", ...("citations" in block ? { citations: Array.isArray(block.citations) ? [] : null } : {}) };
    return { begin, deltas: [...deltas, ...citations] };
  }
  if (block.type === "thinking") {
    const deltas: JsonObject[] = cutText(String(block.thinking ?? "")).map((thinking) => ({ type: "thinking_delta", thinking }));
    if (typeof block.signature === "string") deltas.push({ type: "signature_delta", signature: block.signature });
    return { begin: { ...block, thinking: "", signature: "" }, deltas };
  }
  if (block.type === "compaction") {
    const whole = Object.fromEntries(
      ["content", "encrypted_content"].filter((field) => field in block).map((field) => [field, block[field]]),
    );
    const empty = Object.fromEntries(Object.keys(whole).map((field) => [field, null]));
    return { begin: { ...block, ...empty }, deltas: [{ type: "compaction_delta", ...whole }] };
  }
  if (isObject(block.input)) {
    // An input without fields is told as an empty text.
    const pieces = Object.keys(block.input).length === 0 ? [""] : cutText(restoreLongNumbers(JSON.stringify(block.input)));
    const deltas = pieces.map((piece) => ({ type: "input_json_delta", partial_json: piece }));
    return { begin: { ...block, input: {} }, deltas };
  }
  return { begin: block, deltas: [] };
}
