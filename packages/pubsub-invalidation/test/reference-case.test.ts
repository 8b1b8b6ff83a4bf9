import { CacheError, type Clock, type InvalidationBus, type StoredEntry, type TieredCacheOptions } from "@larder/cache-core";
import { MemoryCache } from "@larder/cache-memory";
import { freePort, ManualClock, startRedisServer, uniquePrefix, waitUntil } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterEach, describe, expect, it } from "vitest";
import { type CoherentCache, createCoherentCache, durationSetting, RedisInvalidationBus } from "../src/index.ts";

// The reference case: the credentials of compatible providers, cached by slot id, with invalidations over Redis pub/sub. S1.x in a title is
// what the system that is taken as a reference does, and ours does as well; W1.x is where it goes wrong, and ours does not.

interface Credentials {
  readonly baseUrl: string;
  readonly apiKey: string;
}

const credentials = (apiKey: string): Credentials => ({ baseUrl: "https://provider.example/v1", apiKey });
const url = process.env.REDIS_URL as string;
const opened: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

function busTo(redisUrl: string, keyPrefix: string): RedisInvalidationBus {
  const bus = new RedisInvalidationBus({ url: redisUrl, keyPrefix, heartbeatMs: 50 });
  opened.push(() => bus.close());
  return bus;
}

interface SlotCacheOptions extends Partial<TieredCacheOptions<Credentials | null>> {
  readonly values?: "shared" | "frozen";
  readonly maxEntries?: number;
}

function slotCache(bus?: InvalidationBus, options: SlotCacheOptions = {}): CoherentCache<Credentials | null> {
  const { values = "frozen", maxEntries = 100, clock, ...others } = options;
  const l1 = new MemoryCache<StoredEntry<Credentials | null>>({ maxEntries, values, ...(clock && { clock }) });
  // Longer than a busy machine keeps an answer waiting: no deadline plays a part here.
  const settings = { namespace: "slots", jitter: 0, backendBudgetMs: 5_000, ...others, ...(clock && { clock }), ...(bus && { bus }) };
  const cache = createCoherentCache<Credentials | null>({ l1, ...settings });
  opened.push(() => cache.close());
  return cache;
}

