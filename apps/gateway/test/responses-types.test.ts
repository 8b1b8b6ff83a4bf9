import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ITEM_KINDS } from "./support/response-items.ts";
import { type Bed, startBed } from "./support/start.ts";

/*
 * What the gateway answers at `/v1/responses`, checked by the compiler against the types of OpenAI's own client: the answers and events are
 * written into a module as literals of those types. A literal with a field too few, too many, or of another type does not compile.
 */

const root = resolve(import.meta.dirname, "..");
const folder = join(root, "node_modules/.test");
const file = join(folder, `responses-${process.pid}.mts`);
const compiler = join(root, "../../node_modules/typescript-native/bin/tsc");
const FLAGS = [
  "--ignoreConfig",
  "--noEmit",
  "--strict",
  "--skipLibCheck",
  "--exactOptionalPropertyTypes",
  "--target",
  "es2023",
  "--module",
  "nodenext",
  "--types",
  "node",
];

const HEAD = `import type { Response, ResponseStreamEvent } from "openai/resources/responses/responses";
// The client adds output_text itself: it is never on the wire. And the API sends null for the usage of what is not done.
type WireResponse = Omit<Response, "output_text" | "usage"> & Partial<Record<"usage", Response["usage"] | null>>;
type Wire<Event> = Event extends { response: Response } ? Omit<Event, "response"> & { response: WireResponse } : Event;
type WireEvent = Wire<ResponseStreamEvent>;
`;

/** A module in which each of these is a literal of its type. */
function moduleOf(answers: readonly unknown[], events: readonly unknown[]): string {
  const constant = (name: string, type: string, values: readonly unknown[]): string[] =>
    values.map((value, index) => `export const ${name}${index}: ${type} = ${JSON.stringify(value)};`);
  return [HEAD, ...constant("answer", "WireResponse", answers), ...constant("event", "WireEvent", events)].join("\n");
}

/** What the compiler finds wrong. */
function problemsIn(text: string): Promise<string> {
  writeFileSync(file, text);
  return new Promise((done) => {
    execFile(process.execPath, [compiler, ...FLAGS, file], { cwd: root }, (error, stdout) => done(error ? stdout || String(error) : ""));
  });
}

/** The events of a stream. */
function eventsIn(text: string): Array<Record<string, unknown>> {
  return text
    .trim()
    .split("\n\n")
    .map((event) => {
      const [, name = "", data = ""] = /^event: (.*)\ndata: (.*)$/.exec(event) ?? [];
      const parsed = JSON.parse(data) as Record<string, unknown>;
      expect(parsed.type).toBe(name);
      return parsed;
    });
}

/** One of every kind of item that is told in pieces, and one that is not. */
const OUTPUT = [
  {
    id: "rs_1",
    type: "reasoning",
    summary: [{ type: "summary_text", text: "thought about it" }],
    content: [{ type: "reasoning_text", text: "step by step" }],
    status: "completed",
  },
  { id: "ws_1", type: "web_search_call", status: "completed", action: { type: "search", query: "weather" } },
  { id: "fc_1", type: "function_call", call_id: "call_1", name: "weather", arguments: '{"city":"Oslo"}', status: "completed" },
  { id: "ctc_1", type: "custom_tool_call", call_id: "call_2", name: "shell", input: "ls -la" },
  {
    id: "msg_1",
    type: "message",
    role: "assistant",
    status: "completed",
    content: [
      {
        type: "output_text",
        text: "It is cold in Oslo.",
        annotations: [{ type: "url_citation", start_index: 0, end_index: 5, title: "Weather", url: "https://weather.example/" }],
        logprobs: [],
      },
      { type: "refusal", refusal: "Nothing more is said." },
    ],
  },
];

describe("/v1/responses, by the types of OpenAI's client", () => {
  let bed: Bed;
  let sandbox: Bed;
  beforeAll(async () => {
    mkdirSync(folder, { recursive: true });
    bed = await startBed();
    sandbox = await startBed({ openaiBaseUrl: undefined, openaiApiKey: undefined });
  });
  afterAll(async () => {
    rmSync(file, { force: true });
    await sandbox.close();
    await bed.close();
  });

  it("answers and events compile, live and from the cache, whole and streamed, of the sandbox and of a provider", async () => {
    const answers: unknown[] = [];
    const events: unknown[] = [];
    const ask = async (where: Bed, text: string, isStream: boolean, verdict: string): Promise<void> => {
      const response = await where.post("/v1/responses", { model: "m", input: text, ...(isStream ? { stream: true } : {}) });
      expect([text, response.status, response.headers.get("x-larder-cache")]).toEqual([text, 200, verdict]);
      if (isStream) events.push(...eventsIn(await response.text()));
      else answers.push(await response.json());
    };
    for (const where of [bed, sandbox])
      for (const isStreamFirst of [false, true]) {
        const text = `asked ${isStreamFirst ? "as a stream" : "whole"} first`;
        await ask(where, text, isStreamFirst, "MISS");
        await ask(where, text, isStreamFirst, "HIT");
        await ask(where, text, !isStreamFirst, "HIT");
      }
    const [template] = answers as [Record<string, unknown>];
    for (const status of ["completed", "incomplete"]) {
      const details = status === "incomplete" ? { reason: "max_output_tokens" } : null;
      bed.upstream.behaviour = (_seen, response) => {
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify({ ...template, output: OUTPUT, status, incomplete_details: details }));
        return true;
      };
      await ask(bed, `everything, ${status}`, false, "MISS");
      await ask(bed, `everything, ${status}`, true, "HIT");
    }
    for (const { item: told } of ITEM_KINDS) {
      // OpenAI's types know no status of these; the AI SDK has found that the API tells one.
      const item = told.type === "custom_tool_call" ? { ...told, status: undefined } : told;
      bed.upstream.behaviour = (_seen, response) => {
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ ...template, output: [item] }));
        return true;
      };
      await ask(bed, `a kind of item: ${item.type} ${item.id}`, true, "MISS");
    }
    bed.upstream.behaviour = undefined;
    const types = new Set(events.map((event) => (event as { type: string }).type));
    expect([...types].filter((type) => /arguments|input\.|refusal|annotation|summary|reasoning_text|incomplete/.test(type))).toHaveLength(
      16,
    );
    expect(await problemsIn(moduleOf(answers, events))).toBe("");
  });

  it("the check sees a field that is missing, of another type, or unknown", async () => {
    const [whole] = eventsIn(await (await bed.post("/v1/responses", { model: "m", input: "check", stream: true })).text()).slice(-1);
    const { response } = whole as { response: Record<string, unknown> };
    const { id: _, ...withoutId } = response;
    const broken = [withoutId, { ...response, created_at: "now" }, { ...response, status: "done" }, { ...response, made_up: 1 }];
    const problems = await problemsIn(moduleOf(broken, [{ ...whole, sequence_number: null }]));
    for (const name of ["answer0", "answer1", "answer2", "answer3", "event0"]) {
      const line = moduleOf(broken, [{ ...whole, sequence_number: null }])
        .split("\n")
        .findIndex((text) => text.startsWith(`export const ${name}:`));
      expect(problems, name).toContain(`(${line + 1},`);
    }
  });
});
