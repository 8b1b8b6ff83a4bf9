import { uniquePrefix } from "@larder/cache-testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Bed, startBed } from "./support/start.ts";
import { type Behaviour, FixtureUpstream } from "./support/upstream.ts";

/*
 * Two providers that keep what they have made, as OpenAI and Azure do, and know nothing of each other's ids.
 */

let bed: Bed;
let second: FixtureUpstream;
const routes = [
  { model: "elsewhere", targets: [{ provider: "second" }] },
  { model: "spread", targets: [{ provider: "openai" }, { provider: "second" }] },
  {
    model: "spread-with-fallback",
    targets: [{ provider: "openai" }, { provider: "second" }],
    fallbacks: [{ provider: "third" }],
  },
  { model: "failing", targets: [{ provider: "openai" }], fallbacks: [{ provider: "second" }] },
];
const settings = () => {
  const provider = (apiKey: string) => ({ baseUrl: second.url, apiKey });
  return { providers: { second: provider("sk-second"), third: provider("sk-third") }, routes };
};
beforeAll(async () => {
  second = await FixtureUpstream.start();
  bed = await startBed(settings());
});
beforeEach(() => {
  bed.upstream.behaviour = keeping("first");
  second.behaviour = keeping("second");
});
afterAll(async () => {
  await bed.close();
  await second.close();
});

/** Makes responses, tells them again, and refuses ids that are not its own. */
function keeping(name: string): Behaviour {
  let count = 0;
  return (seen, response) => {
    const tell = (status: number, body: unknown): boolean => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      return true;
    };
    const { previous_response_id: previous, input, conversation } = seen.body;
    const named = [previous, conversation, ...(Array.isArray(input) ? input : []).map(({ id }) => id), seen.path.split("/")[3]];
    const foreign = named.find((id) => id !== undefined && !String(id).includes(`_${name}_`));
    if (foreign !== undefined) return tell(404, { error: { message: `${foreign} not found`, type: "invalid_request_error" } });
    if (seen.path !== "/v1/responses")
      return tell(200, { id: named.at(-1), object: "response", status: "completed", output: [], usage: null });
    count += 1;
    const output = ["rs", "fc"].map((kind) => ({ id: `${kind}_${name}_${count}`, type: kind, summary: [] }));
    const made = { id: `resp_${name}_${count}`, object: "response", status: "completed", error: null, output, usage: null };
    if (!seen.body.stream) return tell(200, made);
    const events = ["created", "completed"].map((type) => ({ type: `response.${type}`, response: made }));
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(""));
    return true;
  };
}

/** Asks for a response. @returns its id, or what went wrong */
async function make(at: Bed, body: Record<string, unknown>): Promise<string> {
  const answer = await at.post("/v1/responses", body);
  const text = await answer.text();
  return answer.status === 200 ? (/resp_\w+/.exec(text)?.[0] ?? text) : `${answer.status} ${text}`;
}
const makerOf = (id: string): string | undefined => /^resp_(first|second)_/.exec(id)?.[1];

describe("a response of a routed provider", () => {
  it.each([
    ["through the cache", {}],
    ["kept", { store: true }],
    ["in the background", { background: true }],
    ["as a stream", { stream: true }],
    ["as a stream that is kept", { stream: true, store: true }],
  ])("is read, cancelled and deleted where it was made: %s", async (name, more) => {
    const id = await make(bed, { model: "elsewhere", input: name, ...more });
    expect(id).toMatch(/^resp_second_/);
    const asked = [
      ["GET", ""],
      ["GET", "/input_items"],
      ["POST", "/cancel"],
      ["DELETE", ""],
    ].map(async ([method = "", rest]) => (await fetch(`${bed.url}/v1/responses/${id}${rest}`, { method })).status);
    expect(await Promise.all(asked)).toEqual([200, 200, 200, 200]);
  });

  it("is asked for at the default upstream where nothing is known of it", async () => {
    expect((await fetch(`${bed.url}/v1/responses/resp_first_unknown`)).status).toBe(200);
    expect((await fetch(`${bed.url}/v1/responses/resp_second_unknown`)).status).toBe(404);
  });
});

