import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { createCachedFetch } from "../src/index.ts";
import { type Bed, chat, gate, startBed } from "./support/start.ts";
import { chatEvents } from "./support/upstream.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
});
afterEach(() => {
  bed.upstream.behaviour = undefined;
});
afterAll(() => bed.close());

/** Has the provider send its head at once and its body when it is told to. */
function think(): { speak(): void } {
  const thought = gate();
  bed.upstream.behaviour = async ({ body }, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    await thought.opened;
    response.end(chatEvents(body, 1).join(""));
    return true;
  };
  return { speak: thought.open };
}

const body = (text: string): Record<string, unknown> => chat(text, { stream: true });
const post = (text: string): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body(text)),
});

// A client waits for the head with one patience and for the rest with another: a model may think for minutes.
it.each([
  ["a stream", () => bed.post("/v1/chat/completions", body("think"))],
  ["a stream past the cache", () => bed.post("/v1/chat/completions", body("think apart"), { "cache-control": "no-store" })],
  ["another path of the API", () => bed.post("/v1/moderations", body("think again"))],
  ["a fetch with a cache", () => createCachedFetch()(`${bed.upstream.url}/chat/completions`, post("think here"))],
])("tells the head as soon as the provider does, and not with the first word: %s", async (_what, ask) => {
  const { speak } = think();
  const response = await ask();
  expect(response.status).toBe(200);
  speak();
  expect(await response.text()).toMatch(/^data: .*data: \[DONE\]\n\n$/s);
});
