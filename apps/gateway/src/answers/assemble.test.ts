import { describe, expect, it } from "vitest";
import { readSseEvent, SseSplitter } from "../sse/splitter.ts";
import { chatFamily } from "./chat.ts";
import { completionFamily } from "./completion.ts";
import type { AnswerFamily } from "./family.ts";
import { imageFamily } from "./image.ts";
import type { JsonObject } from "./json.ts";
import { messagesFamily } from "./messages.ts";
import { responsesFamily } from "./responses.ts";

/** What a stream of these chunks amounts to. */
function assemble(family: AnswerFamily, chunks: readonly JsonObject[]): JsonObject | undefined {
  const assembler = family.assemble();
  const end = family.kind === "messages" ? "" : "data: [DONE]\n\n";
  const text = `${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("")}${end}`;
  for (const event of new SseSplitter().push(Buffer.from(text))) assembler.push(readSseEvent(event));
  return assembler.finish();
}

const filtered = (severity: string): JsonObject => ({
  hate: { filtered: false, severity },
  custom_blocklists: [{ id: "b", filtered: false }],
});

describe("a chat stream put together", () => {
  const head = { id: "c", object: "chat.completion.chunk", created: 1, model: "m" };
  const chunk = (delta: JsonObject, more: JsonObject = {}, top: JsonObject = {}): JsonObject => ({
    ...head,
    ...top,
    choices: [{ index: 0, delta, finish_reason: null, ...more }],
  });
  const choiceOf = (answer: JsonObject | undefined): JsonObject => (answer as { choices: [JsonObject] }).choices[0];

  it("keeps the last word of what is told with every chunk, and nothing of the padding", () => {
    const answer = assemble(chatFamily, [
      { ...head, choices: [], prompt_filter_results: [{ prompt_index: 0, content_filter_results: filtered("safe") }], obfuscation: "x" },
      chunk({ role: "assistant", content: "" }, { content_filter_results: {} }, { obfuscation: "abc" }),
      chunk(
        { content: "ha" },
        { content_filter_results: filtered("safe"), content_filter_offsets: { check_offset: 1 } },
        { obfuscation: "de" },
      ),
      chunk({ content: "ha" }, { content_filter_results: filtered("safe"), content_filter_offsets: { check_offset: 2 } }),
      chunk({ content: "ha" }, { content_filter_results: filtered("low") }),
      chunk({}, { finish_reason: "stop", native_finish_reason: "STOP" }, { obfuscation: "f" }),
    ]);
    expect(answer).toEqual({
      ...head,
      object: "chat.completion",
      prompt_filter_results: [{ prompt_index: 0, content_filter_results: filtered("safe") }],
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "hahaha", refusal: null },
          logprobs: null,
          finish_reason: "stop",
          native_finish_reason: "STOP",
          content_filter_results: filtered("low"),
          content_filter_offsets: { check_offset: 2 },
        },
      ],
    });
  });

  it("joins texts that an upstream of its own kind tells in the delta, and in the calls, the audio and the reasoning within it", () => {
    const call = (more: JsonObject): JsonObject => ({ tool_calls: [{ index: 0, ...more }] });
    const answer = assemble(chatFamily, [
      chunk({
        role: "assistant",
        thoughts: "one ",
        reasoning_details: [{ index: 0, type: "reasoning.text", format: "f", text: "a", verdict: "safe" }],
      }),
      chunk({
        role: "assistant",
        thoughts: "two",
        reasoning_details: [{ index: 0, type: "reasoning.text", format: "f", text: "b", verdict: "safe" }],
      }),
      chunk({ reasoning_details: [{ index: 0, signature: "s" }], audio: { id: "au", data: "QQ", transcript: "h" } }),
      chunk({ audio: { id: "au", data: "==", transcript: "i" } }),
      chunk(
        call({ id: "t", type: "function", function: { name: "f", arguments: "{" }, extra_content: { google: { thought_signature: "x" } } }),
      ),
      chunk(call({ type: "function", function: { name: "f", arguments: "}" }, extra_content: { google: { thought_signature: "x" } } })),
      chunk({}, { finish_reason: "tool_calls" }),
    ]);
    expect(choiceOf(answer).message).toEqual({
      role: "assistant",
      content: null,
      refusal: null,
      thoughts: "one two",
      reasoning_details: [{ index: 0, type: "reasoning.text", format: "f", text: "ab", verdict: "safe", signature: "s" }],
      audio: { id: "au", data: "QQ==", transcript: "hi" },
      tool_calls: [
        { id: "t", type: "function", function: { name: "f", arguments: "{}" }, extra_content: { google: { thought_signature: "x" } } },
      ],
    });
  });

  it("keeps fields with the names of what every object has", () => {
    const more = JSON.parse('{"constructor":[1],"toString":null,"hasOwnProperty":"x","__proto__":{"a":1}}') as JsonObject;
    for (const family of [chatFamily, completionFamily]) {
      const told = {
        ...more,
        ...(family === chatFamily
          ? chunk({ content: "x" }, { finish_reason: "stop" })
          : { id: "c", choices: [{ index: 0, text: "x", finish_reason: "stop" }] }),
      };
      expect(JSON.stringify(assemble(family, [told]))).toContain(
        '"constructor":[1],"toString":null,"hasOwnProperty":"x","__proto__":{"a":1}',
      );
    }
  });

  it("gathers the tokens of all chunks", () => {
    const token = (text: string): JsonObject => ({ token: text, logprob: -1, bytes: [1], top_logprobs: [{ token: text, logprob: -1 }] });
    const answer = assemble(chatFamily, [
      chunk({ content: "a" }, { logprobs: { content: [token("a")], refusal: null } }),
      chunk({ content: "b" }, { logprobs: { content: [token("b")], refusal: null } }),
      chunk({}, { logprobs: null, finish_reason: "stop" }),
    ]);
    expect(choiceOf(answer).logprobs).toEqual({ content: [token("a"), token("b")], refusal: null });
  });
});

