import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createOpenAI } from "@ai-sdk/openai";
import OpenAI from "openai";
import OpenAI4 from "openai-4";
import OpenAI5 from "openai-5";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ITEM_KINDS, type ItemKind, liveEventsOf } from "./support/response-items.ts";
import { type Bed, startBed } from "./support/start.ts";

/*
 * What clients make of a live stream they must make of its replay: the same calls of their listeners, the same parts, the same final object. How a
 * text is cut into pieces is nobody's business, so neighbouring pieces of one text count as one.
 */

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
});
afterAll(() => bed.close());

type Told = Record<string, unknown>;

/** What one request tells, live and then from the cache. */
async function liveAndReplayed<T>(events: string, ask: (verdicts: string[], nonce: string) => Promise<T>): Promise<[live: T, replayed: T]> {
  bed.upstream.behaviour = (_seen, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).end(events);
    return true;
  };
  const verdicts: string[] = [];
  const nonce = crypto.randomUUID();
  try {
    const told: [T, T] = [await ask(verdicts, nonce), await ask(verdicts, nonce)];
    expect(verdicts).toEqual(["MISS", "HIT"]);
    return told;
  } finally {
    bed.upstream.behaviour = undefined;
  }
}

/** A fetch that notes what the cache said. */
const noting =
  (verdicts: string[]): typeof fetch =>
  async (...call) => {
    const response = await fetch(...call);
    verdicts.push(response.headers.get("x-larder-cache") ?? "none");
    return response;
  };

/** Joins neighbouring pieces of one text. */
function joinPieces(told: readonly Told[]): Told[] {
  const joined: Told[] = [];
  for (const { sequence_number: _, snapshot: __, ...one } of told) {
    const last = joined.at(-1);
    if (!last || typeof one.delta !== "string" || last.type !== one.type || last.item_id !== one.item_id || last.id !== one.id) {
      joined.push(one);
      continue;
    }
    last.delta = `${last.delta}${one.delta}`;
    if (Array.isArray(last.logprobs)) last.logprobs = [...last.logprobs, ...(one.logprobs as unknown[])];
  }
  return joined;
}

const nameOf = ({ item }: ItemKind): string => `${item.type} ${item.id}`;

describe("/v1/responses", () => {
  it("the kinds of items tried are those that OpenAI's client knows", () => {
    const declared = readFileSync(join(import.meta.dirname, "../node_modules/openai/resources/responses/responses.d.ts"), "utf8");
    const kindOf = (name: string): string | undefined => {
      const [, base, members = ""] =
        new RegExp(`interface ${name}(?: extends (\\w+))? \\{\\n([\\s\\S]*?)\\n( {4})?\\}`).exec(declared) ?? [];
      return / type: '(\w+)'/.exec(members)?.[1] ?? (base && kindOf(base));
    };
    const [, union = ""] = /export type ResponseOutputItem = ([^;]+);/.exec(declared) ?? [];
    const kinds = union.split("|").map((name) => kindOf(name.trim().split(".").at(-1) as string));
    expect(kinds.length).toBeGreaterThan(20);
    expect([...new Set(ITEM_KINDS.map(({ item }) => item.type))].sort()).toEqual([...kinds].sort());
  });

  const clients = [
    ["openai 4", OpenAI4 as unknown as typeof OpenAI],
    ["openai 5", OpenAI5 as unknown as typeof OpenAI],
    ["openai 6", OpenAI],
  ] as const;
  it.each(clients)(
    "%s: its stream helper hears the same events of every kind of item, and ends with the same response",
    async (_, Client) => {
      for (const kind of ITEM_KINDS) {
        const [live, replayed] = await liveAndReplayed(liveEventsOf(kind), async (verdicts, input) => {
          const client = new Client({ baseURL: `${bed.url}/v1`, apiKey: "any", fetch: noting(verdicts) });
          const heard: Told[] = [];
          const stream = client.responses.stream({ model: "m", input });
          stream.on("event", (event) => heard.push(structuredClone(event) as unknown as Told));
          const final = await stream.finalResponse();
          return { heard: joinPieces(heard), final };
        });
        expect(replayed, nameOf(kind)).toEqual(live);
        expect(live.heard.at(-1)?.type).toBe("response.completed");
      }
    },
  );

  it("the AI SDK makes the same parts of every kind of item, and no error", async () => {
    for (const kind of ITEM_KINDS) {
      const [live, replayed] = await liveAndReplayed(liveEventsOf(kind), async (verdicts, text) => {
        const model = createOpenAI({ baseURL: `${bed.url}/v1`, apiKey: "any", fetch: noting(verdicts) }).responses("m");
        const prompt = [{ role: "user" as const, content: [{ type: "text" as const, text }] }];
        const { stream } = await model.doStream({ prompt });
        const parts: Told[] = [];
        for await (const part of stream as unknown as AsyncIterable<Told>) {
          // Made up by the SDK, anew each time.
          if (kind.item.type === "mcp_approval_request") delete part.toolCallId;
          if (part.type === "source") delete part.id;
          parts.push(part);
        }
        return joinPieces(parts);
      });
      expect(replayed, nameOf(kind)).toEqual(live);
      expect(
        live.filter((part) => part.type === "error"),
        nameOf(kind),
      ).toEqual([]);
    }
  });
});
