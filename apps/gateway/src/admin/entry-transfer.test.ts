import { partitionOf } from "@larder/cache-core/keys";
import { expect, it } from "vitest";
import { AnswerCache } from "../caching/answer-cache.ts";
import { StoredAnswer } from "../caching/stored-answer.ts";
import { SoloSurvey } from "../worker-survey.ts";
import { EntryTransfer } from "./entry-transfer.ts";

const body = Buffer.from('{"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]}');

function lineOf(owner: string): string {
  const meta = { owner, model: "m", provider: "p", createdAt: Date.now(), ttlMs: 60_000, upstreamMs: 1, format: "json" } as const;
  const key = `1:${partitionOf(owner)}:chat:m:${"0".repeat(64)}`;
  const entry = new StoredAnswer(meta, body).encode().toString("base64");
  return JSON.stringify({ key, tags: [], expiresAt: Date.now() + 60_000, entry });
}

it("takes from another process's import nothing that was dropped here while it was under way", async () => {
  const answers = new AnswerCache({ maxEntries: 100, maxBytes: 1024 * 1024, ttlMs: 60_000 });
  const survey = new SoloSurvey();
  new EntryTransfer(answers, survey, false);
  const hear = (importId: string, lines: readonly string[], isOver = false): Promise<unknown> =>
    survey.ask("import", { process: 0, importId, lines, isOver });
  const owners = (): string[] => [...answers.entries()].map(({ answer }) => answer.meta.owner).sort();
  await hear("first", []);
  await answers.invalidateTag("tenant:ann");
  await hear("first", [lineOf("ann"), lineOf("bob")]);
  expect(owners()).toEqual(["bob"]);
  await hear("first", [], true);
  await hear("second", [lineOf("ann")]);
  expect(owners()).toEqual(["ann", "bob"]);
  await hear("second", [], true);
  await answers.close();
});