describe("without Redis (S1.9)", () => {
  const local = (clock: Clock = new ManualClock(), options: SlotCacheOptions = {}) => slotCache(undefined, { clock, ...options });

  it("S1.1: reads through: a miss calls the loader with the slot id, a hit answers at once", async () => {
    const cache = local();
    const asked: string[] = [];
    const load = ({ key }: { key: string }) => {
      asked.push(key);
      return credentials("k1");
    };
    expect(await cache.get("slot-1", load)).toEqual(credentials("k1"));
    expect(cache.get("slot-1", load)).toEqual(credentials("k1"));
    expect(asked).toEqual(["slot-1"]);
  });

  it("S1.2: keeps null as an answer", async () => {
    const cache = local();
    let loads = 0;
    const load = () => {
      loads += 1;
      return null;
    };
    expect(await cache.get("absent", load)).toBe(null);
    expect(cache.get("absent", load)).toBe(null);
    expect(loads).toBe(1);
  });

  it("S1.3: is fresh for its time to live, 60 s by default, and not longer", async () => {
    const clock = new ManualClock();
    const cache = local(clock);
    await cache.get("slot-1", () => credentials("k1"));
    clock.advance(59_999);
    expect(await cache.get("slot-1", () => credentials("k2"))).toEqual(credentials("k1"));
    clock.advance(1);
    expect(await cache.get("slot-1", () => credentials("k2"))).toEqual(credentials("k2"));
  });

  it("S1.4: drops the entry before invalidate has even returned", async () => {
    const cache = local();
    await cache.get("slot-1", () => credentials("k1"));
    const invalidated = cache.invalidate("slot-1");
    expect(cache.has("slot-1")).toBe(false);
    expect(await invalidated).toEqual({ propagated: true, pending: 0 });
    expect(cache.stats().invalidations).toBe(1);
  });

  it('S1.5, W1.9: invalidateAll drops everything, and "*" is a slot id like any other', async () => {
    const cache = local();
    for (const slot of ["*", "slot-1", "slot-2"]) await cache.get(slot, () => credentials(slot));
    await cache.invalidate("*");
    expect([cache.has("*"), cache.has("slot-1")]).toEqual([false, true]);
    await cache.invalidateAll();
    expect(cache.size()).toBe(0);
  });

  it("S1.8, S1.12: tells hits, misses and invalidations, and clear() tells nobody", async () => {
    const cache = local();
    await cache.get("slot-1", () => credentials("k1"));
    await cache.get("slot-1", () => credentials("k1"));
    await cache.invalidate("slot-1");
    await cache.clear();
    expect(cache.stats()).toMatchObject({ hits: 1, misses: 1, invalidations: 1, remoteInvalidations: 0, isDegraded: false });
  });

  it("S1.11, W1.4: passes a loader's failure on and keeps nothing of it, thrown or rejected", async () => {
    const cache = local();
    const failure = new Error("database away");
    const fail = () => {
      throw failure;
    };
    await expect((async () => cache.get("slot-1", fail))()).rejects.toBe(failure);
    await expect((async () => cache.get("slot-1", async () => fail()))()).rejects.toBe(failure);
    expect(await cache.get("slot-1", () => credentials("k1"))).toEqual(credentials("k1"));
  });

  it("W1.5: holds no more entries than it was allowed", async () => {
    const cache = local(undefined, { maxEntries: 10 });
    for (let index = 0; index < 1_000; index += 1) await cache.get(`slot-${index}`, () => credentials("k"));
    expect(cache.size()).toBeLessThanOrEqual(10);
  });

  it("W1.6: a caller cannot change what the others get", async () => {
    const cache = local();
    await cache.get("slot-1", () => credentials("k1"));
    const got = (await cache.get("slot-1")) as { apiKey: string };
    expect(() => {
      got.apiKey = "changed";
    }).toThrow(TypeError);
    expect(await cache.get("slot-1")).toEqual(credentials("k1"));
  });

  it("W1.7: refuses times to live that the reference misread", () => {
    for (const text of ["0", "-5", "60s", "1e3", "NaN", "60000.5", "0x10"]) {
      expect(() => durationSetting("COMPAT_CONFIG_CACHE_TTL_MS", text, 60_000), text).toThrow(
        expect.objectContaining({ code: "ERR_CACHE_INVALID_OPTION" }),
      );
    }
    expect(durationSetting("TTL_MS", undefined, 60_000)).toBe(60_000);
    expect(durationSetting("TTL_MS", " 10 ", 60_000)).toBe(10);
    expect(durationSetting("TTL_MS", "Infinity", 60_000)).toBe(Infinity);
    for (const ttlMs of [0, -5, Number.NaN, "60s" as unknown as number]) expect(() => local(undefined, { ttlMs })).toThrow(/ttlMs/);
  });

  it("W1.8: loads a slot once for all who wait, and drops a load that an invalidation overtook", async () => {
    const cache = local();
    let finish: (value: Credentials) => void = () => {};
    const slow = () => new Promise<Credentials>((resolve) => (finish = resolve));
    const waiting = [cache.get("slot-1", slow), cache.get("slot-1", () => credentials("never called"))];
    await Promise.resolve();
    const invalidated = cache.invalidate("slot-1");
    finish(credentials("old"));
    expect(await Promise.all(waiting)).toEqual([credentials("old"), credentials("old")]);
    await invalidated;
    expect(await cache.get("slot-1", () => credentials("new"))).toEqual(credentials("new"));
    expect(cache.stats()).toMatchObject({ coalesced: 1, rejectedFills: 1 });
  });

  it("W1.11: counts the time to live from the end of a load, however slow", async () => {
    const clock = new ManualClock();
    const cache = local(clock, { ttlMs: 1_000 });
    let finish: (value: Credentials) => void = () => {};
    const loading = cache.get("slot-1", () => new Promise<Credentials>((resolve) => (finish = resolve)));
    clock.advance(900);
    finish(credentials("k1"));
    await loading;
    clock.advance(999);
    expect(cache.get("slot-1")).toEqual(credentials("k1"));
  });
});