it("a stream of completions put together keeps the last word beside the text, and nothing of the padding", () => {
  const head = { id: "c", object: "text_completion", created: 1, model: "m" };
  const chunk = (text: string, finish: string | null, severity: string): JsonObject => ({
    ...head,
    obfuscation: "abc",
    choices: [{ index: 0, text, finish_reason: finish, logprobs: null, content_filter_results: filtered(severity) }],
  });
  expect(assemble(completionFamily, [chunk("a", null, "safe"), chunk("b", null, "safe"), chunk("", "stop", "low")])).toEqual({
    ...head,
    choices: [{ index: 0, text: "ab", finish_reason: "stop", logprobs: null, content_filter_results: filtered("low") }],
  });
});

it("a stream of messages put together keeps the counts of its beginning that its end does not tell, and takes those that it does", () => {
  const usage = { input_tokens: 9, cache_read_input_tokens: 100, cache_creation: { ephemeral_1h_input_tokens: 4 }, output_tokens: 1 };
  const told = { input_tokens: null, cache_read_input_tokens: null, cache_creation: null, server_tool_use: null, output_tokens: 12 };
  const answer = assemble(messagesFamily, [
    { type: "message_start", message: { type: "message", role: "assistant", model: "m", content: [], usage } },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: told },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { input_tokens: 10, output_tokens: 13 } },
    { type: "message_stop" },
  ]);
  expect(answer?.usage).toEqual({ ...usage, input_tokens: 10, server_tool_use: null, output_tokens: 13 });
});

it.each([true, false])(
  "a stream of messages that was cut in the input of a tool keeps it as a text, and is not stored (block ended: %s)",
  (hasEnded) => {
    const piece = (partial_json: string): JsonObject => ({
      type: "content_block_delta",
      index: 0,
      delta: { type: "input_json_delta", partial_json },
    });
    const answer = assemble(messagesFamily, [
      { type: "message_start", message: { type: "message", role: "assistant", model: "m", content: [], usage: { input_tokens: 9 } } },
      { type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "t", name: "w", input: {} } },
      ...[piece('{"city":'), piece('"Os')],
      ...(hasEnded ? [{ type: "content_block_stop", index: 0 }] : []),
      { type: "message_delta", delta: { stop_reason: "max_tokens" }, usage: { output_tokens: 7 } },
      { type: "message_stop" },
    ]) as JsonObject;
    expect(answer).toMatchObject({ content: [{ input: '{"city":"Os' }], usage: { input_tokens: 9, output_tokens: 7 } });
    expect(messagesFamily.refusalToStore(answer)).toBe("unfinished");
  },
);

