import { expect, it } from "vitest";
import { AnswerCache } from "../caching/answer-cache.ts";
import { StoredAnswer } from "../caching/stored-answer.ts";
import { SoloSurvey } from "../worker-survey.ts";
import type { AdminParts } from "./admin-parts.ts";
import { transferRoutes } from "./transfer-routes.ts";

it("gives others their turn while an export goes to a reader that never makes it wait", async () => {
  const answers = new AnswerCache({ maxEntries: 100, maxBytes: 64 * 1024 * 1024, ttlMs: 60_000 });
  const meta = { owner: "a", model: "m", provider: "p", createdAt: Date.now(), ttlMs: 60_000, upstreamMs: 1, format: "json" } as const;
  for (let entry = 0; entry < 64; entry += 1)
    await answers.set(`key ${entry}`, new StoredAnswer(meta, Buffer.alloc(64 * 1024, "x")), { ttlMs: 60_000, tags: [] });
  const parts = { answers, settings: {}, log: { info: () => undefined }, trust: { clientOf: () => ({}) } };
  const app = transferRoutes({ parts, store: { addAudit: async () => undefined }, survey: new SoloSurvey() } as unknown as AdminParts);
  const response = await app.request("/export");
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const { length } = await response.text();
  isOver = true;
  // Some 5.6 million characters, a turn for others after each 256 Ki.
  expect([length > 5_000_000, turns > 10]).toEqual([true, true]);
  await answers.close();
});
