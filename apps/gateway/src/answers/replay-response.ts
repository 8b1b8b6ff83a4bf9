import { isObject, type JsonObject, objectsOf } from "./json.ts";
import { takePartials } from "./partial-images.ts";
import { cutText } from "./pieces.ts";

/*
 * A stored response, told again as the API tells it live. Clients do not only read the text: the `stream()` helper of OpenAI's client builds the response
 * up event by event and raises when a delta's place was never announced, and the AI SDK makes a tool call of the events of a hosted tool's
 * code, not of the finished item. So each kind of item is told with every event that the API has for it, in the API's order. Events that OpenAI's
 * client does not know are left out (`response.apply_patch_call_operation_diff.*`): its helper raises at a type that is new to it, and
 * those who do know them read the finished item as well.
 */

/** Shows an image before it is done. */
export const PARTIAL_IMAGE = "response.image_generation_call.partial_image";

type Tell = (type: string, fields: JsonObject) => void;

/** The answer as a server-sent event stream. A response that has failed is told as one that has. */
export function replayResponse(stored: JsonObject): string {
  const { whole: answer, partials } = takePartials(stored);
  const lines: string[] = [];
  let sequence = 0;
  const tell: Tell = (type, fields) => {
    lines.push(`event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence, ...fields })}\n\n`);
    sequence += 1;
  };
  const begun: JsonObject = { ...answer, status: "in_progress", output: [], usage: null };
  for (const field of ["error", "incomplete_details", "completed_at"]) if (field in answer) begun[field] = null;
  tell("response.created", { response: begun });
  tell("response.in_progress", { response: begun });
  for (const [index, item] of objectsOf(answer.output).entries())
    replayItem(
      item,
      index,
      partials.filter((partial) => partial.output_index === index),
      tell,
    );
  tell(closingEvent(answer.status), { response: answer });
  return lines.join("");
}

function closingEvent(status: unknown): string {
  if (status === "completed") return "response.completed";
  return status === "failed" || status === "cancelled" ? "response.failed" : "response.incomplete";
}

/** Fields that come after an item has been announced, in pieces or with the finished item, and what stands in their place until then. */
const EMPTY_FIELDS: ReadonlyMap<unknown, JsonObject> = new Map<unknown, JsonObject>([
  ["message", { content: [] }],
  ["reasoning", { summary: [], content: [] }],
  ["function_call", { arguments: "" }],
  ["custom_tool_call", { input: "" }],
  ["mcp_call", { arguments: "", output: null, error: null }],
  ["mcp_list_tools", { tools: [], error: null }],
  ["code_interpreter_call", { code: "", outputs: null }],
  ["file_search_call", { queries: [], results: null }],
  ["image_generation_call", { result: null }],
]);

/** What is told of a hosted tool's work: before its arguments or code, and after them. */
const STEPS: ReadonlyMap<unknown, { readonly before: readonly string[]; readonly after: readonly string[] }> = new Map([
  ["web_search_call", { before: ["in_progress", "searching"], after: ["completed"] }],
  ["file_search_call", { before: ["in_progress", "searching"], after: ["completed"] }],
  ["image_generation_call", { before: ["in_progress", "generating"], after: ["completed"] }],
  ["code_interpreter_call", { before: ["in_progress"], after: ["interpreting", "completed"] }],
  ["mcp_call", { before: ["in_progress"], after: ["completed"] }],
  ["mcp_list_tools", { before: ["in_progress"], after: ["completed"] }],
]);

function replayItem(item: JsonObject, outputIndex: number, partials: readonly JsonObject[], tell: Tell): void {
  const place = { item_id: item.id, output_index: outputIndex };
  tell("response.output_item.added", { output_index: outputIndex, item: beginningOf(item) });
  for (const step of STEPS.get(item.type)?.before ?? []) tell(`response.${item.type}.${step}`, place);
  replayContent(item, place, tell);
  for (const { type: _type, sequence_number: _number, ...partial } of partials) tell(PARTIAL_IMAGE, partial);
  for (const step of lastSteps(item)) tell(`response.${item.type}.${step}`, place);
  tell("response.output_item.done", { output_index: outputIndex, item });
}

/** An item before its content has come. */
function beginningOf(item: JsonObject): JsonObject {
  // Results of tools come whole; some of them cannot be in progress.
  if (String(item.type).endsWith("_output")) return item;
  const beginning = { ...item };
  for (const [field, empty] of Object.entries(EMPTY_FIELDS.get(item.type) ?? {})) if (field in item) beginning[field] = empty;
  // An MCP call may be finished without telling so; announced, it always has a status.
  if ("status" in item || item.type === "mcp_call") beginning.status = "in_progress";
  if (isObject(item.operation) && "diff" in item.operation) beginning.operation = { ...item.operation, diff: "" };
  return beginning;
}

