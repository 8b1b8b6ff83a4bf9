import { afterEach, beforeEach, expect, it } from "vitest";
import { type Bed, gate, startBed, until } from "./support/start.ts";

let bed: Bed;
let rest: ReturnType<typeof gate> | undefined;
beforeEach(async () => {
  rest = undefined;
  bed = await startBed();
  // As OpenAI's API does, it repeats what a request is labelled with.
  bed.upstream.behaviour = async ({ body }, response) => {
    const { metadata = {}, safety_identifier = null, user = null } = body;
    const output = [{ id: "msg_1", type: "message", role: "assistant", status: "completed", content: [] }];
    const whole = { id: "resp_1", object: "response", status: "completed", metadata, safety_identifier, user, output };
    if (!body.stream) {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(whole));
      return true;
    }
    const event = (type: string, status: string): string => `data: ${JSON.stringify({ type, response: { ...whole, status } })}\n\n`;
    response.writeHead(200, { "content-type": "text/event-stream" }).write(event("response.created", "in_progress"));
    await rest?.opened;
    response.end(event("response.completed", "completed"));
    return true;
  };
});
afterEach(() => bed.close());

const ask = (text: string, more: Record<string, unknown> = {}): Promise<Response> =>
  bed.post("/v1/responses", { model: "m", input: text, ...more });
const cacheOf = (response: Response): string | null => response.headers.get("x-larder-cache");
/** Every label in an answer, in however many events it is told. */
const labelsIn = (text: string): string[] => [...new Set(text.match(/"(metadata|safety_identifier|user)":(\{[^}]*\}|null|"\w*")/g))].sort();
const of = (who: string): Record<string, unknown> => ({ metadata: { who }, safety_identifier: who, user: who });
const told = (who: string): string[] => [`"metadata":{"who":"${who}"}`, `"safety_identifier":"${who}"`, `"user":"${who}"`];
const NOTHING = ['"metadata":{}', '"safety_identifier":null', '"user":null'];

it.each([
  [false, of("ann")],
  [true, of("ann")],
  [false, {}],
])("a response from the cache tells each caller its own labels (streamed at first: %s, with %j)", async (stream, first) => {
  await (await ask("labelled", { ...first, stream })).text();
  for (const isStream of [false, true]) {
    for (const [labels, expected] of [
      [of("ben"), told("ben")],
      [of("ann"), told("ann")],
      [{}, NOTHING],
      [{ metadata: null, user: null }, NOTHING],
    ] as const) {
      const hit = await ask("labelled", { ...labels, stream: isStream });
      expect([cacheOf(hit), labelsIn(await hit.text())]).toEqual(["HIT", expected]);
    }
  }
  expect(bed.upstream.calls).toBe(1);
});

it("those who share a call under way are told their own as well, and only one call is made", async () => {
  rest = gate();
  const answers = [of("ann"), of("ann"), of("ben"), {}].map((labels) => ask("shared", { ...labels, stream: true }));
  const [first, second] = await Promise.all(answers.slice(0, 2));
  const others = await Promise.race([Promise.all(answers.slice(2)), until(() => bed.upstream.calls === 1).then(() => undefined)]);
  expect(others).toBeUndefined();
  rest.open();
  const texts = await Promise.all(
    [first, second, ...answers.slice(2)].map(async (answer) => labelsIn(await ((await answer) as Response).text())),
  );
  expect(texts).toEqual([told("ann"), told("ann"), told("ben"), NOTHING]);
  expect(bed.upstream.calls).toBe(1);
});
