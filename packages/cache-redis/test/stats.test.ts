import { expect, test } from "vitest";
import { call, openCache, plain } from "./support.ts";

test("who changes a snapshot's histogram changes no other cache's", async () => {
  const [cache, other] = [await openCache(), await openCache()];
  const bounds = [...other.stats().operations.set.boundsMs];
  expect(() => ((cache.stats().latency?.boundsMs as number[])[0] = 1_000)).toThrow(TypeError);
  expect(other.stats().operations.set.boundsMs).toEqual(bounds);
  await cache.close();
  await other.close();
});

test("lookup counts what it gives past its time as a stale hit, and get as a miss", async () => {
  const cache = await openCache<string>();
  const reservation = await cache.reserve("key", false, call());
  if (!reservation) throw new Error("no reservation");
  expect(await cache.fill(reservation, "value", { ...plain, ttlMs: 1, staleMs: 60_000 })).toBe("stored");
  await expect.poll(async () => (await cache.lookup("key")).status).toBe("stale");
  const before = cache.stats();
  expect(await cache.lookup("key")).toMatchObject({ status: "stale", value: "value" });
  expect(await cache.get("key")).toBe(undefined);
  const { hits, staleHits, misses } = cache.stats();
  expect([hits - before.hits, staleHits - before.staleHits, misses - before.misses]).toEqual([1, 1, 1]);
  await cache.close();
});