/** Only the tools of MCP servers have an event for their failure; the others end without one for their success. */
function lastSteps(item: JsonObject): readonly string[] {
  const steps = STEPS.get(item.type)?.after ?? [];
  const hasFailed = item.status === "failed" || item.status === "incomplete" || (item.error !== undefined && item.error !== null);
  if (!hasFailed) return steps;
  const rest = steps.filter((step) => step !== "completed");
  return item.type === "mcp_call" || item.type === "mcp_list_tools" ? [...rest, "failed"] : rest;
}

function replayContent(item: JsonObject, place: JsonObject, tell: Tell): void {
  if (item.type === "message") replayMessage(item, place, tell);
  else if (item.type === "reasoning") replayReasoning(item, place, tell);
  else if (item.type === "function_call") replayArguments(item, place, tell);
  else if (item.type === "custom_tool_call") replayText("response.custom_tool_call_input", "input", item.input, place, tell);
  else if (item.type === "mcp_call") replayText("response.mcp_call_arguments", "arguments", item.arguments, place, tell);
  else if (item.type === "code_interpreter_call" && typeof item.code === "string")
    replayText("response.code_interpreter_call_code", "code", item.code, place, tell);
}

function replayText(event: string, field: string, text: unknown, place: JsonObject, tell: Tell): void {
  const whole = typeof text === "string" ? text : "";
  for (const piece of cutText(whole)) tell(`${event}.delta`, { ...place, delta: piece });
  tell(`${event}.done`, { ...place, [field]: whole });
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
    tell("response.content_part.added", { ...place, part: emptyPart(part) });
    if (part.type === "refusal") replayText("response.refusal", "refusal", part.refusal, place, tell);
    else if (part.type === "output_text") replayOutputText(part, place, tell);
    tell("response.content_part.done", { ...place, part });
  });
}

/** A part of a message or of reasoning before its text has come. */
function emptyPart(part: JsonObject): JsonObject {
  if (part.type === "refusal") return { ...part, refusal: "" };
  if (part.type === "output_text") return { ...part, text: "", annotations: [], ...("logprobs" in part ? { logprobs: [] } : {}) };
  return "text" in part ? { ...part, text: "" } : part;
}

function replayOutputText(part: JsonObject, place: JsonObject, tell: Tell): void {
  const text = typeof part.text === "string" ? part.text : "";
  const tokens = objectsOf(part.logprobs).map(toEventLogprob);
  for (const { piece, logprobs } of cutByTokens(text, tokens)) tell("response.output_text.delta", { ...place, delta: piece, logprobs });
  objectsOf(part.annotations).forEach((annotation, annotationIndex) => {
    tell("response.output_text.annotation.added", { ...place, annotation_index: annotationIndex, annotation });
  });
  tell("response.output_text.done", { ...place, text, logprobs: tokens });
}

/** A text with log probabilities is told token by token, so that each keeps its own; else in pieces of words. */
function cutByTokens(text: string, tokens: readonly JsonObject[]): Array<{ piece: string; logprobs: readonly JsonObject[] }> {
  const told = tokens.map((entry) => String(entry.token));
  if (tokens.length > 0 && told.join("") === text)
    return tokens.map((entry, index) => ({ piece: told[index] as string, logprobs: [entry] }));
  // Tokens that are not whole characters do not add up to the text: all of them go with the first piece.
  return cutText(text).map((piece, index) => ({ piece, logprobs: index === 0 ? tokens : [] }));
}

/** Events tell less of a token than the finished part does. */
function toEventLogprob({ token, logprob, top_logprobs: others }: JsonObject): JsonObject {
  return { token, logprob, top_logprobs: objectsOf(others).map((other) => ({ token: other.token, logprob: other.logprob })) };
}

function replayReasoning(item: JsonObject, itemPlace: JsonObject, tell: Tell): void {
  objectsOf(item.summary).forEach((part, summaryIndex) => {
    const place = { ...itemPlace, summary_index: summaryIndex };
    tell("response.reasoning_summary_part.added", { ...place, part: { ...part, text: "" } });
    replayText("response.reasoning_summary_text", "text", part.text, place, tell);
    tell("response.reasoning_summary_part.done", { ...place, part });
  });
  objectsOf(item.content).forEach((part, contentIndex) => {
    const place = { ...itemPlace, content_index: contentIndex };
    tell("response.content_part.added", { ...place, part: emptyPart(part) });
    if (part.type === "reasoning_text") replayText("response.reasoning_text", "text", part.text, place, tell);
    tell("response.content_part.done", { ...place, part });
  });
}
