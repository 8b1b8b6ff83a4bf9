import { expect, it } from "vitest";
import { Secret } from "../security/secret.ts";
import type { UpstreamAnswer } from "../upstream/upstream.ts";
import { PassedAnswer } from "./passed-answer.ts";
import { estimateUsage } from "./token-estimate.ts";
import { UnkeptUsage } from "./unkept-usage.ts";

const pass = (type: string): PassedAnswer =>
  new PassedAnswer({ headers: { "content-type": type } } as unknown as UpstreamAnswer, [new Secret("sk-secret-0123456789")]);
const push = (passed: PassedAnswer, text: string): string => passed.push(Buffer.from(text)).join("");
const end = (passed: PassedAnswer): string => passed.end().join("");

it("sends white space on at once, which keeps a connection alive, and holds JSON until it is known not to be an error", () => {
  const passed = pass("application/json; charset=utf-8");
  expect([push(passed, " \n"), push(passed, '{"a":1,'), push(passed, '"b":2}')]).toEqual([" \n", "", ""]);
  expect(end(passed)).toBe('{"a":1,"b":2}');
});

it("sends a large body on as it comes", () => {
  const passed = pass("application/json");
  const large = `{"data":"${"x".repeat(70_000)}`;
  expect([push(passed, large), push(passed, '"}'), end(passed)]).toEqual([large, '"}', ""]);
});

it("reads the usage of an answer of any length, behind its numbers or before them", () => {
  const usage = { prompt_tokens: 9, prompt_tokens_details: { cached_tokens: 4 }, total_tokens: 9 };
  const data = `"data":[{"embedding":"${"A".repeat(9 * 1024 * 1024)}","text":${JSON.stringify('"usage":{"prompt_tokens":1}')}}]`;
  const told = `"usage" : ${JSON.stringify(usage)}`;
  for (const text of [
    `{${data},${told}}\n`,
    `{${told},${data}}`,
    `{${data},"usage":null,"more":1}`,
    `{${data},"usage":{"prompt_tokens":`,
  ]) {
    const passed = pass("application/json");
    for (let at = 0; at < text.length; at += 50_000) push(passed, text.slice(at, at + 50_000));
    end(passed);
    const read = text.includes(told) ? { inputTokens: 9, outputTokens: 0, cacheReadTokens: 4 } : undefined;
    expect(passed.usage).toEqual(read);
  }
});

it("reads both ends of what is too long, which tell of less at the beginning", () => {
  const read = new UnkeptUsage();
  read.push(Buffer.from('data: {"message":{"usage":{"input_tokens":50,"cache_read_input_tokens":7,"output_tokens":1}}}\n\n'));
  for (let megabyte = 0; megabyte < 9; megabyte += 1) read.push(Buffer.alloc(1024 * 1024, "x"));
  read.push(Buffer.from('data: {"usage":{"output_tokens":8}}\n\n'));
  expect(read.read()).toEqual({ inputTokens: 57, outputTokens: 8, cacheReadTokens: 7 });
});

it("reads the usage of a stream in an event that comes in pieces", () => {
  const passed = pass("text/event-stream");
  push(passed, 'event: response.completed\ndata: {"response":{"output":["');
  for (let megabyte = 0; megabyte < 17; megabyte += 1) push(passed, "x".repeat(1024 * 1024));
  push(passed, '"],"usage":{"input_tokens":5,"output_tokens":6000},"user":null}}\n\n');
  end(passed);
  expect(passed.usage).toEqual({ inputTokens: 5, outputTokens: 6000 });
});

it("sends what is neither JSON nor events on untouched", () => {
  const passed = pass("audio/mpeg");
  const text = '{"error":"sk-secret-0123456789","usage":{"input_tokens":1}}';
  expect([push(passed, text), end(passed), passed.usage, passed.estimate(Buffer.from("asked")), passed.mayChange]).toEqual([
    text,
    "",
    undefined,
    undefined,
    false,
  ]);
});

it("reads the usage of a stream in whichever event it stands, and estimates what a stream that was left has not told", () => {
  const start = 'event: message_start\ndata: {"message":{"usage":{"input_tokens":50,"output_tokens":1}}}\n\n';
  const passed = pass("text/event-stream");
  push(passed, start);
  for (let token = 0; token < 8; token += 1) push(passed, 'data: {"delta":"word "}\n\n');
  push(passed, ": keep-alive\n\n");
  expect([passed.usage, passed.estimate(Buffer.from("a short request"))]).toEqual([undefined, { inputTokens: 50, outputTokens: 9 }]);
  push(passed, 'event: message_delta\ndata: {"usage":{"output_tokens":8}}\n\n');
  end(passed);
  expect(passed.usage).toEqual({ inputTokens: 50, outputTokens: 8 });
});

it("estimates texts by their length, and not images and sounds in base64", () => {
  const words = Buffer.from("some words in a row ".repeat(200));
  const image = Buffer.from(`"data:image/png;base64,${"QUJD".repeat(100_000)}"`);
  const input = (request: Buffer): number => estimateUsage(request, { events: 0, bytes: 0 }).inputTokens;
  expect(input(words)).toBe(1_000);
  expect(input(image)).toBeLessThan(1_100);
  expect(estimateUsage(undefined, { events: 2, bytes: 10_000 }).outputTokens).toBeGreaterThan(2_000);
});

it("reads the usage of a stream that tells it in its last choice", () => {
  const passed = pass("text/event-stream");
  push(passed, 'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n');
  const usage = { prompt_tokens: 19, completion_tokens: 13, total_tokens: 32, cached_tokens: 12 };
  push(passed, `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop", usage }] })}\n\ndata: [DONE]\n\n`);
  end(passed);
  expect(passed.usage).toEqual({ inputTokens: 19, outputTokens: 13 });
});
