import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readSseEvent, SseSplitter } from "../sse/splitter.ts";
import { chatFamily } from "./chat.ts";
import { completionFamily } from "./completion.ts";
import type { AnswerFamily } from "./family.ts";
import type { JsonObject } from "./json.ts";
import { messagesFamily } from "./messages.ts";
import { responsesFamily } from "./responses.ts";

/** What a client, or we ourselves, make of a replayed answer. */
function roundTrip(family: AnswerFamily, answer: JsonObject): JsonObject | undefined {
  const assembler = family.assemble();
  for (const event of new SseSplitter().push(Buffer.from(family.replay(answer, { includeUsage: true }))))
    assembler.push(readSseEvent(event));
  return assembler.finish();
}

const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 400 });
const toolCall = fc.record({
  id: fc.string({ unit: fc.constantFrom("a", "1", "_"), minLength: 4 }),
  type: fc.constant("function"),
  function: fc.record({ name: fc.constant("f"), arguments: text }),
});

describe("replays", () => {
  it("of chat answers add up to the answer: text, reasoning, tool calls, log probabilities, usage", () => {
    const choice = fc.record({
      content: text,
      reasoning: text,
      calls: fc.array(toolCall, { minLength: 1, maxLength: 3 }),
      tokens: fc.array(text, { minLength: 1, maxLength: 5 }),
      isTokens: fc.boolean(),
    });
    fc.assert(
      fc.property(choice, ({ content, reasoning, calls, tokens, isTokens }) => {
        const logprobs = { content: tokens.map((token) => ({ token, logprob: -0.5, bytes: null, top_logprobs: [] })), refusal: null };
        const message = {
          role: "assistant",
          content: isTokens ? tokens.join("") : content,
          refusal: null,
          reasoning_content: reasoning,
          tool_calls: calls,
        };
        const choices = [{ index: 0, message, logprobs, finish_reason: "tool_calls" }];
        const answer = {
          id: "c",
          object: "chat.completion",
          created: 1,
          model: "m",
          choices,
          usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
        };
        expect(roundTrip(chatFamily, answer)).toEqual(answer);
      }),
    );
  });

  it("of completions add up to the answer, its choices in their order, and tell usage to whoever asked for it", () => {
    const logprobs = { tokens: ["two"], token_logprobs: [-0.5], top_logprobs: null, text_offset: [0] };
    const answer = {
      id: "c",
      object: "text_completion",
      created: 1,
      model: "m",
      system_fingerprint: "fp",
      choices: [
        { index: 0, text: "one and more of it, in many words, so that it comes in pieces", logprobs: null, finish_reason: "length" },
        { index: 1, text: "two", logprobs, finish_reason: "stop", content_filter_results: { hate: "safe" } },
        { index: 2, text: "", logprobs: null, finish_reason: "stop" },
      ],
      usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    };
    const { usage, choices, ...head } = answer;
    expect(roundTrip(completionFamily, answer)).toEqual(answer);
    expect(roundTrip(completionFamily, { ...answer, choices: choices.toReversed() })).toEqual(answer);
    const chunks = (includeUsage: boolean) =>
      new SseSplitter()
        .push(Buffer.from(completionFamily.replay(answer, { includeUsage })))
        .map((event) => readSseEvent(event).data as string);
    const [told, withUsage] = [chunks(false), chunks(true)];
    expect([told.at(-1), withUsage.at(-1)]).toEqual(["[DONE]", "[DONE]"]);
    expect(told.join("\n")).not.toContain("usage");
    expect(JSON.parse(withUsage.at(-2) as string)).toEqual({ ...head, choices: [], usage });
    for (const chunk of withUsage.slice(0, -2)) expect(JSON.parse(chunk)).toMatchObject({ ...head, usage: null, choices: [{}] });
  });

  it("of messages add up to the message: text with citations, thinking with its signature, tool input", () => {
    fc.assert(
      fc.property(
        text,
        text,
        fc.dictionary(fc.string({ unit: fc.constantFrom("a", "b", "ü"), minLength: 1 }), fc.jsonValue()),
        (thinking, said, input) => {
          const content = [
            { type: "thinking", thinking, signature: "sig" },
            { type: "text", text: said, citations: [{ type: "char_location", start: 1 }] },
            { type: "tool_use", id: "t", name: "f", input: JSON.parse(JSON.stringify(input)) as JsonObject },
          ];
          const answer = {
            id: "m",
            type: "message",
            role: "assistant",
            model: "m",
            content,
            stop_reason: "tool_use",
            stop_sequence: null,
            usage: { input_tokens: 1, output_tokens: 2 },
          };
          expect(roundTrip(messagesFamily, answer)).toEqual(answer);
        },
      ),
    );
  });

  it("of responses end with the whole response, and their deltas add up to its text", () => {
    const part = { type: "output_text", text: "some words 😀 and more of them", annotations: [], logprobs: [] };
    const output = [
      { type: "reasoning", id: "r", summary: [{ type: "summary_text", text: "why" }] },
      { type: "message", id: "i", role: "assistant", status: "completed", content: [part] },
    ];
    const answer = { id: "r", object: "response", status: "completed", error: null, output, usage: null };
    expect(roundTrip(responsesFamily, answer)).toEqual(answer);
    const deltas = [
      ...responsesFamily.replay(answer, { includeUsage: true }).matchAll(/output_text\.delta"[^\n]*"delta":("(?:[^"\\]|\\.)*")/g),
    ];
    expect(deltas.map((match) => JSON.parse(match[1] as string) as string).join("")).toBe(part.text);
  });
});
