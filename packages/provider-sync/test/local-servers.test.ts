import { ManualClock } from "@larder/cache-testing";
import { expect, it, onTestFinished } from "vitest";
import { type BodyFetcher, openAiCompatible, syncOnce } from "../src/index.ts";
import { createSqliteStore } from "../src/sqlite.ts";

it.each([
  ["by our clock", 0],
  ["by a clock that is an hour ahead", 3_600_000],
  ["by a clock that is an hour behind", -3_600_000],
])("a server that tells the time of each request as a model's release, %s, makes no version of it", async (_name, skewMs) => {
  const clock = new ManualClock();
  const store = await createSqliteStore({ path: ":memory:", clock });
  onTestFinished(() => store.close());
  let created = (): number => Math.floor((clock.wallNow() + skewMs) / 1000);
  const fetch: BodyFetcher = {
    fetchBody: async () => {
      const body = JSON.stringify({ object: "list", data: [{ id: "llama", object: "model", created: created(), owned_by: "vllm" }] });
      return { status: "ok", bytes: Buffer.from(body), validators: {} };
    },
  };
  const run = async (): Promise<string> => {
    clock.advance(600_000);
    return (await syncOnce({ sources: [openAiCompatible({ provider: "local", baseUrl: "http://host/v1" })], store, fetch, clock })).outcome;
  };
  const releasedAt = async (): Promise<number | undefined> => (await store.latest())?.content.layers[0]?.models[0]?.listing.releasedAt;
  expect(await run()).toBe("committed");
  const first = await releasedAt();
  for (let runs = 0; runs < 4; runs += 1) expect(await run()).toBe("unchanged");
  expect(await releasedAt()).toBe(first);

  // A release that is corrected is told as it is.
  created = () => 1_600_000_000;
  expect(await run()).toBe("committed");
  expect(await releasedAt()).toBe(1_600_000_000_000);
});
