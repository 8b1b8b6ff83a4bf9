import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bed, chat, startBed } from "./support/start.ts";

const path = resolve(import.meta.dirname, "../../../../shared/openai-openapi/openai-subset.json");
const hasSchemas = existsSync(path);
if (!hasSchemas) console.warn("skipped: OpenAI's schemas are not beside this repository");

describe.skipIf(!hasSchemas)("answers are valid by OpenAI's own schemas, live and from the cache", () => {
  let bed: Bed;
  let sandbox: Bed;
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  beforeAll(async () => {
    bed = await startBed();
    sandbox = await startBed({ openaiBaseUrl: undefined, openaiApiKey: undefined });
    ajv.addSchema(JSON.parse(readFileSync(path, "utf8")), "openai");
  });
  afterAll(async () => {
    await sandbox.close();
    await bed.close();
  });

  const problemsOf = (schema: string, answer: unknown): unknown => {
    const validate = ajv.getSchema(`openai#/$defs/${schema}`);
    expect(validate, schema).toBeDefined();
    return validate?.(answer) ? undefined : validate?.errors;
  };
  const post = async (where: Bed, endpoint: string, body: unknown): Promise<unknown> => (await where.post(endpoint, body)).json();

  it.each(["live", "from the cache"])("chat, completions, embeddings, models: %s", async () => {
    for (const where of [bed, sandbox]) {
      expect(problemsOf("CreateChatCompletionResponse", await post(where, "/v1/chat/completions", chat("valid")))).toBeUndefined();
      expect(problemsOf("CreateCompletionResponse", await post(where, "/v1/completions", { model: "m", prompt: "valid" }))).toBeUndefined();
      expect(problemsOf("CreateEmbeddingResponse", await post(where, "/v1/embeddings", { model: "m", input: ["valid"] }))).toBeUndefined();
      expect(problemsOf("ListModelsResponse", await (await fetch(`${where.url}/v1/models`)).json())).toBeUndefined();
    }
  });

  it.each(["live", "from the cache"])("chunks of chat streams, with tools and without: %s", async () => {
    for (const where of [bed, sandbox])
      for (const tools of [undefined, [{ type: "function", function: { name: "weather" } }]]) {
        const request = chat("valid stream", { stream: true, stream_options: { include_usage: true }, ...(tools ? { tools } : {}) });
        const text = await (await where.post("/v1/chat/completions", request)).text();
        const events = text
          .trim()
          .split("\n\n")
          .map((event) => event.slice(6));
        expect(events.pop()).toBe("[DONE]");
        for (const event of events) expect(problemsOf("CreateChatCompletionStreamResponse", JSON.parse(event))).toBeUndefined();
      }
  });

  it("a whole answer that was put together from a stream", async () => {
    for (const tools of [undefined, [{ type: "function", function: { name: "weather" } }]]) {
      const request = chat("valid whole", tools ? { tools } : {});
      await (await bed.post("/v1/chat/completions", { ...request, stream: true })).text();
      const response = await bed.post("/v1/chat/completions", request);
      expect(response.headers.get("x-larder-cache")).toBe("HIT");
      expect(problemsOf("CreateChatCompletionResponse", await response.json())).toBeUndefined();
    }
  });

  it("errors", async () => {
    expect(problemsOf("ErrorResponse", await post(bed, "/v1/chat/completions", "{"))).toBeUndefined();
  });
});
