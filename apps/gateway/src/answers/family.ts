import type { Endpoint } from "@larder/cache-core/keys";
import type { SseEvent } from "../sse/splitter.ts";
import { isObject, type JsonObject } from "./json.ts";

/** Tokens that an answer cost. */
export interface TokenUsage {
  /** All of the input, whatever came from the provider's own prompt cache included. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of the input, what the provider has read from its prompt cache; absent when nothing. */
  readonly cacheReadTokens?: number;
  /** Of the input, what it has written there; absent when nothing. */
  readonly cacheWriteTokens?: number;
  /** Of what it has written there, what it keeps for an hour instead of minutes; absent when nothing. */
  readonly cacheWriteLongTokens?: number;
  /** Of the input and of the output, what is sound; absent when nothing. */
  readonly inputAudioTokens?: number;
  readonly outputAudioTokens?: number;
  /** Of the input and of the output, what is images; absent when nothing. */
  readonly inputImageTokens?: number;
  readonly outputImageTokens?: number;
  /** Of the output, what the model thought and did not say; absent when nothing. */
  readonly reasoningTokens?: number;
}

/** Puts a streamed answer together as it would have come without streaming. */
export interface StreamAssembler {
  /** Takes the next event, in order. */
  push(event: SseEvent): void;
  /** The whole answer, or `undefined` when the stream failed, was cut, or did not end as its protocol says. */
  finish(): JsonObject | undefined;
}

/** What a replay is asked for. */
export interface ReplayOptions {
  /** Whether the caller asked for the closing usage chunk. */
  readonly includeUsage: boolean;
}

/** How one endpoint's answers are judged, put together and told again. */
export interface AnswerFamily {
  /** First part of the cache key. */
  readonly kind: "chat" | "completion" | "responses" | "messages" | "image";
  /** Why a complete-looking answer must not be kept; `undefined` when it may. Those of `NO_ANSWERS` say that it is none. */
  refusalToStore(answer: JsonObject): string | undefined;
  /** Begins to put a stream together. */
  assemble(): StreamAssembler;
  /** The answer as a server-sent event stream, its protocol's end included. */
  replay(answer: JsonObject, options: ReplayOptions): string;
  /** The tokens the answer tells; `undefined` when it does not. */
  usageOf(answer: JsonObject): TokenUsage | undefined;
  /** The same answer with every token count at zero. */
  withZeroUsage(answer: JsonObject): JsonObject;
  /** Whether an event is the closing usage chunk that a caller who did not ask for it must not see. */
  isUsageEvent(event: Buffer): boolean;
  /** Whether one of the events in a text, which is at one byte a character, may be one: asked once for all of a packet's events. */
  mayTellUsage(events: string): boolean;
}

/** What is asked of a family whose answers go past the cache. */
export type PassedFamily = Pick<AnswerFamily, "refusalToStore"> & { readonly kind: Endpoint };

/** Refusals of what is no answer at all: an error, or an object of another kind. There is nothing in it to be told as a stream. */
export const NO_ANSWERS: ReadonlySet<string | undefined> = new Set([
  "error-body",
  "no-choices",
  "not-a-response",
  "no-content",
  "no-images",
]);

/** Every number in a usage object at zero, details included. */
export function zeroNumbers(value: unknown): unknown {
  if (typeof value === "number") return 0;
  if (Array.isArray(value)) return value.map(zeroNumbers);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([field, inner]) => [field, zeroNumbers(inner)]));
}

/**
 * Tokens as any of the APIs tells them. OpenAI's count of the input contains what went through the prompt cache; Anthropic's does not, and is told
 * beside it. Where both are told, as by gateways in between, the former holds.
 */
export function readUsage(usage: unknown): TokenUsage | undefined {
  if (!isObject(usage)) return undefined;
  const details = [usage.prompt_tokens_details, usage.input_tokens_details].find(isObject);
  const isApart = usage.prompt_tokens === undefined && !details;
  const made = [usage.completion_tokens_details, usage.output_tokens_details].find(isObject);
  // As OpenAI and most tell it, Anthropic, DeepSeek, Moonshot.
  const cached = details?.cached_tokens ?? usage.cache_read_input_tokens ?? usage.prompt_cache_hit_tokens ?? usage.cached_tokens;
  const cacheReadTokens = countOf(cached);
  const cacheWriteTokens = countOf(details?.cache_write_tokens ?? usage.cache_creation_input_tokens);
  const thoughtTokens = countOf(made?.reasoning_tokens);
  const besideTokens = thoughtsBeside(usage, thoughtTokens, cacheReadTokens + cacheWriteTokens);
  const read: { -readonly [Field in keyof TokenUsage]: TokenUsage[Field] } = {
    // Of what makes no text, such as a ranking, some tell the sum alone.
    inputTokens: countOf(usage.prompt_tokens ?? usage.input_tokens ?? sumAlone(usage)) + (isApart ? cacheReadTokens + cacheWriteTokens : 0),
    outputTokens: countOf(usage.completion_tokens ?? usage.output_tokens) + besideTokens,
  };
  const tell = (field: keyof TokenUsage, told: unknown): void => {
    const count = countOf(told);
    if (count > 0) read[field] = count;
  };
  tell("cacheReadTokens", cacheReadTokens);
  tell("cacheWriteTokens", cacheWriteTokens);
  tell("cacheWriteLongTokens", isObject(usage.cache_creation) ? usage.cache_creation.ephemeral_1h_input_tokens : 0);
  tell("inputAudioTokens", details?.audio_tokens);
  tell("inputImageTokens", details?.image_tokens);
  tell("outputAudioTokens", made?.audio_tokens);
  tell("outputImageTokens", made?.image_tokens);
  tell("reasoningTokens", Math.max(thoughtTokens, besideTokens));
  return read;
}

/**
 * What the model thought that is not in the output as it is told, but in the sum of all. OpenAI counts it into the output; xAI tells it beside, and Gemini's
 * API for OpenAI's clients tells it nowhere else. A sum that is larger by anything else says nothing of the output.
 */
function thoughtsBeside(usage: JsonObject, thoughtTokens: number, cachedTokens: number): number {
  if (usage.prompt_tokens === undefined) return 0;
  const beside = countOf(usage.total_tokens) - countOf(usage.prompt_tokens) - countOf(usage.completion_tokens);
  const isThought = thoughtTokens > 0 ? beside === thoughtTokens : !isObject(usage.completion_tokens_details) && beside !== cachedTokens;
  return isThought ? Math.max(0, beside) : 0;
}

function sumAlone({ completion_tokens: completion, output_tokens: output, total_tokens: total }: JsonObject): unknown {
  return completion === undefined && output === undefined ? total : undefined;
}

/** A finite number that is not negative, else 0. */
export function countOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;
}