describe("a request that goes on from a response", () => {
  it.each(["spread", "spread-with-fallback"])("goes to the provider that made it: %s", async (model) => {
    const makers = new Set<string | undefined>();
    for (let round = 0; round < 12; round += 1) {
      const first = await make(bed, { model, input: `begins ${model} ${round}`, store: round % 2 === 0 });
      const next = await make(bed, { model, input: `goes on ${round}`, previous_response_id: first });
      const last = await make(bed, { model, input: `goes on as a stream ${round}`, previous_response_id: next, stream: true });
      expect([first, next, last].map(makerOf)).toEqual(Array(3).fill(makerOf(first)));
      makers.add(makerOf(first));
    }
    expect([...makers].sort()).toEqual(["first", "second"]);
  });

  it.each(["rs", "fc"])("goes there when it names an item of it instead: %s", async (kind) => {
    for (let round = 0; round < 12; round += 1) {
      const first = await make(bed, { model: "spread", input: `begins an item ${kind} ${round}` });
      const item = { type: "item_reference", id: first.replace("resp", kind) };
      const next = await make(bed, { model: "spread", input: [{ role: "user", content: `item ${round}` }, item] });
      expect(makerOf(next)).toBe(makerOf(first));
    }
  });

  it("goes to the fallback that made it, when the first is back, and to nobody else when it is away", async () => {
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(503).end();
      return true;
    };
    const first = await make(bed, { model: "failing", input: "begins while the first is away" });
    bed.upstream.behaviour = keeping("first");
    expect(makerOf(await make(bed, { model: "failing", input: "goes on", previous_response_id: first }))).toBe("second");
    second.behaviour = (_seen, response) => {
      response.writeHead(503).end();
      return true;
    };
    expect(await make(bed, { model: "failing", input: "goes on again", previous_response_id: first })).toMatch(/^503 /);
  });

  it("is counted and made shorter there, too", async () => {
    for (const path of ["input_tokens", "compact"])
      for (let round = 0; round < 4; round += 1) {
        const previous = await make(bed, { model: "spread", input: `begins ${path} ${round}`, store: true });
        const calls = () => [bed.upstream, second].map(({ seen }) => seen.filter((each) => each.path.endsWith(path)).length);
        const before = calls();
        await bed.post(`/v1/responses/${path}`, { model: "spread", previous_response_id: previous });
        const grown = calls().map((count, index) => count - (before[index] as number));
        expect(grown).toEqual(makerOf(previous) === "first" ? [1, 0] : [0, 1]);
      }
  });

  it("goes to the default upstream in a conversation, which is made there", async () => {
    for (let round = 0; round < 8; round += 1)
      expect(makerOf(await make(bed, { model: "spread", input: `in one ${round}`, conversation: "conv_first_1" }))).toBe("first");
  });
});

it("is known to the other processes by Redis, and to one tenant alone", async () => {
  const one = await startBed({
    ...settings(),
    auth: "keys",
    openPaths: ["all"],
    redisUrl: process.env.REDIS_URL as string,
    redisPrefix: uniquePrefix(),
  });
  const other = await one.peer();
  try {
    const keys = await Promise.all(
      ["acme", "globex"].map(
        async (tenant) => ((await (await one.admin("POST", "/admin/keys", { tenant })).json()) as { key: string }).key,
      ),
    );
    const [acme, globex] = keys.map((key) => ({ authorization: `Bearer ${key}` }));
    for (const { upstream } of [one, other]) upstream.behaviour = keeping("first");
    let id = "";
    const read = async (headers: Record<string, string> | undefined): Promise<number> =>
      (await fetch(`${other.url}/v1/responses/${id}`, headers ? { headers } : {})).status;
    // Made anew each time: what is made before Redis is there is not known to the others.
    const makeAndRead = async (): Promise<number> => {
      const made = await one.post("/v1/responses", { model: "elsewhere", input: "known", store: true }, acme);
      id = ((await made.json()) as { id: string }).id;
      return read(acme);
    };
    await expect.poll(makeAndRead, { timeout: 10_000 }).toBe(200);
    expect(await read(globex)).toBe(404);
  } finally {
    await other.close();
    await one.close();
  }
});
