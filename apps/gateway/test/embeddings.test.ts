import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bed, startBed } from "./support/start.ts";
import { vectorOf } from "./support/upstream.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
});
afterAll(() => bed.close());

interface Answer {
  readonly data: Array<{ index: number; embedding: number[] | string }>;
  readonly usage: { prompt_tokens: number; total_tokens: number };
}
const ask = (input: unknown, more: Record<string, unknown> = {}, headers: Record<string, string> = {}): Promise<Response> =>
  bed.post("/v1/embeddings", { model: "fixture-embedding", input, ...more }, headers);

describe("embeddings", () => {
  it("computes only what no batch has stored yet, and keeps the order", async () => {
    await ask(["one", "two"]);
    const response = await ask(["three", "two", "four", "one"]);
    expect(bed.upstream.seen.at(-1)?.body.input).toEqual(["three", "four"]);
    expect(response.headers.get("x-larder-cache-items")).toBe("2/4");
    const { data, usage } = (await response.json()) as Answer;
    expect(data.map((item) => item.embedding)).toEqual(["three", "two", "four", "one"].map(vectorOf));
    expect(data.map((item) => item.index)).toEqual([0, 1, 2, 3]);
    expect(usage).toEqual({ prompt_tokens: 15, total_tokens: 15 });
  });

  it("serves base64 and numbers from one entry", async () => {
    await ask("encoded", { encoding_format: "base64" });
    const before = bed.upstream.calls;
    const numbers = (await (await ask("encoded")).json()) as Answer;
    expect(numbers.data[0]?.embedding).toEqual(vectorOf("encoded"));
    const text = (await (await ask(["encoded"], { encoding_format: "base64" })).json()) as Answer;
    expect(text.data[0]?.embedding).toBe(Buffer.from(Float32Array.from(vectorOf("encoded")).buffer).toString("base64"));
    expect(bed.upstream.calls).toBe(before);
  });

  it("keeps other dimensions apart", async () => {
    await ask("sized");
    expect((await ask("sized", { dimensions: 2 })).headers.get("x-larder-cache")).toBe("MISS");
  });

  it("computes equal inputs of one request once, and concurrent equal requests once", async () => {
    const before = bed.upstream.calls;
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(["same", "same", "other"])));
    expect(bed.upstream.calls - before).toBe(1);
    expect(bed.upstream.seen.at(-1)?.body.input).toEqual(["same", "other"]);
    for (const answer of answers) expect(((await answer.json()) as Answer).data).toHaveLength(3);
  });

  it("does not store a batch that does not answer each input once", async () => {
    bed.upstream.behaviour = (_seen, response) => {
      const data = [
        { object: "embedding", index: 0, embedding: [1] },
        { object: "embedding", index: 0, embedding: [2] },
      ];
      response
        .writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify({ object: "list", data, model: "m", usage: { prompt_tokens: 1, total_tokens: 1 } }));
      return true;
    };
    expect((await ask(["twice", "index"])).status).toBe(502);
    bed.upstream.behaviour = undefined;
    expect((await ask(["twice", "index"])).headers.get("x-larder-cache")).toBe("MISS");
  });
});
