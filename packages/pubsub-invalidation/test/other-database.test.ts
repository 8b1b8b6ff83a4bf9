import { type InvalidationBus, MemoryInvalidationBus } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { RedisCache } from "@larder/cache-redis";
import { type RedisServer, startRedisServer, waitUntil } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { Redis as Redis6 } from "ioredis-6";
import { afterEach, describe, expect, it } from "vitest";
import { type CoherentCache, createCoherentCache, RedisInvalidationBus } from "../src/index.ts";
import { WorkerBusHub } from "../src/worker.ts";

/** Deadlines that a busy machine does not run into. */
const PATIENT = { timeoutMs: 2_000, writeTimeoutMs: 2_000 };

const opened: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function startServer(): Promise<RedisServer> {
  const server = await startRedisServer();
  opened.push(() => server.stop());
  return server;
}

async function open(storeUrl: string, busUrl: string, lanes = 1): Promise<CoherentCache<string>> {
  const bus = new RedisInvalidationBus({ url: busUrl, heartbeatMs: 50 });
  const l2 = new RedisCache<string>({ url: storeUrl, namespace: "apart", lanes, ...PATIENT });
  const cache = createCoherentCache<string>({
    l1: new MemoryCache({ maxEntries: 100 }),
    l2,
    bus,
    namespace: "apart",
    maxStalenessMs: 300,
    backendBudgetMs: 2_000,
  });
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
  await waitUntil("b follows", async () => (await b.get("k", load)) === "new");
  await waitUntil("both say so", () => a.isDegraded && b.isDegraded);
});

// Regression: a client whose database was refused told an error and went on in database 0, which is somebody else's, and the bus kept its log there.
it.each([
  ["5", Redis],
  ["6", Redis6 as unknown as typeof Redis],
])("a bus whose database the server has not is away, and writes nothing into another one: ioredis %s", async (_, Client) => {
  const server = await startServer();
  const client = new Client({ port: server.port, db: 99, lazyConnect: true });
  const bus = new RedisInvalidationBus({ client, heartbeatMs: 20 });
  const cache = createCoherentCache<string>({ l1: new MemoryCache({ maxEntries: 100 }), bus, namespace: "apart" });
  opened.push(async () => {
    await cache.close();
    bus.close();
    client.disconnect();
  });
  // Two connections are refused once each; what comes after that is the one that writes, which tries again.
  const refused = async (): Promise<number> =>
    Number(/errorstat_ERR:count=(\d+)/.exec(String(await server.command("INFO", "errorstats")))?.[1]);
  await waitUntil("it was refused again", async () => (await refused()) > 2);
  expect(await cache.invalidate("k")).toMatchObject({ propagated: false });
  expect(await server.command("DBSIZE")).toBe(0);
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
  for (const key of keys) await waitUntil("b follows", async () => (await b.get(key, load)) === "new");
  await waitUntil("both say so", () => a.isDegraded && b.isDegraded);
});

/*
 * While the second tier was away, a cache whose bus was on another server counted that bus's proof, and nobody used it: what was invalidated waited for
 * the tier, and the others served it until its time to live was over.
 */
