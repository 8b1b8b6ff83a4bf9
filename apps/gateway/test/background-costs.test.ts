import { uniquePrefix } from "@larder/cache-testing";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { type Bed, startBed } from "./support/start.ts";
import type { Behaviour } from "./support/upstream.ts";

/*
 * A response in the background costs something when it is finished, of which only whoever reads it then is told. Clients read it again and again.
 */

const USAGE = { input_tokens: 60, output_tokens: 50, total_tokens: 110 };
let bed: Bed;
let isFinished = false;
beforeAll(async () => {
  bed = await startBed({ auth: "keys", openPaths: ["all"] });
  bed.upstream.behaviour = keeping;
});
beforeEach(() => {
  isFinished = false;
});
afterAll(() => bed.close());

/** Makes responses in the background, and tells them again as they are by then. */
const keeping: Behaviour = (seen, response) => {
  const [id = `resp_${bed.upstream.calls}`] = /resp_\w+/.exec(seen.path) ?? [];
  const state = isFinished ? { status: "completed", usage: USAGE } : { status: "in_progress", usage: null };
  const told = { id, object: "response", ...state, output: [] };
  if (seen.body.stream || seen.path.includes("stream=true")) {
    const event = { type: isFinished ? "response.completed" : "response.created", sequence_number: 0, response: told };
    response.writeHead(200, { "content-type": "text/event-stream" }).end(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  } else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(told));
  return true;
};

async function makeKey(tokensPerMinute: number, at = bed): Promise<Record<string, string>> {
  const made = await at.admin("POST", "/admin/keys", { tenant: "spender", limits: { tokensPerMinute } });
  return { authorization: `Bearer ${((await made.json()) as { key: string }).key}` };
}
/** Asks for a response in the background, of which about 10 tokens of input are charged at once. @returns its path */
async function begin(key: Record<string, string>, more = {}, at = bed): Promise<string> {
  const answer = await at.post("/v1/responses", { model: "m", input: "x", background: true, ...more }, key);
  return `/v1/responses/${/resp_\w+/.exec(await answer.text())?.[0]}`;
}
async function read(path: string, key: Record<string, string>, method = "GET", at = bed): Promise<number> {
  const answer = await fetch(at.url + path, { method, headers: key });
  await answer.text();
  return answer.status;
}
it.each([
  ["read", "GET", "", {}],
  ["read as a stream", "GET", "?stream=true", {}],
  ["cancelled", "POST", "/cancel", {}],
  ["read, whose stream was cut off", "GET", "", { stream: true }],
])("charges a finished response once, however often it is %s", async (_name, method, rest, more) => {
  const key = await makeKey(200);
  const path = await begin(key, more);
  const statuses = [await read(path + rest, key), await read(path + rest, key)];
  isFinished = true;
  // 110 of 200 tokens: read twice, it would be too much.
  for (let round = 0; round < 4; round += 1) statuses.push(await read(path + rest, key, method));
  expect(statuses).toEqual(Array(6).fill(200));
  isFinished = false;
  const other = await begin(key);
  isFinished = true;
  expect(await read(other, key)).toBe(200);
  expect(await read(other, key)).toBe(429);
});

it("charges it once in a fleet, whoever reads it, by Redis", async () => {
  const one = await startBed({
    ...{ auth: "keys", openPaths: ["all"] },
    ...{ redisUrl: process.env.REDIS_URL as string, redisPrefix: uniquePrefix() },
  });
  const other = await one.peer();
  one.upstream.behaviour = keeping;
  /** What a key with so many tokens is told at last. */
  const lastOf = async (tokens: number, readers: readonly Bed[]): Promise<number | undefined> => {
    isFinished = false;
    const key = await makeKey(tokens, one);
    const path = await begin(key, {}, one);
    isFinished = true;
    let last: number | undefined;
    for (const at of readers) last = await read(path, key, "GET", at);
    return last;
  };
  try {
    // Tried again: what is made before Redis is there is not known to the others. Read again, too: it is charged when the answer has gone, and Redis has been asked.
    await expect.poll(() => lastOf(100, Array(6).fill(other)), { timeout: 10_000 }).toBe(429);
    expect(await lastOf(200, [other, one, other, one])).toBe(200);
  } finally {
    await other.close();
    await one.close();
  }
});
