import type { SseEvent } from "../sse/splitter.ts";
import { isUsageChunk, mayTellNoChoices, PADDING, refusalToStoreChoices } from "./chat.ts";
import { type AnswerFamily, countOf, type ReplayOptions, readUsage, type StreamAssembler, zeroNumbers } from "./family.ts";
import { isObject, type JsonObject, objectsOf, parseObject } from "./json.ts";
import { replaceFields } from "./merge-delta.ts";
import { cutText } from "./pieces.ts";

/** What a chunk tells in pieces, or for the stream alone. */
const NOT_REPLACED: ReadonlySet<string> = new Set(["text", "logprobs", "index"]);

/** `/v1/completions`: chunks are `text_completion` objects too. */
export const completionFamily: AnswerFamily = {
  kind: "completion",
  refusalToStore: refusalToStoreChoices,
  assemble: () => new CompletionAssembler(),
  replay: replayCompletion,
  usageOf: (answer) => readUsage(answer.usage),
  withZeroUsage: (answer) => ({ ...answer, usage: zeroNumbers(answer.usage ?? null) }),
  isUsageEvent: isUsageChunk,
  mayTellUsage: mayTellNoChoices,
};

class CompletionAssembler implements StreamAssembler {
  /** Without a prototype, whose members would be taken for what was told already. */
  readonly #answer: JsonObject = Object.create(null) as JsonObject;
  readonly #choices = new Map<number, JsonObject>();
  #isDone = false;
  #hasFailed = false;

  push(event: SseEvent): void {
    if (event.data === undefined) return;
    if (event.data.trim() === "[DONE]") {
      this.#isDone = true;
      return;
    }
    const chunk = parseObject(event.data);
    if (!chunk || event.name === "error" || (chunk.error !== undefined && chunk.error !== null)) {
      this.#hasFailed = true;
      return;
    }
    const { choices, ...head } = chunk;
    for (const [field, value] of Object.entries(head))
      if (field !== PADDING && (value !== null || !(field in this.#answer))) this.#answer[field] = value;
    for (const part of objectsOf(choices)) this.#addChoice(part);
  }

  #addChoice(part: JsonObject): void {
    const index = countOf(part.index);
    const known = this.#choices.get(index);
    if (!known) {
      this.#choices.set(index, { ...part, index, text: String(part.text ?? ""), logprobs: part.logprobs ?? null });
      return;
    }
    const { text, logprobs } = part;
    known.text = `${known.text}${text ?? ""}`;
    known.logprobs = joinLogprobs(known.logprobs, logprobs);
    replaceFields(known, part, NOT_REPLACED);
  }

  finish(): JsonObject | undefined {
    if (!this.#isDone || this.#hasFailed || this.#choices.size === 0) return undefined;
    const choices = [...this.#choices.values()].sort((left, right) => countOf(left.index) - countOf(right.index));
    const { usage, ...head } = this.#answer;
    const answer: JsonObject = { ...head, object: "text_completion", choices };
    return usage === undefined || usage === null ? answer : { ...answer, usage };
  }
}

function joinLogprobs(known: unknown, added: unknown): unknown {
  if (!isObject(added)) return known ?? null;
  if (!isObject(known)) return added;
  const joined: JsonObject = { ...known };
  for (const [field, value] of Object.entries(added))
    joined[field] = Array.isArray(value) && Array.isArray(known[field]) ? [...(known[field] as unknown[]), ...value] : value;
  return joined;
}

function replayCompletion(answer: JsonObject, options: ReplayOptions): string {
  const { choices, usage, ...head } = answer;
  const withUsage = options.includeUsage ? { usage: null } : {};
  const lines: string[] = [];
  const tell = (choice: JsonObject): void => {
    lines.push(`data: ${JSON.stringify({ ...head, object: "text_completion", choices: [choice], ...withUsage })}\n\n`);
  };
  for (const choice of objectsOf(choices)) {
    const { text, finish_reason: finishReason, logprobs, ...rest } = choice;
    // The arrays of log probabilities hang together by position, so they stay whole and go with the last chunk.
    for (const piece of cutText(String(text ?? ""))) tell({ text: piece, ...rest, logprobs: null, finish_reason: null });
    tell({ text: "", ...rest, logprobs: logprobs ?? null, finish_reason: finishReason });
  }
  if (options.includeUsage) {
    const closing = { ...head, object: "text_completion", choices: [], usage: usage ?? null };
    lines.push(`data: ${JSON.stringify(closing)}\n\n`);
  }
  lines.push("data: [DONE]\n\n");
  return lines.join("");
}
