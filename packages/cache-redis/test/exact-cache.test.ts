import { systemClock, TieredCache } from "@larder/cache-core";
import { ExactCache } from "@larder/cache-core/keys";
import { NaiveCache, uniquePrefix } from "@larder/cache-testing";
import { expect, test } from "vitest";
import { openCache } from "./support.ts";

const request = { model: "small", messages: [{ role: "user", content: "hello" }] };

test("a cache by request drops a response from a bare RedisCache, whose own invalidate takes targets", async () => {
  const store = await openCache<string>();
  const cache = new ExactCache<string>(store, { endpoint: "chat" });
  expect(await cache.put(request, "answer")).toBe(true);
  expect(await cache.get({ messages: request.messages, model: "small" })).toBe("answer");
  expect(await cache.invalidate(request)).toBe(true);
  expect(await cache.get(request)).toBe(undefined);
  expect(await cache.invalidate(request)).toBe(false);
  await store.close();
});

test("the same over tiers drops it in both, for other processes too", async () => {
  const keyPrefix = uniquePrefix();
  const [l2, other] = [await openCache<string>({ keyPrefix }), await openCache<string>({ keyPrefix })];
  const tiered = new TieredCache<string>({ l1: new NaiveCache({ clock: systemClock }), l2, backendBudgetMs: 2_000 });
  const cache = new ExactCache<string>(tiered);
  const elsewhere = new ExactCache<string>(other);
  await cache.put(request, "answer");
  expect(await elsewhere.get(request)).toBe("answer");
  expect(await cache.invalidate(request)).toBe(true);
  expect([await cache.get(request), await elsewhere.get(request)]).toEqual([undefined, undefined]);
  await tiered.close();
  await Promise.all([l2.close(), other.close()]);
});
