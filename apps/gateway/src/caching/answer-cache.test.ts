import { expect, it } from "vitest";
import { AnswerCache } from "./answer-cache.ts";
import { StoredAnswer } from "./stored-answer.ts";

it("counts what callers add to an answer into the room that it takes: its tags, and the model's name", async () => {
  const bytesOf = async (model: string, tags: readonly string[]): Promise<number> => {
    const cache = new AnswerCache({ maxEntries: 100, maxBytes: 1_000_000, ttlMs: 60_000 });
    const meta = { owner: "t", model, provider: "p", createdAt: Date.now(), ttlMs: 60_000, upstreamMs: 1, format: "json" } as const;
    await cache.set("key", new StoredAnswer(meta, Buffer.from("{}")), { ttlMs: 60_000, tags });
    const { bytes = 0 } = cache.stats();
    await cache.close();
    return bytes;
  };
  const bare = await bytesOf("m", []);
  const tags = Array.from({ length: 20 }, (_, index) => `tag:${index}`.padEnd(128, "x"));
  expect(await bytesOf("m", tags)).toBeGreaterThanOrEqual(bare + 20 * 128);
  expect(await bytesOf("m".repeat(512), [])).toBe(bare + 511);
});
