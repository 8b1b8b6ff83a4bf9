import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { OpenAI as LlamaOpenAI } from "@llamaindex/openai";
import { embedMany, generateText, streamText } from "ai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bed, startBed } from "./support/start.ts";
import { vectorOf } from "./support/upstream.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
});
afterAll(() => bed.close());

const model = "fixture-model";

/** Upstream calls that an action costs when it is done twice. */
async function callsFor(action: () => Promise<unknown>): Promise<{ calls: number; answers: unknown[] }> {
  const before = bed.upstream.calls;
  const answers = [await action(), await action()];
  return { calls: bed.upstream.calls - before, answers };
}

describe("Vercel AI SDK", () => {
  it("generates and streams over /v1/responses, its default", async () => {
    const openai = createOpenAI({ baseURL: `${bed.url}/v1`, apiKey: "any" });
    const { calls, answers } = await callsFor(async () => (await generateText({ model: openai(model), prompt: "ai responses" })).text);
    expect([calls, answers[0]]).toEqual([1, answers[1]]);
    const streamed = await callsFor(() => Promise.resolve(streamText({ model: openai(model), prompt: "ai responses" }).text));
    expect([streamed.calls, streamed.answers]).toEqual([0, answers]);
  });

  it("generates, streams and embeds over the chat endpoint", async () => {
    const provider = createOpenAICompatible({ name: "larder", baseURL: `${bed.url}/v1`, includeUsage: true });
    const { calls, answers } = await callsFor(async () => {
      const result = streamText({ model: provider(model), prompt: "ai chat" });
      return [await result.text, (await result.usage).outputTokens];
    });
    expect([calls, answers[0]]).toEqual([1, answers[1]]);
    expect((await generateText({ model: provider(model), prompt: "ai chat" })).text).toBe((answers[0] as string[])[0]);
    const embedded = await callsFor(
      async () => (await embedMany({ model: provider.embeddingModel(model), values: ["ai a", "ai b"] })).embeddings,
    );
    expect([embedded.calls, embedded.answers[1]]).toEqual([1, [vectorOf("ai a"), vectorOf("ai b")]]);
  });
});

describe("LangChain", () => {
  const configuration = (): { baseURL: string } => ({ baseURL: `${bed.url}/v1` });

  it("invokes and streams from one entry", async () => {
    const chat = new ChatOpenAI({ model, apiKey: "any", configuration: configuration() });
    const { calls, answers } = await callsFor(async () => (await chat.invoke("langchain")).content);
    expect([calls, answers[0]]).toEqual([1, answers[1]]);
    let text = "";
    for await (const chunk of await chat.stream("langchain")) text += String(chunk.content);
    expect(text).toBe(answers[0]);
  });

  it("embeds documents", async () => {
    const embeddings = new OpenAIEmbeddings({ model, apiKey: "any", configuration: configuration() });
    const { calls, answers } = await callsFor(() => embeddings.embedDocuments(["langchain a", "langchain b"]));
    expect([calls, answers[1]]).toEqual([1, [vectorOf("langchain a"), vectorOf("langchain b")]]);
  });
});

describe("LlamaIndex", () => {
  it("chats, whole and streamed", async () => {
    const llm = new LlamaOpenAI({ model, apiKey: "any", baseURL: `${bed.url}/v1` });
    const messages = [{ role: "user" as const, content: "llama" }];
    const { calls, answers } = await callsFor(async () => (await llm.chat({ messages })).message.content);
    expect([calls, answers[0]]).toEqual([1, answers[1]]);
    let text = "";
    for await (const chunk of await llm.chat({ messages, stream: true })) text += chunk.delta;
    expect(text).toBe(answers[0]);
  });
});
