import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { type Bed, startBed } from "./support/start.ts";

let bed: Bed;
let client: OpenAI;
beforeAll(async () => {
  bed = await startBed();
  client = new OpenAI({ baseURL: `${bed.url}/v1`, apiKey: "any", maxRetries: 0 });
});
afterEach(() => {
  bed.upstream.behaviour = undefined;
});
afterAll(() => bed.close());

const sse = (events: ReadonlyArray<{ readonly type: string }>): string =>
  events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("");
const stream = (events: ReadonlyArray<{ readonly type: string }>): void => {
  bed.upstream.behaviour = (_seen, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).end(sse(events));
    return true;
  };
};

const LOOKS = { background: "opaque", output_format: "png", quality: "high", size: "1024x1024" } as const;
const USAGE = { input_tokens: 3, output_tokens: 5, total_tokens: 8, input_tokens_details: { image_tokens: 0, text_tokens: 3 } };
const partial = (index: number) =>
  ({ type: "image_generation.partial_image", b64_json: `part${index}`, created_at: 7, ...LOOKS, partial_image_index: index }) as const;
const COMPLETED = { type: "image_generation.completed", b64_json: "whole", created_at: 7, ...LOOKS, usage: USAGE } as const;
const request = (prompt: string) => ({ model: "gpt-image-1", prompt, partial_images: 2 }) as const;

it("a stream of images is stored when it has ended, told again with its partial images, and whole without them", async () => {
  const events = [partial(0), partial(1), COMPLETED];
  stream(events);
  const read = async (): Promise<{ verdict: string | null; heard: unknown[] }> => {
    const { data, response } = await client.images.generate({ ...request("a cat"), stream: true }).withResponse();
    const heard: unknown[] = [];
    for await (const event of data) heard.push(event);
    return { verdict: response.headers.get("x-larder-cache"), heard };
  };
  expect(await read()).toEqual({ verdict: "MISS", heard: events });
  expect(await read()).toEqual({ verdict: "HIT", heard: events });
  const { data, response } = await client.images.generate(request("a cat")).withResponse();
  expect(response.headers.get("x-larder-cache")).toBe("HIT");
  expect(data).toMatchObject({ created: 7, ...LOOKS, data: [{ b64_json: "whole" }], usage: USAGE });
  expect(Object.keys(data).filter((field) => field.includes("larder") || field === "type")).toEqual([]);
});

it("a stored image is told as a stream that shows it once", async () => {
  bed.upstream.behaviour = (_seen, response) => {
    const whole = { created: 7, ...LOOKS, data: [{ b64_json: "whole" }], usage: USAGE };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(whole));
    return true;
  };
  await client.images.generate(request("a dog"));
  const heard: unknown[] = [];
  for await (const event of await client.images.generate({ ...request("a dog"), stream: true })) heard.push(event);
  expect(heard).toEqual([COMPLETED]);
});

it.each([
  ["is cut", [partial(0)]],
  ["fails", [partial(0), { type: "error", error: { message: "moderated", type: "image_generation_user_error", code: "moderation" } }]],
])("a stream of images that %s is not stored", async (_how, events) => {
  stream(events);
  const ask = (): Promise<Response> => bed.post("/v1/images/generations", { ...request(`it ${_how}`), stream: true });
  for (let times = 0; times < 2; times += 1) {
    const response = await ask();
    expect([response.headers.get("x-larder-cache"), await response.text()]).toEqual(["MISS", sse(events)]);
  }
});

it("several images in one stream go past the cache", async () => {
  stream([COMPLETED, COMPLETED]);
  const response = await bed.post("/v1/images/generations", { ...request("cats"), n: 2, stream: true });
  expect([response.headers.get("x-larder-cache"), await response.text()]).toEqual(["BYPASS", sse([COMPLETED, COMPLETED])]);
});

it("a response's partial images are told again where they were, and are no part of the whole response", async () => {
  const item = { id: "ig_1", type: "image_generation_call", status: "completed", result: "whole" };
  const whole = {
    ...{ id: "resp_1", object: "response", created_at: 1, status: "completed", error: null, incomplete_details: null, model: "m" },
    ...{ output: [item], parallel_tool_calls: true, tool_choice: "auto", tools: [], usage: null },
  };
  const place = { item_id: "ig_1", output_index: 0 };
  const events = [
    { type: "response.created", response: { ...whole, status: "in_progress", output: [] } },
    { type: "response.in_progress", response: { ...whole, status: "in_progress", output: [] } },
    { type: "response.output_item.added", output_index: 0, item: { ...item, status: "in_progress", result: null } },
    { type: "response.image_generation_call.in_progress", ...place },
    { type: "response.image_generation_call.generating", ...place },
    { type: "response.image_generation_call.partial_image", ...place, partial_image_index: 0, partial_image_b64: "part0", ...LOOKS },
    { type: "response.image_generation_call.completed", ...place },
    { type: "response.output_item.done", output_index: 0, item },
    { type: "response.completed", response: whole },
  ].map((event, index) => ({ ...event, sequence_number: index }));
  stream(events);
  const request = { model: "m", input: "draw", tools: [{ type: "image_generation", partial_images: 1 }] };
  const read = async (): Promise<unknown[]> => {
    const text = await (await bed.post("/v1/responses", { ...request, stream: true })).text();
    return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data as string) as unknown);
  };
  expect(await read()).toEqual(events);
  expect(await read()).toEqual(events);
  const response = await bed.post("/v1/responses", request);
  expect([response.headers.get("x-larder-cache"), await response.json()]).toEqual(["HIT", whole]);
});