describe.each([
  ["on another server", async () => (await startServer()).url],
  ["on this machine", async () => new WorkerBusHub()],
])("a bus %s is told what the second tier cannot take", (_, createShared) => {
  const join = (shared: string | WorkerBusHub): InvalidationBus =>
    typeof shared === "string" ? new RedisInvalidationBus({ url: shared, heartbeatMs: 50 }) : shared.createBus({ heartbeatMs: 50 });

  it.each([
    ["has gone away", true],
    ["was never there", false],
  ])("that %s", async (_what, wasThere) => {
    const shared = await createShared();
    const server = await startServer();
    if (!wasThere) await server.kill();
    const [a, b] = [0, 1].map(() => {
      const bus = join(shared);
      const l2 = new RedisCache<string>({ url: server.url, namespace: "apart" });
      const parts = { l2, bus, namespace: "apart", maxStalenessMs: 60_000 };
      const cache = createCoherentCache<string>({ l1: new MemoryCache({ maxEntries: 100 }), ...parts });
      opened.push(() => l2.close());
      opened.push(() => bus.close());
      opened.push(() => cache.close());
      return { cache, l2 };
    }) as [{ cache: CoherentCache<string>; l2: RedisCache<string> }, { cache: CoherentCache<string>; l2: RedisCache<string> }];
    await Promise.all([a.cache.ready(), b.cache.ready()]);
    if (wasThere) {
      await Promise.all([a.l2.ready(), b.l2.ready()]);
      await a.cache.invalidate("k");
      await server.kill();
      await waitUntil("both know that it is gone", () => [a, b].every(({ l2 }) => l2.stats().isDegraded));
    }
    const changes: ReadonlyArray<(value: string) => unknown> = [
      () => a.cache.invalidate("k"),
      () => a.cache.invalidateTag("t"),
      () => a.cache.invalidateMatching("k*"),
      () => a.cache.invalidateAll(),
      (value) => a.cache.set("k", value),
    ];
    let value = "0";
    const load = async (): Promise<string> => value;
    for (const [index, change] of changes.entries()) {
      await waitUntil("b has it", async () => (await b.cache.get("k", load, { tags: ["t"] })) === value);
      value = String(index + 1);
      expect(await change(value)).not.toMatchObject({ propagated: true });
      await waitUntil("b follows", async () => (await b.cache.get("k", load, { tags: ["t"] })) === value, 2_000);
    }
  });
});

it("tells each once while the second tier is away, and again when it is back", async () => {
  const [server, other] = [await startServer(), await startServer()];
  const a = await open(server.url, other.url);
  const heard: string[] = [];
  const listener = new RedisInvalidationBus({ url: other.url, heartbeatMs: 50 });
  opened.push(() => listener.close());
  const nothing = { onReset: () => {}, onProof: () => {} };
  await listener.join("apart", { ...nothing, onInvalidation: ({ target }) => heard.push(target.kind) }).ready();
  await server.kill();
  await a.invalidate("k");
  await a.invalidateTag("t");
  await waitUntil("both are told", () => heard.length >= 2);
  // What waits is sent again at each proof.
  const { proofs } = listener.stats();
  await waitUntil("it was tried several times", () => listener.stats().proofs > proofs + 8);
  expect(heard.toSorted()).toEqual(["key", "tag"]);
  await server.start();
  await waitUntil("both are told again", () => heard.length >= 4, 10_000);
  expect(heard.toSorted()).toEqual(["key", "key", "tag", "tag"]);
});

it("drops what a second tier on its own server holds of a key, though that one cannot be reached", async () => {
  const server = await startServer();
  const a = await open(server.url, server.url);
  await a.get("k", async () => "old");
  const store = new RedisCache<string>({ url: server.url, namespace: "apart" });
  const bus = new RedisInvalidationBus({ url: server.url });
  const alone = createCoherentCache<string>({ l1: new MemoryCache({ maxEntries: 100 }), bus, namespace: "apart" });
  opened.push(
    () => store.close(),
    () => bus.close(),
    () => alone.close(),
  );
  await Promise.all([store.ready(), alone.ready()]);
  await waitUntil("it is stored", async () => (await store.get("k")) === "old");
  expect(await alone.invalidate("k")).toMatchObject({ propagated: true });
  expect(await store.get("k")).toBeUndefined();
  await waitUntil("a follows", async () => (await a.get("k", async () => "new")) === "new");
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
      const l2 = new RedisCache<string>({ url: server.url, namespace: "apart", ...PATIENT });
      const cache = createCoherentCache<string>({
        l1: new MemoryCache({ maxEntries: 100 }),
        l2,
        bus,
        namespace: "apart",
        maxStalenessMs: 60_000,
        backendBudgetMs: 2_000,
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
      await waitUntil("b follows", async () => (await b.get("k", load, { tags: ["t"] })) === value);
    }
  },
);
