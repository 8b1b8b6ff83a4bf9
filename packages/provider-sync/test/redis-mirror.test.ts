import { ManualClock, startFaultProxy, startRedisServer, uniquePrefix } from "@larder/cache-testing";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type CurrentHead, encodeContent, type Mirror, rollBack, type SnapshotContent, syncOnce } from "../src/index.ts";
import { createRedisMirror } from "../src/redis-mirror.ts";
import { createSqliteStore } from "../src/sqlite.ts";
import { listing, listings, ScriptedSource } from "./support/listings.ts";
import { poll } from "./support/poll.ts";

let redis: Redis;
let keyPrefix: string;
let mirror: Mirror;
beforeAll(() => {
  redis = new Redis(process.env.REDIS_URL ?? "");
});
afterAll(() => redis.disconnect());
beforeEach(() => {
  keyPrefix = uniquePrefix("mirror");
  mirror = createRedisMirror({ client: redis, keyPrefix });
});

const mirrorKey = (): string => `${keyPrefix}:{catalog.0}:mirror`;

function contentOf(version: number): SnapshotContent {
  const models = Array.from({ length: 50 }, (_, index) => ({
    listing: listing(`m${index}`, { input: version, output: version }),
    firstSeenAt: 1,
  }));
  return { layers: [{ source: "script", models, providers: [], endpoints: [] }], quarantine: [], acceptances: [] };
}

async function versionOf(
  version: number,
  lineage = "000000000000001-aa",
): Promise<readonly [CurrentHead, () => ReturnType<typeof encodeContent>]> {
  const encoded = await encodeContent(contentOf(version));
  const head = {
    lineage,
    version,
    createdAt: version,
    checkedAt: version,
    digest: encoded.digest,
    reason: "sync" as const,
    modelCount: 50,
  };
  return [head, async () => encoded];
}

