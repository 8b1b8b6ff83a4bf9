import { exactParse } from "./exact-json.ts";
import type { Kind } from "./random-exchange.ts";

type Json = { [field: string]: unknown };
const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** An event as a client by the standard reads it. */
export interface ReadEvent {
  readonly name: string;
  readonly data: string;
}

/** Reads server-sent events by the letter of the standard. */
export function readEvents(bytes: Buffer): ReadEvent[] {
  const events: ReadEvent[] = [];
  let [name, data] = ["", [] as string[]];
  for (const line of bytes
    .toString("utf8")
    .replace(/^\ufeff/, "")
    .split(/\r\n|\n|\r/)) {
    if (line === "") {
      if (data.length > 0) events.push({ name, data: data.join("\n") });
      [name, data] = ["", []];
      continue;
    }
    const [, field, value = ""] = /^([^:]*)(?:: ?([\s\S]*))?$/.exec(line) ?? [];
    if (field === "data") data.push(value);
    else if (field === "event") name = value;
  }
  return events;
}

/** Puts a stream together as a client does that knows nothing of a gateway. */
export function putTogether(kind: Kind, events: readonly ReadEvent[]): Json {
  const chunks = events.filter(({ data }) => data.trim() !== "[DONE]").map(({ data }) => exactParse(data) as Json);
  if (kind === "messages") return putMessage(chunks);
  if (kind === "responses") return (chunks.find(({ type }) => type === "response.completed")?.response ?? {}) as Json;
  if (kind === "images") {
    const {
      type: _type,
      created_at: created,
      b64_json: image,
      ...rest
    } = chunks.find(({ type }) => type === "image_generation.completed") ?? {};
    return { created, data: [{ b64_json: image }], ...rest };
  }
  return putChoices(kind, chunks);
}

function putChoices(kind: Kind, chunks: readonly Json[]): Json {
  const answer: Json = {};
  const choices: Json[] = [];
  for (const { choices: told, usage, obfuscation: _padding, prompt_filter_results: _filters, ...head } of chunks) {
    Object.assign(answer, head);
    if (usage) answer.usage = usage;
    for (const { index, delta, logprobs, finish_reason: finish, text } of told as Json[]) {
      const choice = choices[index as number] ?? (kind === "chat" ? { index, message: {} } : { index, text: "" });
      choices[index as number] = choice;
      if (kind === "chat") addDelta(choice.message as Json, delta as Json);
      else choice.text = `${choice.text}${text}`;
      if (isObject(logprobs)) {
        const known = (choice.logprobs as { content: unknown[] } | undefined)?.content ?? [];
        choice.logprobs = { content: [...known, ...((logprobs.content as unknown[] | null) ?? [])] };
      }
      if (finish) choice.finish_reason = finish;
    }
  }
  return { ...answer, object: kind === "chat" ? "chat.completion" : "text_completion", choices };
}

function addDelta(message: Json, delta: Json): void {
  for (const [field, value] of Object.entries(delta)) {
    if (field === "tool_calls") {
      const calls = (message.tool_calls ?? []) as Json[];
      message.tool_calls = calls;
      for (const { index, function: told, ...rest } of value as Json[]) {
        const call = calls[index as number] ?? { function: { name: "", arguments: "" } };
        calls[index as number] = call;
        Object.assign(call, rest);
        const made = call.function as Json;
        const { name, arguments: piece, ...more } = told as Json;
        Object.assign(made, more);
        if (name) made.name = name;
        made.arguments = `${made.arguments}${piece ?? ""}`;
      }
    } else if (typeof value === "string" && field !== "role") message[field] = `${message[field] ?? ""}${value}`;
    else if (value !== null) message[field] = value;
  }
}

function putMessage(events: readonly Json[]): Json {
  let message: Json = {};
  const blocks: Json[] = [];
  const inputs: string[] = [];
  for (const { type, ...event } of events) {
    const index = event.index as number;
    if (type === "message_start") message = event.message as Json;
    if (type === "content_block_start") blocks[index] = { ...(event.content_block as Json) };
    if (type === "content_block_delta") {
      const { type: _type, ...delta } = event.delta as Json;
      const block = blocks[index] as Json;
      if ("partial_json" in delta) inputs[index] = `${inputs[index] ?? ""}${delta.partial_json}`;
      else for (const [field, value] of Object.entries(delta)) block[field] = `${block[field] ?? ""}${value}`;
    }
    if (type === "content_block_stop" && inputs[index]) (blocks[index] as Json).input = exactParse(inputs[index] as string);
    if (type === "message_delta") {
      Object.assign(message, event.delta);
      message.usage = { ...(message.usage as Json), ...(event.usage as Json) };
    }
  }
  return { ...message, content: blocks };
}

/** The same with what means nothing left out: fields that are null, and texts that are empty where there might be none. */
export function meaningOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(meaningOf);
  if (!isObject(value)) return value;
  const told = Object.entries(value).filter(
    ([field, inner]) => inner !== null && inner !== undefined && !(field === "content" && inner === ""),
  );
  return Object.fromEntries(told.map(([field, inner]) => [field, meaningOf(inner)]));
}

/** Where two values differ first; `undefined` where they do not. */
export function differenceOf(left: unknown, right: unknown, at = ""): string | undefined {
  if (left === right || (Number.isNaN(left) && Number.isNaN(right))) return undefined;
  const areAlike = typeof left === "object" && typeof right === "object" && Array.isArray(left) === Array.isArray(right);
  if (!areAlike || left === null || right === null) return `${at}: ${shown(left)} instead of ${shown(right)}`;
  for (const field of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const found = differenceOf((left as Json)[field], (right as Json)[field], `${at}.${field}`);
    if (found) return found;
  }
  return undefined;
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 300);
}
