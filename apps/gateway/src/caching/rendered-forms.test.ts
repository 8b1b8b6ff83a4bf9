import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { chatFamily } from "../answers/chat.ts";
import { type Form, RenderedForms } from "./rendered-forms.ts";
import { StoredAnswer } from "./stored-answer.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const STREAM: Form = { isStream: true, includeUsage: false, isZeroUsage: false };
const WITH_USAGE: Form = { ...STREAM, includeUsage: true };

function answerOf(content: string): StoredAnswer {
  const answer = {
    id: "c",
    object: "chat.completion",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
  };
  const meta = { owner: "t", model: "m", provider: "p", createdAt: Date.now(), ttlMs: 1_000, upstreamMs: 1, format: "json" } as const;
  return new StoredAnswer(meta, Buffer.from(JSON.stringify(answer)));
}

it("keeps no answer alive that the cache has let go of, whether its forms are kept or were dropped for room", async () => {
  const size = new RenderedForms(1_000_000).render(answerOf("0"), chatFamily, STREAM)?.length as number;
  const forms = new RenderedForms(size * 8);
  const seen = Array.from({ length: 50 }, (_, index) => {
    const answer = answerOf(String(index % 10));
    forms.render(answer, chatFamily, STREAM);
    return new WeakRef(answer);
  });
  // What a reference has been made to stays until the turn is over.
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  expect(seen.filter((reference) => reference.deref() !== undefined)).toEqual([]);
});

it("drops the forms rendered longest ago when there is no more room, one by one", () => {
  const [first, second] = [answerOf("1"), answerOf("2")];
  const probe = new RenderedForms(1_000_000);
  const [plain, withUsage] = [STREAM, WITH_USAGE].map((form) => probe.render(answerOf("1"), chatFamily, form)?.length as number);
  const forms = new RenderedForms((plain as number) + (withUsage as number) * 5 - 1);
  const told = (answer: StoredAnswer, form: Form): Buffer => forms.render(answer, chatFamily, form) as Buffer;
  const oldest = told(first, STREAM);
  const newer = told(first, WITH_USAGE);
  for (let index = 0; index < 3; index += 1) told(answerOf("3"), WITH_USAGE);
  expect([told(first, STREAM), told(first, WITH_USAGE)]).toEqual([oldest, newer]);
  expect(told(first, STREAM)).toBe(oldest);
  told(second, WITH_USAGE);
  expect(told(first, WITH_USAGE)).toBe(newer);
  expect(told(first, STREAM)).not.toBe(oldest);
});
