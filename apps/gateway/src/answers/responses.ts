import type { SseEvent } from "../sse/splitter.ts";
import { type AnswerFamily, countOf, type StreamAssembler, zeroNumbers } from "./family.ts";
import { isObject, type JsonObject, objectsOf, parseObject } from "./json.ts";
import { cutText } from "./pieces.ts";

/** `/v1/responses`: `response` objects and the events that build them up. */
export const responsesFamily: AnswerFamily = {
  kind: "responses",
  refusalToStore: (answer) => {
    if (isObject(answer.error)) return "error-body";
    if (answer.object !== "response") return "not-a-response";
    return answer.status === "completed" || isCutByLimit(answer) ? undefined : "unfinished";
  },
  assemble: () => new ResponsesAssembler(),
  replay: replayResponse,
  usageOf: (answer) =>
    isObject(answer.usage)
      ? { inputTokens: countOf(answer.usage.input_tokens), outputTokens: countOf(answer.usage.output_tokens) }
      : undefined,
  withZeroUsage: (answer) => ({ ...answer, usage: zeroNumbers(answer.usage ?? null) }),
  isUsageEvent: () => false,
};

/** Stopped by the caller's own `max_output_tokens`: a complete answer to that request, as `finish_reason: "length"` is. */
function isCutByLimit(answer: JsonObject): boolean {
  return answer.status === "incomplete" && isObject(answer.incomplete_details) && answer.incomplete_details.reason === "max_output_tokens";
}

/** The closing event carries the whole response: nothing has to be put together, only watched for a proper end. */
class ResponsesAssembler implements StreamAssembler {
  #response: JsonObject | undefined;
  #hasFailed = false;

  push(event: SseEvent): void {
    if (event.data === undefined || event.data.trim() === "[DONE]") return;
    const parsed = parseObject(event.data);
    const type = parsed?.type ?? event.name;
    if (!parsed || type === "error" || type === "response.failed") this.#hasFailed = true;
    else if ((type === "response.completed" || type === "response.incomplete") && isObject(parsed.response))
      this.#response = parsed.response;
  }

  finish(): JsonObject | undefined {
    return this.#hasFailed ? undefined : this.#response;
  }
}

type Tell = (type: string, fields: JsonObject) => void;

function replayResponse(answer: JsonObject): string {
  const lines: string[] = [];
  let sequence = 0;
  const tell: Tell = (type, fields) => {
    lines.push(`event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence, ...fields })}\n\n`);
    sequence += 1;
  };
  const begun = { ...answer, status: "in_progress", output: [], usage: null, completed_at: null };
  if (!("completed_at" in answer)) delete (begun as JsonObject).completed_at;
  tell("response.created", { response: begun });
  tell("response.in_progress", { response: begun });
  for (const [index, item] of objectsOf(answer.output).entries()) replayItem(item, index, tell);
  tell(answer.status === "incomplete" ? "response.incomplete" : "response.completed", { response: answer });
  return lines.join("");
}

function replayItem(item: JsonObject, outputIndex: number, tell: Tell): void {
  const place = { item_id: item.id, output_index: outputIndex };
  tell("response.output_item.added", { output_index: outputIndex, item: beginningOf(item) });
  if (item.type === "message") replayMessage(item, place, tell);
  else if (item.type === "reasoning") replayReasoning(item, place, tell);
  else if (item.type === "function_call") replayArguments(item, place, tell);
  else if (item.type === "custom_tool_call") replayText("response.custom_tool_call_input", "input", item.input, place, tell);
  tell("response.output_item.done", { output_index: outputIndex, item });
}

/** An item before its content has come. */
function beginningOf(item: JsonObject): JsonObject {
  const status = "status" in item ? { status: "in_progress" } : {};
  if (item.type === "message") return { ...item, ...status, content: [] };
  if (item.type === "reasoning") return { ...item, ...status, summary: [], ...("content" in item ? { content: [] } : {}) };
  if (item.type === "function_call") return { ...item, ...status, arguments: "" };
  if (item.type === "custom_tool_call") return { ...item, ...status, input: "" };
  return { ...item, ...status };
}

function replayText(event: string, field: string, text: unknown, place: JsonObject, tell: Tell, extra: JsonObject = {}): void {
  const whole = typeof text === "string" ? text : "";
  for (const piece of cutText(whole)) tell(`${event}.delta`, { ...place, delta: piece, ...extra });
  tell(`${event}.done`, { ...place, [field]: whole, ...extra });
}

/** The closing event names the function, as the client's types have it; the pieces do not. */
function replayArguments(item: JsonObject, place: JsonObject, tell: Tell): void {
  const whole = typeof item.arguments === "string" ? item.arguments : "";
  for (const piece of cutText(whole)) tell("response.function_call_arguments.delta", { ...place, delta: piece });
  tell("response.function_call_arguments.done", { ...place, name: item.name, arguments: whole });
}

function replayMessage(item: JsonObject, itemPlace: JsonObject, tell: Tell): void {
  objectsOf(item.content).forEach((part, contentIndex) => {
    const place = { ...itemPlace, content_index: contentIndex };
    const empty = part.type === "refusal" ? { ...part, refusal: "" } : { ...part, text: "", annotations: [] };
    tell("response.content_part.added", { ...place, part: empty });
    if (part.type === "refusal") {
      replayText("response.refusal", "refusal", part.refusal, place, tell);
    } else if (part.type === "output_text") {
      replayText("response.output_text", "text", part.text, place, tell, { logprobs: [] });
      objectsOf(part.annotations).forEach((annotation, annotationIndex) => {
        tell("response.output_text.annotation.added", { ...place, annotation_index: annotationIndex, annotation });
      });
    }
    tell("response.content_part.done", { ...place, part });
  });
}

function replayReasoning(item: JsonObject, itemPlace: JsonObject, tell: Tell): void {
  objectsOf(item.summary).forEach((part, summaryIndex) => {
    const place = { ...itemPlace, summary_index: summaryIndex };
    tell("response.reasoning_summary_part.added", { ...place, part: { ...part, text: "" } });
    replayText("response.reasoning_summary_text", "text", part.text, place, tell);
    tell("response.reasoning_summary_part.done", { ...place, part });
  });
  objectsOf(item.content).forEach((part, contentIndex) => {
    if (part.type === "reasoning_text")
      replayText("response.reasoning_text", "text", part.text, { ...itemPlace, content_index: contentIndex }, tell);
  });
}
