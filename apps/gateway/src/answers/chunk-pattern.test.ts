import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chatFamily } from "./chat.ts";
import type { JsonObject } from "./json.ts";

const head = { id: "c", object: "chat.completion.chunk", created: 1, model: "m" };

function assemble(datas: readonly string[]): JsonObject | undefined {
  const assembler = chatFamily.assemble();
  for (const data of [...datas, "[DONE]"]) assembler.push({ name: "", data });
  return assembler.finish();
}

/** The same chunks, each laid out unlike the one before: none is known by the one before. */
const laidOut = (chunks: readonly JsonObject[]): string[] =>
  chunks.map((chunk, index) => `${" ".repeat(index)}${JSON.stringify(chunk, null, (index % 9) + 1)}`);

const text = fc.string({ unit: fc.constantFrom("a", " ", '"', "\\", "\n", "😀", ",", "}", '"content":"', "content") });
const delta = fc.oneof(
  { weight: 6, arbitrary: fc.record({ content: text }) },
  fc.record({ role: fc.constant("assistant"), content: text }),
  fc.record({ content: text, reasoning: text }),
  fc.record({ reasoning_content: text }),
  fc.constant({}),
  fc.constant({ content: null }),
);
const chunk = fc
  .record(
    {
      index: fc.constantFrom(0, 0, 0, 1),
      delta,
      logprobs: fc.constantFrom(null, null, { content: [{ token: "a" }] }),
      finish_reason: fc.constantFrom(null, null, null, "stop"),
      note: fc.constantFrom("a", { content: "x" }),
    },
    { requiredKeys: ["index", "delta"] },
  )
  .chain((choice) =>
    fc.record({ obfuscation: text, usage: fc.constantFrom(null, { total_tokens: 3 }, { total_tokens: 4 }) }, { requiredKeys: [] }).map(
      ({ usage, ...padding }): JsonObject => ({
        ...head,
        choices: usage?.total_tokens === 4 ? [] : [choice],
        ...(usage === undefined ? {} : { usage }),
        ...padding,
      }),
    ),
  );

describe("chunks that are known by the one before", () => {
  it("amount to the same as chunks that are read one by one", () => {
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 12 }), (chunks) => {
        expect(assemble(chunks.map((one) => JSON.stringify(one)))).toEqual(assemble(laidOut(chunks)));
      }),
    );
  });

  it.each([
    ["control character", "a\u0001"],
    ["quote", 'a"b'],
    ["escape that is none", "a\\x"],
  ])("are refused where they are no JSON: %s", (_name, piece) => {
    const [before, after] = JSON.stringify({ ...head, choices: [{ index: 0, delta: { content: "|" }, finish_reason: "stop" }] }).split("|");
    const told = (content: string): string => `${before}${content}${after}`;
    expect(assemble([told("a"), told("b")])).toMatchObject({ choices: [{ message: { content: "ab" } }] });
    expect(assemble([told("a"), told(piece), told("b")])).toBeUndefined();
  });

  it("are refused where one is cut before its end, padded or not", () => {
    for (const padding of [{}, { obfuscation: "a" }]) {
      const data = JSON.stringify({ ...head, choices: [{ index: 0, delta: { content: "a" }, finish_reason: "stop" }], ...padding });
      expect(assemble([data, data])).toMatchObject({ choices: [{ message: { content: "aa" } }] });
      const cuts = [data.slice(0, -1), `${data}}`, data.replace(',"obfuscation":"a"}', "")];
      for (const cut of cuts.filter((one) => one !== data)) expect(assemble([data, cut])).toBeUndefined();
    }
  });

  it("do not hide an error", () => {
    const data = JSON.stringify({ ...head, choices: [{ index: 0, delta: { content: "a" }, finish_reason: "stop" }] });
    const assembler = chatFamily.assemble();
    for (const event of [
      { name: "", data },
      { name: "error", data },
      { name: "", data: "[DONE]" },
    ])
      assembler.push(event);
    expect(assembler.finish()).toBeUndefined();
  });
});