describe("with Redis", () => {
  it("S1.4, S1.6: an invalidation here drops the entry in another process", async () => {
    const prefix = uniquePrefix();
    const [a, b] = [slotCache(busTo(url, prefix)), slotCache(busTo(url, prefix))];
    await Promise.all([a.ready(), b.ready()]);
    await b.get("slot-1", () => credentials("old"));
    expect(await a.invalidate("slot-1")).toEqual({ propagated: true, pending: 0 });
    await waitUntil("b hears", () => b.stats().remoteInvalidations === 1);
    expect(await b.get("slot-1", () => credentials("new"))).toEqual(credentials("new"));
  });

  it("S1.7, S1.8: a process's own invalidation does not count as another's, and does not undo what it has since loaded", async () => {
    const prefix = uniquePrefix();
    const bus = busTo(url, prefix);
    const cache = slotCache(bus);
    await cache.ready();
    const sent = cache.invalidate("slot-1");
    await cache.get("slot-1", () => credentials("new"));
    await sent;
    await waitUntil("the echo", () => bus.stats().ownEchoes === 1);
    expect(cache.has("slot-1")).toBe(true);
    expect(cache.stats()).toMatchObject({ invalidations: 1, remoteInvalidations: 0 });
  });

  it("W1.1: subscribes in the order in which a program starts: cache first, Redis later (I24)", async () => {
    const port = await freePort();
    const address = `redis://127.0.0.1:${port}`;
    const [a, b] = [slotCache(busTo(address, "w11")), slotCache(busTo(address, "w11"))];
    expect(await b.get("slot-1", () => credentials("old"))).toEqual(credentials("old"));
    expect(b.stats().isDegraded).toBe(true);
    const server = await startRedisServer({ port });
    opened.push(() => server.stop());
    await Promise.all([a.ready(), b.ready()]);
    expect(await b.get("slot-1", () => credentials("2"))).toEqual(credentials("2"));
    await a.invalidate("slot-1");
    await waitUntil("b hears", () => b.stats().remoteInvalidations === 1);
    expect(b.has("slot-1")).toBe(false);
    expect(b.stats().isDegraded).toBe(false);
  });

  it("W1.2, W1.3: goes on after the connection was lost, and drops what was invalidated meanwhile, alone", async () => {
    const server = await startRedisServer();
    opened.push(() => server.stop());
    const [a, b] = [slotCache(busTo(server.url, "w13")), slotCache(busTo(server.url, "w13"))];
    await Promise.all([a.ready(), b.ready()]);
    for (const slot of ["missed", "untouched"]) await b.get(slot, () => credentials("old"));
    for (let round = 0; round < 3; round += 1) {
      await server.command("CLIENT", "KILL", "TYPE", "pubsub");
      await a.invalidate("missed");
      await waitUntil("b knows", () => !b.has("missed"));
      await b.get("missed", () => credentials(`${round}`));
    }
    expect(await b.get("untouched", () => credentials("loaded again"))).toEqual(credentials("old"));
  });

  it("W1.9: an invalidation that could not be sent is told, retried and delivered", async () => {
    const server = await startRedisServer();
    opened.push(() => server.stop());
    const [a, b] = [slotCache(busTo(server.url, "w19")), slotCache(busTo(server.url, "w19"))];
    await Promise.all([a.ready(), b.ready()]);
    await b.get("slot-1", () => credentials("old"));
    await server.kill();
    expect(await a.invalidate("slot-1")).toEqual({ propagated: false, pending: 1 });
    expect(a.stats().errors).toBeGreaterThan(0);
    await server.start();
    await waitUntil("b follows", async () => (await b.get("slot-1", () => credentials("new")))?.apiKey === "new");
    await waitUntil("nothing waits", async () => (await a.invalidate("other")).pending === 0);
  });

  it("W1.10: names are apart, and what Redis holds and sends are keys and never credentials (I9)", async () => {
    const prefix = uniquePrefix();
    const bus = busTo(url, prefix);
    const [ours, foreign] = [slotCache(bus), slotCache(bus, { namespace: "other" })];
    await Promise.all([ours.ready(), foreign.ready()]);
    await foreign.get("slot-1", () => credentials("kept"));
    const listener = new Redis(url);
    opened.push(() => listener.disconnect());
    const said: string[] = [];
    await listener.psubscribe(`${prefix}:*`);
    listener.on("pmessage", (_pattern, _channel, text: string) => said.push(text));
    await ours.get("slot-1", () => credentials("sk-secret"));
    await ours.invalidate("slot-1");
    await waitUntil("the message", () => said.some((text) => text.includes("slot-1")));
    expect(said.join()).not.toContain("sk-secret");
    expect(foreign.stats().remoteInvalidations).toBe(0);
    expect(foreign.get("slot-1")).toEqual(credentials("kept"));
  });

  it("S1.10: leaves nothing open after close, and refuses further use", async () => {
    const bus = busTo(url, uniquePrefix());
    const cache = slotCache(bus);
    await cache.ready();
    await cache.close();
    bus.close();
    expect(() => cache.get("slot-1")).toThrow(CacheError);
    expect(bus.stats().isConnected).toBe(false);
  });
});