describe("RedisMirror", () => {
  it("is empty before the first write, and gives back what was written", async () => {
    expect(await mirror.head()).toBeUndefined();
    expect(await mirror.latest()).toBeUndefined();
    expect(await mirror.write(...(await versionOf(1)))).toBe("written");
    expect(await mirror.latest()).toMatchObject({ version: 1, modelCount: 50, content: contentOf(1) });
  });

  it("never goes back: an older version that comes late is refused, in whatever order writes overlap (I12, seeds W4.4)", async () => {
    const versions = await Promise.all([3, 1, 5, 2, 4].map((version) => versionOf(version)));
    const outcomes = await Promise.all(versions.map(([head, content]) => mirror.write(head, content)));
    expect(outcomes[2]).toBe("written");
    expect(await mirror.head()).toMatchObject({ version: 5 });
    expect(await mirror.write(...(await versionOf(4)))).toBe("refused");
    expect(await mirror.latest()).toMatchObject({ version: 5, content: contentOf(5) });
  });

  it("has what was changed by hand, at once and told of, and made of what other runs committed meanwhile", async () => {
    const clock = new ManualClock();
    const store = await createSqliteStore({ path: ":memory:", clock });
    onTestFinished(() => store.close());
    const source = new ScriptedSource(listings(100));
    await syncOnce({ sources: [source], store, clock, mirror });
    source.tell([...listings(100), listing("extra")]);
    await syncOnce({ sources: [source], store, clock, mirror });
    const told: number[] = [];
    const publisher = { publish: async (version: number) => void told.push(version), close: async () => {} };
    const commit = store.commit.bind(store);
    // A run commits between what the rollback reads and what it writes.
    store.commit = async (input) => {
      store.commit = commit;
      source.tell([...listings(100), listing("another")]);
      await syncOnce({ sources: [source], store, clock });
      return commit(input);
    };
    expect(await rollBack(1, { store, mirror, publisher, clock })).toMatchObject({ version: 4, reason: "rollback" });
    expect(await mirror.latest()).toMatchObject({ version: 4, modelCount: 100, content: (await store.state()).content });
    expect(told).toEqual([4]);
    store.commit = async () => ({ outcome: "conflict" });
    await expect(rollBack(2, { store, mirror, publisher, clock })).rejects.toMatchObject({ code: "ERR_CACHE_BACKEND" });
    expect([await mirror.head(), told]).toMatchObject([{ version: 4 }, [4]]);
  });

  it("follows a store that was restored from a backup: an older version, confirmed when the newer one had long not been, by a clock that can be right", async () => {
    const hourMs = 3_600_000;
    await mirror.write(...(await versionOf(5)));
    const [head, content] = await versionOf(3);
    expect(await mirror.write({ ...head, checkedAt: hourMs }, content)).toBe("refused");
    expect(await mirror.write({ ...head, checkedAt: Date.now() + hourMs }, content)).toBe("refused");
    expect(await mirror.write({ ...head, checkedAt: 2 * hourMs }, content)).toBe("written");
    expect(await mirror.latest()).toMatchObject({ version: 3, checkedAt: 2 * hourMs, content: contentOf(3) });
    expect(await mirror.write({ ...head, checkedAt: 3 * hourMs }, content)).toBe("current");
    expect(await mirror.head()).toMatchObject({ version: 3, checkedAt: 3 * hourMs });
  });

  it("refuses a run that was overtaken between its look and its write", async () => {
    const [head] = await versionOf(1);
    const overtaken = mirror.write(head, async () => {
      await mirror.write(...(await versionOf(2)));
      return encodeContent(contentOf(1));
    });
    expect(await overtaken).toBe("refused");
    expect(await mirror.latest()).toMatchObject({ version: 2, content: contentOf(2) });
  });

  it("never shows the head of one version with the body of another, while versions are written without pause", async () => {
    const reader = new Redis(process.env.REDIS_URL ?? "");
    onTestFinished(() => reader.disconnect());
    const reading = createRedisMirror({ client: reader, keyPrefix });
    await mirror.write(...(await versionOf(1)));
    let isWriting = true;
    const writing = (async () => {
      for (let version = 2; version <= 60; version += 1) await mirror.write(...(await versionOf(version)));
      isWriting = false;
    })();
    const seen: number[] = [];
    while (isWriting) {
      const snapshot = await reading.latest();
      expect(new Set(snapshot?.content.layers[0]?.models.map((model) => model.listing.usdPerMillion.input))).toEqual(
        new Set([snapshot?.version]),
      );
      seen.push(snapshot?.version ?? 0);
    }
    await writing;
    expect(seen.length).toBeGreaterThan(5);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  it("prefers the later store when the store was made anew, and refuses the earlier one from then on", async () => {
    await mirror.write(...(await versionOf(70, "000000000000001-aa")));
    expect(await mirror.write(...(await versionOf(1, "000000000000002-00")))).toBe("written");
    expect(await mirror.write(...(await versionOf(71, "000000000000001-aa")))).toBe("refused");
    expect(await mirror.head()).toMatchObject({ version: 1 });
  });

  it("forgets what no run renews, and every run renews (seeds W4.5)", async () => {
    const [head, content] = await versionOf(1);
    await createRedisMirror({ client: redis, keyPrefix, ttlMs: 60_000 }).write(head, content);
    const first = await redis.pttl(mirrorKey());
    expect(first).toBeGreaterThan(50_000);
    expect(first).toBeLessThanOrEqual(60_000);
    await redis.pexpire(mirrorKey(), 1000);
    expect(await createRedisMirror({ client: redis, keyPrefix, ttlMs: 60_000 }).write({ ...head, checkedAt: 99 }, content)).toBe("current");
    expect(await redis.pttl(mirrorKey())).toBeGreaterThan(50_000);
    expect(await mirror.head()).toMatchObject({ version: 1, checkedAt: 99 });
  });

  it.each([1500.5, Number.POSITIVE_INFINITY])("takes a time to live of %s ms, though Redis takes whole ones alone", async (ttlMs) => {
    const [head, content] = await versionOf(1);
    const own = createRedisMirror({ client: redis, keyPrefix, ttlMs });
    expect(await own.write(head, content)).toBe("written");
    expect(await own.write(head, content)).toBe("current");
    expect(await redis.pttl(mirrorKey())).toBeGreaterThan(0);
  });

  it("lets a confirmation by a clock that was far ahead give way to the next one, and one by mere skew stay", async () => {
    const [head, content] = await versionOf(1);
    const hourMs = 3_600_000;
    await mirror.write({ ...head, checkedAt: 30 * 24 * hourMs }, content);
    await mirror.write({ ...head, checkedAt: hourMs }, content);
    expect(await mirror.head()).toMatchObject({ version: 1, checkedAt: hourMs });
    await mirror.write({ ...head, checkedAt: hourMs - 1000 }, content);
    expect(await mirror.head()).toMatchObject({ version: 1, checkedAt: hourMs });
  });

  it.each([
    ["a body that is no gzip", (key: string) => redis.hset(key, "body", "garbage")],
    ["a body of another digest", async (key: string) => redis.hset(key, "body", Buffer.from((await encodeContent(contentOf(9))).body))],
  ])("takes %s for an error, drops it, and the next run repairs it (I8)", async (_name, damage) => {
    const [head, content] = await versionOf(1);
    await mirror.write(head, content);
    await damage(mirrorKey());
    await expect(mirror.latest()).rejects.toMatchObject({ code: "ERR_CACHE_CODEC" });
    expect(await mirror.head()).toBeUndefined();
    expect(await mirror.write(head, content)).toBe("written");
  });

  it("replaces a foreign value under its key", async () => {
    await redis.set(mirrorKey(), "not a hash");
    await expect(mirror.head()).rejects.toMatchObject({ code: "ERR_CACHE_BACKEND" });
    expect(await mirror.write(...(await versionOf(1)))).toBe("written");
  });

  it("works again through the same client when Redis was away and is back (seeds W4.8)", async () => {
    const server = await startRedisServer();
    const client = new Redis(server.port, "127.0.0.1", { retryStrategy: () => 20 });
    client.on("error", () => {});
    onTestFinished(async () => {
      client.disconnect();
      await server.stop();
    });
    const own = createRedisMirror({ client, keyPrefix, timeoutMs: 300 });
    expect(await own.write(...(await versionOf(1)))).toBe("written");
    await server.kill();
    expect(await own.write(...(await versionOf(2)))).toBe("failed");
    await server.start();
    await poll(async () => own.write(...(await versionOf(2)))).toMatch(/written|current/);
    expect(await own.latest()).toMatchObject({ version: 2 });
  });

  it("answers failed, in bounded time, when Redis hangs (seeds W4.8), and an effect that comes late does no harm", async () => {
    const server = await startRedisServer();
    const proxy = await startFaultProxy(server.port);
    const client = new Redis(proxy.port, "127.0.0.1");
    client.on("error", () => {});
    onTestFinished(async () => {
      client.disconnect();
      await proxy.close();
      await server.stop();
    });
    const slow = createRedisMirror({ client, keyPrefix, timeoutMs: 150 });
    await slow.write(...(await versionOf(1)));
    await proxy.set({ kind: "stall" });
    expect(await slow.write(...(await versionOf(2)))).toBe("failed");
    await expect(slow.head()).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    const direct = new Redis(server.port, "127.0.0.1");
    onTestFinished(() => direct.disconnect());
    const other = createRedisMirror({ client: direct, keyPrefix });
    expect(await other.write(...(await versionOf(3)))).toBe("written");
    await proxy.set({ kind: "pass" });
    await poll(() => slow.head()).toMatchObject({ version: 3 });
  });

  it("does not fail the run that has already committed, and the next run repairs the mirror (seeds W4.3)", async () => {
    const store = await createSqliteStore({ path: ":memory:" });
    onTestFinished(() => store.close());
    const source = new ScriptedSource(listings(100));
    const broken: Mirror = { ...mirror, name: "broken", write: () => Promise.reject(new Error("connection lost")) } as Mirror;
    const outcomes: string[] = [];
    const first = await syncOnce({
      sources: [source],
      store,
      mirror: broken,
      onEvent: (event) => event.type === "mirror-finished" && outcomes.push(event.outcome),
    });
    expect(first).toMatchObject({ outcome: "committed", isComplete: true, mirror: "failed", version: 1 });
    expect(outcomes).toEqual(["failed"]);
    expect(await syncOnce({ sources: [source], store, mirror })).toMatchObject({ outcome: "unchanged", mirror: "written" });
    expect(await mirror.latest()).toMatchObject({ version: 1, modelCount: 100 });
    expect(await syncOnce({ sources: [source], store, mirror, clock: new ManualClock() })).toMatchObject({ mirror: "current" });
  });
});