describe("a stream of a response put together", () => {
  const item = (id: string): JsonObject => ({ id, type: "message", content: [{ type: "output_text", text: id, annotations: [] }] });
  const done = (index: number): JsonObject => ({ type: "response.output_item.done", output_index: index, item: item(`msg_${index}`) });
  const completed = (more: JsonObject): JsonObject => ({
    type: "response.completed",
    response: { object: "response", status: "completed", ...more },
  });

  it.each([{ output: [] }, { output: null }, {}])("has the items that it told one by one, where its end leaves them out: %j", (more) => {
    const answer = assemble(responsesFamily, [done(1), done(0), completed({ ...more, usage: { input_tokens: 1 } })]);
    expect(answer).toEqual({
      ...{ object: "response", status: "completed", usage: { input_tokens: 1 } },
      output: [item("msg_0"), item("msg_1")],
    });
    expect(responsesFamily.replay(answer as JsonObject, { includeUsage: false })).toContain('"delta":"msg_1"');
  });

  it("is not stored with a link to a file in its container, which is gone before the entry is", () => {
    const linked = (type: string): JsonObject => {
      const annotations = [{ type, container_id: "cntr_1", file_id: "cfile_1", filename: "chart.png" }];
      return {
        object: "response",
        status: "completed",
        output: [{ type: "message", content: [{ type: "output_text", text: "a", annotations }] }],
      };
    };
    expect(responsesFamily.refusalToStore(linked("container_file_citation"))).toBe("links-expire");
    expect(responsesFamily.refusalToStore(linked("file_citation"))).toBeUndefined();
  });

  it("has what its end tells, where that tells any; and nothing, where there was nothing", () => {
    expect(assemble(responsesFamily, [done(0), completed({ output: [item("msg_9")] })])?.output).toEqual([item("msg_9")]);
    expect(assemble(responsesFamily, [completed({ output: [] })])?.output).toEqual([]);
  });
});

describe("a stream is no whole answer", () => {
  const events = (...told: JsonObject[]): string[] => told.map((event) => `data: ${JSON.stringify(event)}\n\n`);
  const head = { id: "c", created: 1, model: "m" };
  const done = "data: [DONE]\n\n";
  const [failed, error] = ['data: {"error":{"message":"boom"}}\n\n', 'event: error\ndata: {"message":"boom"}\n\n'];
  const typed = 'data: {"type":"error","error":{"message":"boom"}}\n\n';
  const message = { type: "message", role: "assistant", model: "m", content: [], usage: { input_tokens: 1, output_tokens: 1 } };
  const whole: ReadonlyArray<readonly [string, AnswerFamily, readonly string[], readonly string[]]> = [
    [
      "chat",
      chatFamily,
      [...events({ ...head, choices: [{ index: 0, delta: { content: "a" }, finish_reason: "stop" }] }), done],
      [failed, error],
    ],
    [
      "completion",
      completionFamily,
      [...events({ ...head, choices: [{ index: 0, text: "a", finish_reason: "stop" }] }), done],
      [failed, error],
    ],
    [
      "messages",
      messagesFamily,
      events({ type: "message_start", message }, { type: "message_delta", delta: { stop_reason: "end_turn" } }, { type: "message_stop" }),
      [typed],
    ],
    ["response", responsesFamily, events({ type: "response.completed", response: { object: "response", status: "completed" } }), [typed]],
    ["image", imageFamily, events({ type: "image_generation.completed", b64_json: "aaaa", created_at: 1 }), [failed, typed, error]],
  ];
  const read = (family: AnswerFamily, stream: readonly string[]): JsonObject | undefined => {
    const assembler = family.assemble();
    for (const event of new SseSplitter().push(Buffer.from(stream.join("")))) assembler.push(readSseEvent(event));
    return assembler.finish();
  };

  it.each(whole)("of %s, when an error, broken JSON or no end is in it", (_, family, stream, errors) => {
    expect(read(family, stream)).toBeDefined();
    for (const broken of [...errors, "data: {nope\n\n"]) {
      expect(read(family, [broken, ...stream]), `first ${broken}`).toBeUndefined();
      expect(read(family, [...stream.slice(0, -1), broken, ...stream.slice(-1)]), broken).toBeUndefined();
    }
    expect(read(family, stream.slice(0, -1))).toBeUndefined();
  });

  it.each(whole.slice(0, 2))("of %s, when nothing but its end has come; an error of null is none", (_, family, stream) => {
    expect(read(family, stream.slice(-1))).toBeUndefined();
    expect(read(family, ['data: {"error":null,"choices":[]}\n\n', ...stream])).toBeDefined();
  });
});
