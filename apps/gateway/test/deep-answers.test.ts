import { afterAll, beforeAll, expect, it } from "vitest";
import { type Bed, chat, startBed } from "./support/start.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
});
afterAll(() => bed.close());

/** Deeper than JSON can be written by recursion, and not too deep to be read. */
const DEEP = `${"[".repeat(60_000)}${"]".repeat(60_000)}`;
const WHOLE = `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi","deep":${DEEP}},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`;
const STREAM = `data: ${WHOLE.replace('"message"', '"delta"')}\n\ndata: [DONE]\n\n`;

it("tells an answer that is too deep to be written anew as the provider tells it, or refuses it: never stored and lost", async () => {
  let canStream = true;
  bed.upstream.behaviour = (seen, response) => {
    const isStream = seen.body.stream === true && canStream;
    response.writeHead(200, { "content-type": isStream ? "text/event-stream" : "application/json" });
    response.end(isStream ? STREAM : WHOLE);
    return true;
  };
  const ask = async (more: Record<string, unknown>, headers: Record<string, string> = {}): Promise<unknown[]> => {
    const response = await bed.post("/v1/chat/completions", chat("how deep?", more), headers);
    const text = await response.text();
    // Whole, they would fill many screens when they differ.
    const told = text === WHOLE ? "whole" : text === STREAM ? "stream" : text.includes("upstream_error") ? "error" : "other";
    return [response.status, response.headers.get("x-larder-cache"), told];
  };
  expect(await ask({})).toEqual([200, "MISS", "whole"]);
  expect(await ask({})).toEqual([200, "HIT", "whole"]);
  expect(await ask({ stream: true })).toEqual([200, "REFRESH", "stream"]);
  expect(await ask({ stream: true }, { "cache-control": "max-age=60" })).toEqual([200, "REFRESH", "stream"]);
  canStream = false;
  for (const more of [{ stream: true }, { stream: true, seed: 1 }]) {
    const [status, , told] = await ask(more);
    expect([status, told]).toEqual([502, "error"]);
  }
});
