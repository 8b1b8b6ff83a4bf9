import type { ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Bed, startBed } from "./support/start.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
});
afterEach(() => {
  bed.upstream.behaviour = undefined;
});
afterAll(() => bed.close());

const send = (response: ServerResponse, body: unknown): true => {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  return true;
};
const ask = async (input: unknown, more: Record<string, unknown> = {}): Promise<{ verdict: string | null; answer: Answer }> => {
  const response = await bed.post("/v1/embeddings", { model: "fixture-embedding", input, ...more });
  expect(response.status).toBe(200);
  return { verdict: response.headers.get("x-larder-cache"), answer: (await response.json()) as Answer };
};
interface Answer {
  readonly data: Array<{ readonly index: number; readonly embedding: unknown }>;
  readonly usage: unknown;
}

/** Numbers of every size that 32 bits hold, the smallest and the largest included. */
const VALUES = Float32Array.from({ length: 256 }, (_, index) => Math.sin(index * 12.9898) * 10 ** ((index % 75) - 37));
const BASE64 = Buffer.from(VALUES.buffer).toString("base64");

describe("embeddings in either encoding", () => {
  it("are the provider's own bytes in base64, whichever encoding was stored, and however it writes its numbers", async () => {
    const spellings = [
      () => BASE64,
      () => Array.from(VALUES),
      // The shortest decimals that lead to the same 32 bits: no such number is one of 32 bits itself.
      () => Array.from(VALUES, (value) => Number(value.toPrecision(9))),
    ];
    for (const [number, spelling] of spellings.entries()) {
      bed.upstream.behaviour = (_seen, response) => send(response, { data: [{ index: 0, embedding: spelling() }] });
      const first = await ask(`spelling ${number}`, { encoding_format: number === 0 ? "base64" : "float" });
      const second = await ask(`spelling ${number}`, { encoding_format: "base64" });
      expect([first.verdict, second.verdict, second.answer.data[0]?.embedding]).toEqual(["MISS", "HIT", BASE64]);
      const numbers = (await ask(`spelling ${number}`)).answer.data[0]?.embedding as number[];
      expect(Float32Array.from(numbers)).toEqual(VALUES);
    }
  });
});

describe("embeddings that are no 32-bit floats, or depend on their batch", () => {
  it.each([
    { encoding_format: "base64", output_dtype: "int8" },
    { encoding_format: "bytes" },
    { encoding_format: "float", embedding_type: "ubinary" },
    { encoding_format: "base64", embed_dtype: "bfloat16" },
    { encoding_format: "base64", endianness: "big" },
    { late_chunking: true },
    { return_multivector: true },
  ])("go past the cache, byte for byte: %o", async (more) => {
    const told = { object: "list", data: [{ index: 0, embedding: "AAECAw==", as: "it came" }], meta: { of: "the provider" } };
    bed.upstream.behaviour = (_seen, response) => send(response, told);
    for (let times = 0; times < 2; times += 1) expect(await ask("foreign", more)).toEqual({ verdict: "BYPASS", answer: told });
  });

  it("are cached where the field says what is so anyway", async () => {
    const more = { output_dtype: "float", late_chunking: false, encoding_format: null };
    expect([(await ask("plain", more)).verdict, (await ask("plain", more)).verdict]).toEqual(["MISS", "HIT"]);
  });
});

it("gives one embedding for each of several items that are objects", async () => {
  const { answer } = await ask([{ text: "first" }, { image: "second" }]);
  expect(answer.data.map(({ index }) => index)).toEqual([0, 1]);
  expect((await ask([{ image: "second" }])).verdict).toBe("HIT");
});

it("counts what a provider tells as a sum alone", async () => {
  bed.upstream.behaviour = (_seen, response) => send(response, { data: [{ index: 0, embedding: [1] }], usage: { total_tokens: 9 } });
  expect((await ask("a sum")).answer.usage).toEqual({ prompt_tokens: 9, total_tokens: 9 });
});
