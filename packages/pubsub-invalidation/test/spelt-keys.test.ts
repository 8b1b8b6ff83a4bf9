import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import { type RedisServer, startRedisServer, waitUntil } from "@larder/cache-testing";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { type CoherentCache, createCoherentCache, RedisInvalidationBus } from "../src/index.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(() => server.stop());
const opened: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function open(lanes: number, hasSecondTier: boolean): Promise<CoherentCache<string>> {
  const bus = new RedisInvalidationBus({ url: server.url, lanes, timeoutMs: 2_000 });
  const l1 = new MemoryCache<never>({ maxEntries: 100 });
  const l2 = hasSecondTier ? new RedisCache<string>({ url: server.url, namespace: "spelt", lanes, timeoutMs: 2_000 }) : undefined;
  const cache = createCoherentCache<string>({ l1, bus, namespace: "spelt", backendBudgetMs: 2_000, ...(l2 ? { l2 } : {}) });
  opened.push(async () => {
    await cache.close();
    bus.close();
    await l2?.close();
  });
  await Promise.all([cache.ready(), l2?.ready()]);
  return cache;
}

// A text cut in the middle of an emoji makes such keys. The second tier spelt them otherwise than the bus, and had them in another lane: the entry stayed.
it.each([1, 16])(
  "a process without a second tier drops keys with half a character from that of its peers, with %d lanes",
  async (lanes) => {
    const [reader, writer] = [await open(lanes, true), await open(lanes, false)];
    const keys = Array.from({ length: 20 }, (_, index) => `${"hello \u{1f600}".slice(0, 7)}${index}`);
    for (const key of keys) {
      await reader.set(key, "old");
      await writer.invalidate(key);
    }
    const areHeld = async (): Promise<boolean> =>
      (await Promise.all(keys.map((key) => reader.get(key)))).some((value) => value !== undefined);
    await waitUntil("none is held", async () => !(await areHeld()));
    const anew = await open(lanes, true);
    expect(await Promise.all(keys.map((key) => anew.get(key)))).toEqual(keys.map(() => undefined));
  },
);
