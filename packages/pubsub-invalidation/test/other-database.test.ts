import { type InvalidationBus, MemoryInvalidationBus } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import { startRedisServer, waitUntil } from "@larder/cache-testing";
import { afterEach, expect, it } from "vitest";
import { type CoherentCache, createCoherentCache, RedisInvalidationBus } from "../src/index.ts";
import { WorkerBusHub } from "../src/worker.ts";

const opened: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function open(storeUrl: string, busUrl: string, lanes = 1): Promise<CoherentCache<string>> {
  const bus = new RedisInvalidationBus({ url: busUrl, heartbeatMs: 50 });
  const l2 = new RedisCache<string>({ url: storeUrl, namespace: "apart", lanes });
  const cache = createCoherentCache<string>({ l1: new MemoryCache({ maxEntries: 100 }), l2, bus, namespace: "apart", maxStalenessMs: 300 });
  opened.push(async () => {
    await cache.close();
    bus.close();
    await l2.close();
  });
  await Promise.all([cache.ready(), l2.ready()]);
  return cache;
}

/*
 * What goes through a second tier is logged where the second tier is. Pub/sub knows no databases, so a bus on another one hears it, and looked
 * healthy: only what it missed it would never have found. Found by an audit.
 */
it("a bus on another database than the second tier's is no proof: what it misses is not served past the bound, and the cache says so", async () => {
  const server = await startRedisServer();
  opened.push(() => server.stop());
  const [a, b] = [await open(`${server.url}/3`, server.url), await open(`${server.url}/3`, server.url)];
  let value = "old";
  const load = async (): Promise<string> => value;
  await a.get("k", load);
  await waitUntil("b has it", async () => (await b.get("k", load)) === "old");
  await server.command("CLIENT", "KILL", "TYPE", "pubsub");
  value = "new";
  expect(await a.invalidate("k")).toMatchObject({ propagated: true });
  await waitUntil("b follows", async () => (await b.get("k", load)) === "new", 5_000);
  await waitUntil("both say so", () => a.isDegraded && b.isDegraded, 5_000);
});

it("a bus with fewer lanes than the second tier is none either, and is told what it would not hear", async () => {
  const server = await startRedisServer();
  opened.push(() => server.stop());
  const [a, b] = [await open(server.url, server.url, 4), await open(server.url, server.url, 4)];
  let value = "old";
  const load = async (): Promise<string> => value;
  const keys = Array.from({ length: 12 }, (_, index) => `k${index}`);
  for (const key of keys) await a.get(key, load);
  for (const key of keys) await waitUntil("b has it", async () => (await b.get(key, load)) === "old");
  value = "new";
  for (const key of keys) await a.invalidate(key);
  for (const key of keys) await waitUntil("b follows", async () => (await b.get(key, load)) === "new", 5_000);
  await waitUntil("both say so", () => a.isDegraded && b.isDegraded, 5_000);
});

it("on the same database it is, also after the server was emptied", async () => {
  const server = await startRedisServer();
  opened.push(() => server.stop());
  const [a, b] = [await open(`${server.url}/3`, `${server.url}/3`), await open(`${server.url}/3`, `${server.url}/3`)];
  await server.command("FLUSHALL");
  await waitUntil("both know of it", async () => {
    await Promise.all([a.get("k", async () => "value"), b.get("k", async () => "value")]);
    return [a, b].every((cache) => !cache.isDegraded);
  });
});

it.each([
  ["within this process", () => new MemoryInvalidationBus(), (bus: InvalidationBus) => bus],
  ["within this machine", () => new WorkerBusHub(), (hub: WorkerBusHub) => hub.createBus({ heartbeatMs: 50 })],
] as ReadonlyArray<[string, () => { close(): unknown }, (shared: never) => InvalidationBus]>)(
  "a bus %s is told what goes through the second tier, which publishes elsewhere",
  async (_, createShared, join) => {
    const server = await startRedisServer();
    const shared = createShared();
    opened.push(() => server.stop());
    opened.push(() => shared.close());
    const openOn = async (): Promise<CoherentCache<string>> => {
      const bus = join(shared as never);
      const l2 = new RedisCache<string>({ url: server.url, namespace: "apart" });
      const cache = createCoherentCache<string>({
        l1: new MemoryCache({ maxEntries: 100 }),
        l2,
        bus,
        namespace: "apart",
        maxStalenessMs: 60_000,
      });
      opened.push(async () => {
        await cache.close();
        await bus.close();
        await l2.close();
      });
      await Promise.all([cache.ready(), l2.ready()]);
      return cache;
    };
    const [a, b] = [await openOn(), await openOn()];
    const changes: ReadonlyArray<(value: string) => unknown> = [
      () => a.invalidate("k"),
      () => a.invalidateTag("t"),
      () => a.invalidateAll(),
      () => a.clear(),
      (value) => a.set("k", value),
    ];
    let value = "0";
    const load = async (): Promise<string> => value;
    for (const [index, change] of changes.entries()) {
      await waitUntil("b has it", async () => (await b.get("k", load, { tags: ["t"] })) === value);
      value = String(index + 1);
      await change(value);
      await waitUntil("b follows", async () => (await b.get("k", load, { tags: ["t"] })) === value, 2_000);
    }
  },
);
